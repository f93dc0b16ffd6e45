//! `longshore config`: the configuration, checked, shown, described and begun.

use longshore::{
    Error, ErrorKind, Result,
    config::{Checked, FIRST, Format, Problem, TestOutcome, configurations_in, schema},
};
use serde::Serialize;
use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::print;
use crate::{
    args::{ConfigCommand, ConfigurationArgs},
    configuration, routing,
    text::{clean, clean_lines, json_line},
};

/// Something is wrong with the configuration.
const WRONG: u8 = 1;

/// Does what was asked, and returns the program's exit code.
///
/// # Errors
/// When there is no configuration, or it can't be shown or written.
pub(crate) fn config(command: &ConfigCommand) -> Result<u8> {
    match command {
        ConfigCommand::Check { configuration, json } => check(configuration, *json),
        ConfigCommand::Show { configuration } => {
            let config = configuration::needed(configuration, &configuration::loader())?;
            print(&clean_lines(&config.shown())).map(|()| 0)
        }
        ConfigCommand::Schema => {
            let schema = serde_json::to_string_pretty(&schema(&longshore::registry())).map_err(super::unwritable)?;
            print(&(schema + "\n")).map(|()| 0)
        }
        ConfigCommand::Init { file } => init(file).map(|()| 0),
    }
}

/// What a check found, for programs.
#[derive(Debug, Serialize)]
struct Report<'a> {
    file: PathBuf,
    good: bool,
    problems: &'a [Problem],
    tests: Vec<Test<'a>>,
}

/// A routing test, for programs.
#[derive(Debug, Serialize)]
struct Test<'a> {
    name: &'a str,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<&'a str>,
}

fn check(args: &ConfigurationArgs, json: bool) -> Result<u8> {
    let loader = configuration::loader();
    let Some(path) = configuration::path(args)? else { return configuration::needed(args, &loader).map(|_| 0) };
    let context = routing::context();
    let checked = loader.check(&path, |host| routing::executor(host, loader.registry(), &context));
    let good = !checked.problems.has_errors();
    if json {
        let report = Report {
            file: path,
            good,
            problems: checked.problems.as_slice(),
            tests: checked.tests.iter().map(test).collect(),
        };
        print(&json_line(&report).map_err(super::unwritable)?)?;
    } else {
        if !checked.problems.as_slice().is_empty() {
            let _ = writeln!(io::stderr(), "{}\n", configuration::rendered(&checked.problems));
        }
        print(&summary(&path, &checked))?;
    }
    Ok(if good { 0 } else { WRONG })
}

fn test(outcome: &TestOutcome) -> Test<'_> {
    Test { name: &outcome.name, passed: outcome.failure.is_none(), failure: outcome.failure.as_deref() }
}

/// The last line: how it went.
fn summary(path: &Path, checked: &Checked) -> String {
    let file = clean(&path.display().to_string());
    let (hosts, count) = (counted(checked.hosts, "host"), checked.problems.count());
    if checked.problems.has_errors() {
        return format!("{file} can't be used as it is: {}\n", counted(count, "problem"));
    }
    let tests = format!("{} passed", counted(checked.tests.len(), "routing test"));
    match count {
        0 => format!("{file} is good: {hosts}, {tests}\n"),
        count => format!("{file} can be used: {hosts}, {tests}, {}\n", counted(count, "warning")),
    }
}

fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn init(path: &Path) -> Result<()> {
    if Format::of(path) != Format::Toml || path.extension().is_none_or(|extension| extension != "toml") {
        let message = format!("{} can't be begun: what is written is TOML; end the name in .toml", path.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    let is_found = path.file_name().is_some_and(|name| name == "longshore.toml");
    if let Some(other) = configurations_in(folder).into_iter().find(|other| is_found && other != path) {
        let message = format!("{} is there already, and two side by side are ambiguous", other.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    let wrong = |error: io::Error| {
        let why = if error.kind() == io::ErrorKind::AlreadyExists { "is there already" } else { "can't be written" };
        Error::new(ErrorKind::Invalid, format!("{} {why}", path.display())).with_source(error)
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(wrong)?;
    file.write_all(FIRST.as_bytes()).map_err(wrong)?;
    let shown = clean(&path.display().to_string());
    print(&format!("wrote {shown}; `longshore config check` checks it, `longshore route --explain IMAGE` tries it\n"))
}
