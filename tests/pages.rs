//! The pages on configuration and routing: every configuration on them is good, every command prints what is below it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, process::Command};

/// A block of a page: its language and its text.
struct Block<'a> {
    language: &'a str,
    text: &'a str,
}

fn page(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(name)).unwrap()
}

fn blocks(page: &str) -> Vec<Block<'_>> {
    let blocks = page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n'));
    blocks.map(|(language, text)| Block { language, text }).collect()
}

/// Runs a line in a folder, and returns what it prints.
fn run(folder: &Path, line: &str) -> String {
    let words = line.split(' ').skip(1);
    let done = Command::new(env!("CARGO_BIN_EXE_longshore-under-test"))
        .args(words)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .output()
        .unwrap();
    format!("{}{}", String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap())
}

#[test]
fn every_configuration_is_good_and_every_command_prints_what_stands_below_it() {
    let path = "longshore-config/src/routing.md";
    let text = page(path);
    let mut expected = text.clone();
    let folder = tempfile::tempdir().unwrap();
    let (mut configurations, mut commands) = (0, 0);
    for block in blocks(&text) {
        match block.language {
            "toml" => {
                std::fs::write(folder.path().join("longshore.toml"), block.text).unwrap();
                let check = run(folder.path(), "longshore config check");
                assert!(check.contains(" is good: ") && check.contains(" passed"), "{}\n{check}", block.text);
                configurations += 1;
            }
            "console" => {
                let lines = block.text.lines().filter(|line| line.starts_with("$ "));
                let printed = lines.map(|line| format!("{line}\n{}", run(folder.path(), &line[2..])));
                let printed: String = printed.collect();
                commands += 1;
                expected = expected.replacen(block.text, &printed, 1);
            }
            other => panic!("{other}"),
        }
    }
    assert!(configurations >= 5 && commands >= 3);
    if std::env::var_os("LONGSHORE_WRITE_PAGES").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(path), &expected).unwrap();
    }
    assert!(text == expected, "the page should be:\n{expected}");
}

#[test]
fn the_configuration_on_the_crates_page_is_good() {
    let text = page("longshore-config/src/docs.md");
    let blocks: Vec<_> = blocks(&text).into_iter().filter(|block| block.language == "toml").collect();
    assert_eq!(blocks.len(), 1);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("longshore.toml"), blocks[0].text).unwrap();
    let check = run(folder.path(), "longshore config check");
    assert!(check.starts_with("longshore.toml is good: "), "{check}");
}

#[test]
fn the_examples_configuration_is_good() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let check = run(&examples, "longshore config check --config routed.toml");
    assert_eq!(check, "routed.toml is good: 2 hosts, 2 routing tests passed\n");
}

#[test]
fn the_readmes_configuration_is_good() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let mut blocks = blocks(&readme);
    blocks.retain(|block| block.language == "toml" && block.text.contains("[hosts."));
    assert_eq!(blocks.len(), 1, "the README shows a configuration");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("longshore.toml"), blocks[0].text).unwrap();
    let check = run(folder.path(), "longshore config check");
    assert!(check.starts_with("longshore.toml is good: "), "{check}");
}
