//! What the README says of the program is so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap()
}

/// The lines of the blocks of this language.
fn lines_of_blocks(text: &str, language: &str) -> Vec<String> {
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|block| block.strip_prefix(language));
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

/// What stands between backticks in the prose.
fn spans(text: &str) -> Vec<String> {
    let prose: String = text.split("```").step_by(2).collect();
    prose.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The words of a line, as a shell takes them.
fn words(line: &str) -> Vec<String> {
    let shown = Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn every_command_line_can_be_typed() {
    let mut lines = lines_of_blocks(&readme(), "sh");
    lines.retain(|line| line.starts_with("longshore "));
    assert!(!lines.is_empty(), "the README shows how to call the program");
    for line in lines {
        let read = longshore_cli::command().try_get_matches_from(words(&line));
        assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
    }
}

#[test]
fn every_command_and_option_that_is_named_exists() {
    let command = longshore_cli::command();
    let commands: Vec<_> = std::iter::once(&command).chain(command.get_subcommands()).collect();
    let has_option =
        |name: &str| commands.iter().any(|one| one.get_arguments().any(|arg| arg.get_long() == Some(name)));
    let has_command = |name: &str| command.find_subcommand(name).is_some();
    let spans = spans(&readme());
    let options: Vec<&str> =
        spans.iter().flat_map(|span| span.split(' ')).filter_map(|word| word.strip_prefix("--")).collect();
    let named: Vec<&str> = spans.iter().filter_map(|span| span.strip_prefix("longshore ")?.split(' ').next()).collect();
    assert!(options.len() >= 3 && !named.is_empty(), "{options:?} {named:?}");
    for option in options.into_iter().filter(|option| *option != "help") {
        assert!(has_option(option), "--{option} is in the README and not in the program");
    }
    for name in named {
        assert!(has_command(name), "`longshore {name}` is in the README and not in the program");
    }
}

#[test]
fn every_file_that_is_linked_exists() {
    let text = readme();
    let targets: Vec<&str> = text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    let files: Vec<&str> = targets.into_iter().filter(|target| !target.contains("://")).collect();
    assert!(files.len() >= 3, "{files:?}");
    for file in files {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file).exists(), "{file}");
    }
}
