//! Jobs in PostgreSQL, by the same commands.

use longshore_testkit::{suite::Test, tests};
use serde_json::json;

use crate::{cluster, desk::Desk};

pub(crate) const TESTS: &[Test] = &tests![jobs_are_the_same_in_postgresql, a_machines_own_hosts_are_told_from_others];

/// Two folders, such as two machines have, with one database.
async fn jobs_are_the_same_in_postgresql() {
    let url = cluster::shared().unwrap().database().await;
    let logs = tempfile::tempdir().unwrap();
    let (here, there) = (Desk::sharing(&url, logs.path()), Desk::sharing(&url, logs.path()));
    here.does(&["db", "migrate"]).await;
    let first = here.submit(&["--name", "hello", "--idempotency-key", "one"], &["print out", "exit 3"]).await;
    here.submit(&["--name", "hello", "--idempotency-key", "two"], &["exit 0"]).await;
    let cancelled = here.submit(&["--name", "never"], &["exit 0"]).await;
    there.does(&["jobs", "cancel", &cancelled]).await;
    here.dispatch_all().await;
    let statuses = |listed: &serde_json::Value| {
        let jobs = listed.as_array().unwrap().iter();
        jobs.map(|job| job["status"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(statuses(&there.json(&["jobs", "list"]).await), ["cancelled", "completed", "failed"]);
    assert_eq!(there.log(&first).await, "out\n");
    let job = there.job(&first).await;
    assert_eq!((&job["job"]["exit_code"], &job["attempts"][0]["state"]), (&json!(3), &json!("closed")), "{job}");
    assert_eq!(there.longshore(&["jobs", "wait", &first]).finish().await.code, Some(3));
    let again = there.does(&["jobs", "retry", &first]).await.trim().to_owned();
    here.dispatch_all().await;
    assert_eq!(there.job(&again).await["job"]["status"], "failed");
    assert!(there.does(&["db", "check"]).await.ends_with(" is good\n"));
    let file = there.word("export.jsonl");
    there.does(&["db", "export", &file]).await;
    let kept = there.word("kept.db");
    let imported = there.does(&["db", "import", "--database", &kept, &file]).await;
    assert_eq!(imported, "4 jobs are new, 0 were there already\n");
}

/// Without a configuration the host is this machine's, and so is its name in a database that others share.
async fn a_machines_own_hosts_are_told_from_others() {
    let url = cluster::shared().unwrap().database().await;
    let logs = tempfile::tempdir().unwrap();
    let (shared, own) = (Desk::sharing(&url, logs.path()), Desk::new());
    for (desk, is_marked) in [(&shared, true), (&own, false)] {
        desk.run(&["--executor", "embedded", "--no-config"], &["exit 0"]).finish().await.exited(0);
        let jobs = desk.json(&["jobs", "list"]).await;
        let host = jobs[0]["host"].as_str().unwrap_or_default();
        assert_eq!((host == "embedded", host.starts_with("embedded-")), (!is_marked, is_marked), "{jobs}");
    }
}
