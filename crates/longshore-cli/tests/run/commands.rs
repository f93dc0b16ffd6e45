//! The commands beside `run`.

use crate::support::Longshore;

fn done(words: &[&str]) -> String {
    let done = Longshore::new(words).finish();
    assert_eq!((done.code, done.stderr.as_str()), (Some(0), ""), "{words:?}");
    done.stdout().to_owned()
}

#[test]
fn help_and_version_are_answers() {
    assert!(done(&["--version"]).starts_with("longshore "));
    assert!(done(&["--help"]).contains("Commands:"));
    assert!(done(&["run", "--help"]).contains("Exit codes:"));
}

#[test]
fn the_executors_are_listed() {
    assert!(done(&["executors"]).lines().any(|line| line.starts_with("mock")));
}

#[test]
fn schemas_are_json() {
    for name in ["job", "plan", "handle", "outcome", "mock-config", "mock-options"] {
        let schema: serde_json::Value = serde_json::from_str(&done(&["schema", name])).unwrap();
        assert!(schema.get("$schema").is_some(), "{name}: {schema}");
    }
    assert!(done(&["schema"]).lines().count() >= 12);
    let unknown = Longshore::new(["schema", "nope"]).finish();
    assert_eq!(unknown.code, Some(125));
    assert!(unknown.stderr.contains("available: job"), "{}", unknown.stderr);
}

#[test]
fn completions_know_the_options() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(done(&["completions", shell]).contains("env-file"), "{shell}");
    }
}

#[test]
fn manual_pages_are_printed_or_written() {
    assert!(done(&["man"]).contains(".TH longshore 1"));
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(done(&["man", folder.path().to_str().unwrap()]), "");
    let mut written: Vec<String> =
        folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    written.sort();
    assert_eq!(written[..2], ["longshore-cleanup.1", "longshore-completions.1"]);
    assert!(written.contains(&"longshore-run.1".to_owned()));
    let nowhere = Longshore::new(["man", "/nonexistent/folder"]).finish();
    assert_eq!(nowhere.code, Some(125));
    assert!(nowhere.stderr.contains("/nonexistent/folder/longshore.1 can't be written"), "{}", nowhere.stderr);
}
