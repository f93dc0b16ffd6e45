//! What can be typed, as people read it: a change here is a change of the program's face.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

/// The words of a line, as a shell takes them.
fn words(line: &str) -> Vec<String> {
    let shown = Command::new("sh").args(["-c", &format!("printf '%s\\n' {line}")]).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn the_examples_of_the_help_can_be_typed() {
    for (name, least) in [("run", 4), ("route", 3)] {
        let mut command = longshore_cli::command();
        let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
        let (_, examples) = help.split_once("\nExamples:\n").unwrap();
        let examples = examples.replace("\\\n", " ");
        let lines: Vec<&str> = examples.lines().filter_map(|line| line.split('|').next()).collect();
        assert!(lines.len() >= least, "{lines:?}");
        for line in lines {
            let read = longshore_cli::command().try_get_matches_from(words(line));
            assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
        }
    }
}

#[test]
fn the_help_is_as_it_was_decided() {
    let mut command = longshore_cli::command().term_width(110);
    command.build();
    insta::assert_snapshot!("longshore", command.render_long_help());
    let run = command.find_subcommand_mut("run").unwrap();
    insta::assert_snapshot!("run", run.render_long_help());
    insta::assert_snapshot!("run_short", run.render_help());
    insta::assert_snapshot!("route_short", command.find_subcommand_mut("route").unwrap().render_help());
    for name in ["hosts", "config"] {
        let group = command.find_subcommand_mut(name).unwrap();
        let pages: Vec<String> =
            group.get_subcommands_mut().map(|command| command.render_long_help().to_string()).collect();
        insta::assert_snapshot!(name, pages.join("\n\n"));
    }
}
