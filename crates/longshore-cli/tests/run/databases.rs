//! Jobs in a database, and what lies beside it.

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Done, Longshore, configured};

const CONFIG: &str = "[hosts.home]\nexecutor = \"mock\"\ndefault = true\n";

fn longshore(folder: &TempDir, words: &[&str]) -> Longshore {
    Longshore::new(words).within(folder).env("LONGSHORE_DATABASE", "jobs.db")
}

/// The program's answer, which must be a good one.
fn done(folder: &TempDir, words: &[&str]) -> Done {
    let done = longshore(folder, words).finish();
    assert_eq!(done.code, Some(0), "{words:?}: {}", done.stderr);
    done
}

#[test]
fn a_database_leaves_the_logs_of_others_in_a_shared_place_alone() {
    let folder = configured(CONFIG);
    for place in ["shared".to_owned(), format!("file://{}/urls", folder.path().display())] {
        let with = ["--logs", &place];
        let id = done(&folder, &["submit", "any/image", "--", "bytes 100000"]).stdout().trim().to_owned();
        done(&folder, &[&["dispatch", "--once"], &with[..]].concat());
        let other = ["cleanup", "--orphans", "--json", "--database", "other.db"];
        let swept = longshore(&folder, &[&other[..], &with].concat()).finish();
        assert_eq!(swept.json().get("logs"), None, "{}", swept.stdout());
        let log = done(&folder, &[&["jobs", "logs", &id], &with[..]].concat());
        assert_eq!(log.stdout.len(), 100_000);
        let owner = done(&folder, &["db", "migrate", "--json"]).json()["owner"].as_str().unwrap().to_owned();
        let below = folder.path().join(if place == "shared" { "shared" } else { "urls" }).join(owner);
        assert!(below.read_dir().unwrap().count() > 0, "{}", below.display());
    }
}

#[test]
fn a_place_of_logs_that_can_not_be_used_is_a_failure_beside_what_was_done() {
    let folder = configured(CONFIG);
    std::fs::write(folder.path().join("taken"), "").unwrap();
    let swept = longshore(&folder, &["cleanup", "--orphans", "--json", "--logs", "taken"]).finish();
    let failures = swept.json()["failures"].to_string();
    assert_eq!(swept.code, Some(1), "{}", swept.stderr);
    assert!(failures.contains("the logs can't be swept"), "{failures}");
}

#[test]
fn a_dispatcher_says_what_goes_wrong() {
    let folder = configured(&format!("{CONFIG}executor_config = {{ jobs = {{ vanish = \"0s\" }} }}\n"));
    let id = done(&folder, &["submit", "any/image", "--", "sleep 1h"]).stdout().trim().to_owned();
    let told = done(&folder, &["dispatch", "--once"]).stderr;
    let line = told.lines().find(|line| line.starts_with("longshore: lost: ")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains(&format!("token=ls-{}-1", id.replace('-', ""))) && line.contains("host=home"), "{told}");
    done(&folder, &["submit", "any/image", "--", "sleep 1h"]);
    let chosen = longshore(&folder, &["dispatch", "--once"]).env("LONGSHORE_LOG", "error").finish();
    assert!(!chosen.stderr.contains("lost"), "{}", chosen.stderr);
}

#[test]
fn pauses_are_json_where_json_was_asked_for() {
    let folder = configured(CONFIG);
    let paused = done(&folder, &["hosts", "pause", "home", "--why", "moves", "--json"]).json();
    assert_eq!((&paused[0]["host"], &paused[0]["request"]["why"]), (&json!("home"), &json!("moves")), "{paused}");
    assert_eq!(done(&folder, &["hosts", "paused", "--json"]).json(), paused);
    let resumed = done(&folder, &["hosts", "resume", "home", "--json"]).json();
    assert_eq!(resumed, json!([{ "host": "home", "was_paused": true }]));
    let again = done(&folder, &["hosts", "resume", "--all", "--json"]).json();
    assert_eq!(again, json!([{ "was_paused": false }]));
}
