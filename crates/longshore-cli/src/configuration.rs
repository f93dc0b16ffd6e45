//! The configuration that is in force here: found, read, and what is wrong with it told.

use longshore::{
    Error, ErrorKind, Result, Violation,
    config::{Config, Environment, Loader, Problems, find},
    route::Target,
};
use std::{
    error::Error as StdError,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use crate::{
    args::ConfigurationArgs,
    commands::{notice, own_variable, own_variables},
    reader::Reader,
};

/// Reads configurations with the executors of this program, and with our own environment.
pub(crate) fn loader() -> Loader {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        // What is not UTF-8 can't be a setting, nor a secret in one.
        name.into_string().ok().zip(value.into_string().ok())
    };
    let environment: Environment = own_variables().filter_map(text).collect();
    Loader::new(longshore::registry()).with_environment(environment)
}

/// The configuration that was named, or the one that is found, if there is any.
///
/// # Errors
/// `Invalid` with everything that is wrong with it.
pub(crate) fn load(args: &ConfigurationArgs, loader: &Loader) -> Result<Option<Config>> {
    path(args)?.map(|path| loader.read(&path).map_err(unusable)).transpose()
}

/// Where the configuration is that was named, by an option or a variable, or that is found.
///
/// # Errors
/// `Invalid` when two are found side by side.
pub(crate) fn path(args: &ConfigurationArgs) -> Result<Option<PathBuf>> {
    if let Some(path) = named(args) {
        return Ok(Some(path));
    }
    find(Path::new(""), own_variable).map_err(|ambiguous| Error::new(ErrorKind::Invalid, ambiguous.to_string()))
}

/// The configuration that was named; a variable that is empty names none.
pub(crate) fn named(args: &ConfigurationArgs) -> Option<PathBuf> {
    let by_variable = || own_variable("LONGSHORE_CONFIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    args.config.clone().or_else(by_variable)
}

/// What can be used and is most likely not what was meant, a line each.
pub(crate) fn warnings(config: &Config) -> Vec<String> {
    config.warnings().to_string().lines().map(ToOwned::to_owned).collect()
}

/// What `--executor` means with a configuration; a name that no host answers to is a mistake.
pub(crate) fn target(reader: &mut Reader, name: Option<&str>, config: &Config) -> Option<Target> {
    let target = config.target(name?);
    if target.is_none() {
        let hosts: Vec<&str> = config.hosts().map(|host| host.name.as_str()).collect();
        let rule = format!(
            "no configured host answers to it; hosts: {} (`run --no-config` leaves the configuration aside)",
            hosts.join(", ")
        );
        reader.complain(Violation::new("--executor", name?, rule));
    }
    target
}

/// The configuration, for commands that need one.
///
/// # Errors
/// As [`load`], and `Invalid` when there is none.
pub(crate) fn needed(args: &ConfigurationArgs, loader: &Loader) -> Result<Config> {
    let config = load(args, loader)?.ok_or_else(|| {
        let message = "there is no configuration: no longshore.toml here, in the user's configuration folder or in \
                       /etc/longshore; `longshore config init` writes one, and --config names one";
        Error::new(ErrorKind::Invalid, message)
    })?;
    warnings(&config).iter().for_each(|warning| notice(warning));
    Ok(config)
}

/// A configuration, or another file, that can't be used.
pub(crate) fn unusable(problems: Problems) -> Error {
    let count = problems.count();
    let what = if count == 1 { "a problem".to_owned() } else { format!("{count} problems") };
    Error::new(ErrorKind::Invalid, format!("{} has {what}", problems.file())).with_source(problems)
}

/// What is wrong with a file, with the lines that it is on, where that is what the error is about.
pub(crate) fn problems_of(error: &Error) -> Option<String> {
    error.source()?.downcast_ref::<Problems>().map(rendered)
}

/// The problems as they are shown on stderr.
pub(crate) fn rendered(problems: &Problems) -> String {
    let plain = own_variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    problems.render(std::io::stderr().is_terminal() && !plain)
}
