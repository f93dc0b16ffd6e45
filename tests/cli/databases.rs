//! The database itself: moved, checked, cleaned up, and what is wrong with it told.

use crate::{desk::Desk, program::Run, templates};
use longshore_testkit::{suite::Test, tests};
use serde_json::json;

pub(crate) const TESTS: &[Test] = &tests![
    an_export_is_the_whole_database,
    a_malformed_export_is_told_with_its_line,
    old_jobs_and_their_logs_are_removed,
    what_belongs_to_no_job_is_removed,
    two_databases_have_two_owners,
    what_is_no_database_is_left_alone,
    every_result_fits_its_schema,
];

async fn an_export_is_the_whole_database() {
    let desk = Desk::new();
    desk.submit(&["--idempotency-key", "one"], &["print out", "exit 3"]).await;
    desk.dispatch_all().await;
    desk.submit(&["-l", "a=b"], &["exit 0"]).await;
    let file = desk.word("export.jsonl");
    desk.does(&["db", "export", &file]).await;
    let exported = std::fs::read_to_string(&file).unwrap();
    assert_eq!(exported.lines().count(), 2);
    let again = desk.longshore(&["db", "export", &file]).finish().await;
    assert!(again.code == Some(125) && again.stderr.contains("can't be made"), "{again:?}");
    let other = desk.word("other.db");
    assert_eq!(
        desk.does(&["db", "import", "--database", &other, &file]).await,
        "2 jobs are new, 0 were there already\n"
    );
    assert_eq!(desk.does(&["db", "export", "--database", &other]).await, exported);
    assert_eq!(
        desk.does(&["db", "import", "--database", &other, &file]).await,
        "0 jobs are new, 2 were there already\n"
    );
    assert_eq!(desk.does(&["db", "check", "--database", &other]).await, format!("{other} is good\n"));
}

async fn a_malformed_export_is_told_with_its_line() {
    let desk = Desk::new();
    desk.submit(&[], &["exit 0"]).await;
    let good = desk.does(&["db", "export"]).await;
    let file = desk.word("bad.jsonl");
    for (text, expected) in [
        (format!("{good}{{\"job\": hunter2}}\n"), "line 2 of"),
        ("\u{0}\n".to_owned(), "line 1 of"),
        (good.replace("\"attempts\":0", "\"attempts\":\"hunter2\""), "line 1 of"),
    ] {
        std::fs::write(&file, text).unwrap();
        let done = desk.longshore(&["db", "import", "--database", &desk.word("o.db"), &file]).finish().await;
        assert_eq!(done.code, Some(125), "{}", done.stderr);
        assert!(done.stderr.contains(expected) && !done.stderr.contains("hunter2"), "{}", done.stderr);
    }
}

async fn old_jobs_and_their_logs_are_removed() {
    let desk = Desk::new();
    let large = desk.submit(&[], &["bytes 100000"]).await;
    let waiting = desk.submit(&["--queue-timeout", "1h"], &["exit 0"]).await;
    desk.does(&["hosts", "pause", "--all"]).await;
    desk.does(&["hosts", "resume", "--all"]).await;
    desk.does(&["jobs", "cancel", &waiting]).await;
    desk.dispatch_all().await;
    let fresh = desk.submit(&[], &["exit 0"]).await;
    let logs = desk.path("jobs.db.logs");
    assert!(files(&logs) > 0, "a large log is kept beside the database");
    assert_eq!(desk.json(&["cleanup"]).await["jobs"], json!([]), "nothing is old enough");
    let dry = desk.json(&["cleanup", "--older-than", "0", "--dry-run"]).await;
    assert_eq!((&dry["dry_run"], dry["jobs"].as_array().unwrap().len()), (&json!(true), 2), "{dry}");
    assert_eq!(desk.log(&large).await.len(), 100_000);
    assert_eq!(desk.does(&["cleanup", "--older-than", "0"]).await, "2 jobs removed\n");
    assert_eq!(files(&logs), 0);
    let jobs = desk.json(&["jobs", "list"]).await;
    assert_eq!((&jobs[0]["submission"]["job"]["id"], jobs.as_array().unwrap().len()), (&json!(fresh), 1), "{jobs}");
}

