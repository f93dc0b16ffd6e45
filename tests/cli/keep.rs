//! `--keep`: the container stays, and its name is told.

use crate::bench::Bench;
use longshore_testkit::{suite::Test, tests};
use serde_json::json;

pub(crate) const TESTS: &[Test] =
    &tests![a_kept_container_is_named_and_has_its_log, a_kept_container_is_told_to_programs_too, quietly_kept_is_kept];

async fn a_kept_container_is_named_and_has_its_log() {
    let bench = Bench::new().await;
    let done = bench.run(&["--keep"], &["print out", "exit 3"]).start().end().await;
    assert_eq!(done.exited(3), "out\n");
    let container = bench.container().await;
    assert_eq!(container.state.unwrap().exit_code, Some(3));
    let name = container.name.unwrap();
    let name = name.trim_start_matches('/');
    let expected = format!(
        "longshore: the container is kept; `docker logs {name}` shows its output, `docker rm -f {name}` removes it\n"
    );
    assert_eq!(done.stderr, expected);
    bench.remove().await;
}

async fn a_kept_container_is_told_to_programs_too() {
    let bench = Bench::new().await;
    let report = bench.run(&["--keep", "--json"], &["exit 0"]).start().end().await.json();
    assert_eq!(report["cleanup"], json!({ "state": "kept", "reason": "asked to keep it" }));
    assert_eq!(report["external_execution_id"], bench.container().await.id.unwrap());
    bench.remove().await;
}

async fn quietly_kept_is_kept() {
    let bench = Bench::new().await;
    let done = bench.run(&["--keep", "--quiet"], &["exit 0"]).start().end().await;
    assert_eq!((done.exited(0), done.stderr.as_str()), ("", ""));
    bench.remove().await;
}
