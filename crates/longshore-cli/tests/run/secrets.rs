//! Variables and secrets reach the job, and nobody else.

use crate::support::run;
use std::{fs, io::Write};

const CANARY: &str = "c4n4ry-5up3r-53cr3t";

#[test]
fn variables_reach_the_job() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "# comment\nA=from the file\nB=\"quoted\"\nOWN\n").unwrap();
    let path = file.path().to_str().unwrap();
    let options = ["--env-file", path, "-e", "A=from an option", "-e", "C", "-e", "MISSING"];
    let done = run(&options, &["env A", "env B", "env C", "env OWN", "env MISSING"])
        .env("C", "ours")
        .env("OWN", "ours too")
        .finish();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert_eq!(done.stdout(), "from an option\n\"quoted\"\nours\nours too\nMISSING is not set\n");
    assert_eq!(done.stderr, "longshore: --env MISSING is not set here and is left out\n");
}

#[test]
fn a_wrong_line_is_told_by_its_place() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    write!(file, "A=1\n{CANARY} b\n").unwrap();
    let path = file.path().to_str().unwrap();
    let done = run(&["--env-file", path], &["exit 0"]).finish();
    assert_eq!(done.code, Some(125));
    assert!(done.stderr.contains(&format!("{path}:2: ")) && !done.stderr.contains(CANARY), "{}", done.stderr);
}

#[test]
fn a_secret_is_seen_by_the_job_alone() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().join("token");
    fs::write(&kept, CANARY).unwrap();
    let by_file = format!("FILE=file:{},env", kept.display());
    let options = ["--verbose", "--json", "--secret", "VAR=env:SOURCE,env", "--secret", &by_file];
    let shown = run(&options, &["env VAR", "env FILE"]).env("SOURCE", CANARY).finish();
    assert_eq!(shown.code, Some(0), "{}", shown.stderr);
    assert_eq!(shown.stderr.matches(CANARY).count(), 2, "only the job's own two lines show it: {}", shown.stderr);
    assert!(!shown.stdout().contains(CANARY), "{}", shown.stdout());
    for more in [&["--dry-run"] as &[&str], &["--timeout", "0"], &["--executor-config", "x"]] {
        let options: Vec<&str> = options.iter().chain(more).copied().collect();
        let done = run(&options, &["exit 0"]).env("SOURCE", CANARY).env("LONGSHORE_LOG", "trace").finish();
        assert!(!done.stderr.contains(CANARY) && !done.stdout().contains(CANARY), "{more:?}: {}", done.stderr);
    }
}

#[test]
fn a_secret_that_is_not_there_stops_the_launch() {
    for reference in ["TOKEN=env:NOT_SET,env", "TOKEN=file:/nonexistent/token,env"] {
        let done = run(&["--secret", reference], &["print ran"]).finish();
        assert_eq!((done.code, done.stdout()), (Some(125), ""), "{}", done.stderr);
        assert!(done.stderr.contains("hint: set the variable"), "{}", done.stderr);
    }
}

#[test]
fn verbose_tells_what_is_done_and_no_values() {
    let done = run(&["--verbose", "-e", &format!("A={CANARY}")], &["exit 0"]).finish();
    assert_eq!(done.code, Some(0));
    assert!(done.stderr.contains("launch_job"), "{}", done.stderr);
    assert!(!done.stderr.contains(CANARY), "{}", done.stderr);
}