/// How many files are below a folder.
fn files(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

async fn what_belongs_to_no_job_is_removed() {
    let desk = Desk::new();
    let mut run = desk.run(&["--grace", "1h"], &["print ready", "forever"]).start();
    run.shows("ready\n").await;
    run.signal(rustix::process::Signal::KILL);
    run.end().await;
    let young = desk.json(&["cleanup", "--orphans", "--dry-run"]).await;
    assert_eq!(young.get("executions"), None, "its job is kept: {young}");
    // The database is lost, its owner is not.
    let owner = desk.json(&["db", "migrate"]).await["owner"].as_str().unwrap().to_owned();
    let words = ["cleanup", "--orphans", "--database", &desk.word("new.db"), "--owner", &owner, "--older-than", "0"];
    let dry = desk.json(&[&words[..], &["--dry-run"]].concat()).await;
    let found = &dry["executions"][0];
    assert_eq!(
        (&found["host"], &found["known"], &found["live"]),
        (&json!("here"), &json!(false), &json!(true)),
        "{dry}"
    );
    let removed = desk.json(&words).await;
    assert_eq!(removed["executions"], dry["executions"]);
    assert_eq!(desk.json(&words).await.get("executions"), None);
}

async fn two_databases_have_two_owners() {
    let desk = Desk::new();
    let owner = |report: serde_json::Value| report["owner"].as_str().unwrap().to_owned();
    let one = owner(desk.json(&["db", "migrate"]).await);
    assert_eq!(owner(desk.json(&["db", "migrate"]).await), one);
    assert_ne!(owner(desk.json(&["db", "migrate", "--database", &desk.word("b.db")]).await), one);
}

async fn what_is_no_database_is_left_alone() {
    let desk = Desk::new();
    std::fs::write(desk.path("text"), "hello, this is a text and not at all a database").unwrap();
    std::fs::create_dir(desk.path("folder")).unwrap();
    let cases = [
        (desk.word("text"), "text"),
        (desk.word("folder"), "folder"),
        ("mysql://db/jobs".to_owned(), "postgres://USER@HOST/DATABASE"),
        ("postgres://ann:hunter2@127.0.0.1:1/jobs".to_owned(), "postgres://127.0.0.1:1/jobs"),
    ];
    for (database, expected) in cases {
        for words in [["jobs", "list"], ["db", "check"]] {
            let done = Run::new(&words, desk.home.path()).env("LONGSHORE_DATABASE", &database).finish().await;
            assert_eq!(done.code, Some(125), "{database}: {done:?}");
            assert!(done.stderr.contains(expected) && !done.stderr.contains("hunter2"), "{}", done.stderr);
        }
    }
    assert!(std::fs::read_to_string(desk.path("text")).unwrap().starts_with("hello"));
}

async fn every_result_fits_its_schema() {
    let desk = Desk::new();
    let id = desk.submit(&[], &["print out", "exit 3"]).await;
    desk.dispatch_all().await;
    desk.does(&["hosts", "pause", "--all", "--why", "x"]).await;
    desk.does(&["templates", "save", &templates::file(&desk, "report", "x")]).await;
    let cases: [(&str, &[&str], bool); 8] = [
        ("submitted", &["jobs", "retry", &id], false),
        ("job-record", &["jobs", "list"], true),
        ("job-archive", &["jobs", "show", &id], false),
        ("log-record", &["jobs", "logs", &id], false),
        ("pause", &["hosts", "paused"], true),
        ("saved-template", &["templates", "list"], true),
        ("cleanup", &["cleanup", "--dry-run"], false),
        ("database", &["db", "migrate"], false),
    ];
    for (name, words, is_list) in cases {
        let schema: serde_json::Value = serde_json::from_str(&desk.does(&["schema", name]).await).unwrap();
        let schema = jsonschema::validator_for(&schema).unwrap();
        let printed = desk.json(words).await;
        let results = if is_list { printed.as_array().unwrap().clone() } else { vec![printed] };
        assert!(!results.is_empty(), "{name}");
        for result in results {
            let wrong: Vec<String> = schema.iter_errors(&result).map(|error| error.to_string()).collect();
            assert!(wrong.is_empty(), "{name}: {wrong:?}\n{result}");
        }
    }
}
