//! Without an engine, or with an image that no engine runs, a job runs on the embedded executor, and is told why.

use crate::{bench::Bench, program::Run};
use longshore_testkit::{suite::Test, tests};
use std::path::Path;
use tempfile::TempDir;

/// They need no engine.
pub(crate) const TESTS: &[Test] = &tests![
    where_no_engine_answers_a_job_is_planned_on_embedded,
    where_no_engine_answers_a_missing_image_is_embeddeds_to_tell,
    an_image_in_an_archive_runs_on_embedded,
    an_image_in_an_archive_is_told_for_programs,
    a_host_that_is_named_is_never_replaced,
];

/// They need one.
pub(crate) const ON_ENGINE: &[Test] = &tests![
    an_engine_that_answers_is_not_passed_over,
    an_image_in_an_archive_passes_an_engine_over,
    an_engine_refuses_an_image_in_an_archive_and_tells_what_runs_it,
];

/// The probe's image under a name that no registry has.
const IMAGE: &str = "longshore.test/embedded:1";

/// A socket at which nobody answers.
fn nobody(home: &Path) -> String {
    format!("unix://{}/nobody.sock", home.display())
}

/// `longshore run WORDS…` where no engine answers.
fn without_engine(home: &Path, words: &[&str]) -> Run<'static> {
    Run::new(&[&["run"], words].concat(), home).env("DOCKER_HOST", nobody(home))
}

/// The probe's archive in a home, as an image.
fn archive(home: &Path) -> String {
    let path = home.join("probe.tar");
    std::fs::write(&path, longshore_probe::image_archive(IMAGE)).unwrap();
    format!("docker-archive:{}", path.display())
}

/// The notice that no engine answers.
fn silence(home: &Path) -> String {
    let address = nobody(home);
    format!(
        "longshore: runs on embedded: no Docker Engine answers at {address} (No such file or directory (os error 2))"
    )
}

/// The notice that no engine would do.
const ARCHIVE: &str = "longshore: runs on embedded: no Docker Engine runs an image from docker-archive:PATH\n";

async fn where_no_engine_answers_a_job_is_planned_on_embedded() {
    let home = TempDir::new().unwrap();
    let done = without_engine(home.path(), &["--dry-run", "tool", "--", "print ran"]).finish().await;
    let plan = done.exited(0);
    assert!(plan.starts_with("Plan for embedded on host embedded; nothing is launched.\n"), "{plan}");
    assert_eq!(done.first_line(), silence(home.path()));
    let done = without_engine(home.path(), &["--dry-run", "--quiet", "tool", "--", "print ran"]).finish().await;
    done.exited(0);
    assert_eq!(done.stderr, "");
}

async fn where_no_engine_answers_a_missing_image_is_embeddeds_to_tell() {
    let home = TempDir::new().unwrap();
    let done = without_engine(home.path(), &["--pull", "never", IMAGE, "--", "print ran"]).finish().await;
    assert_eq!(done.exited(125), "");
    assert_eq!(done.first_line(), silence(home.path()));
    assert!(done.stderr.contains(IMAGE), "{}", done.stderr);
}

async fn an_image_in_an_archive_runs_on_embedded() {
    let home = TempDir::new().unwrap();
    let image = archive(home.path());
    for image in [image.clone(), format!("{image}:{IMAGE}")] {
        let done = without_engine(home.path(), &[&image, "--", "print out", "eprint err", "exit 3"]).finish().await;
        assert_eq!(done.exited(3), "out\n");
        assert_eq!(done.stderr, format!("{ARCHIVE}err\n"));
    }
    let done = without_engine(home.path(), &["-q", &image, "--", "print out"]).finish().await;
    assert_eq!((done.exited(0), done.stderr.as_str()), ("out\n", ""));
}

async fn an_image_in_an_archive_is_told_for_programs() {
    let home = TempDir::new().unwrap();
    let image = archive(home.path());
    let report = without_engine(home.path(), &["-q", "--json", &image, "--", "exit 3"]).finish().await.json();
    assert_eq!((&report["status"], &report["longshore_exit_code"]), (&"failed".into(), &3.into()), "{report}");
    let done = without_engine(home.path(), &["-q", "--dry-run", "--json", &image]).finish().await;
    let plan = done.json();
    assert_eq!((&plan["executor_type"], &plan["template"]["image"]), (&"embedded".into(), &image.into()), "{plan}");
    assert_eq!(plan["template"]["name"], "probe.tar", "{plan}");
}

async fn a_host_that_is_named_is_never_replaced() {
    let home = TempDir::new().unwrap();
    let (address, image) = (nobody(home.path()), archive(home.path()));
    for words in [["--host", &address, "tool"], ["--executor", "docker", "tool"], ["--host", &address, &image]] {
        let done = without_engine(home.path(), &words).finish().await;
        assert_eq!(done.exited(125), "");
        let expected = format!("longshore: connect: no engine can be reached (engine {address})");
        assert!(done.stderr.starts_with(&expected), "{}", done.stderr);
    }
}

async fn an_engine_that_answers_is_not_passed_over() {
    let bench = Bench::new().await;
    let done = bench.run(&[], &["print ran"]).finish().await;
    assert_eq!((done.exited(0), done.stderr.as_str()), ("ran\n", ""));
}

async fn an_image_in_an_archive_passes_an_engine_over() {
    let bench = Bench::new().await;
    let image = archive(bench.home.path());
    let done = bench.run_image(&[], &image, &["print ran"]).finish().await;
    assert_eq!((done.exited(0), done.stderr.as_str()), ("ran\n", ARCHIVE));
}

async fn an_engine_refuses_an_image_in_an_archive_and_tells_what_runs_it() {
    let bench = Bench::new().await;
    let image = archive(bench.home.path());
    let done = bench.run_image(&["--executor", "docker"], &image, &["print ran"]).finish().await;
    assert_eq!(done.exited(125), "");
    let expected = format!(
        "longshore: plan: the docker executor can't do what the job asks: image = {image} needs `docker-archives` (host docker)\n\
         hint: images in files and folders run on the embedded executor (--executor embedded); `docker load` gives an archive to an engine\n"
    );
    assert_eq!(done.stderr, expected);
}
