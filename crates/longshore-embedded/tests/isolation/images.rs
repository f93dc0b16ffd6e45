//! Images that were made to get out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::{ErrorKind, ImageFormat};
use longshore_testkit::{suite::Test, tests};
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{inside::Bench, support};

pub(crate) const TESTS: &[Test] = &tests![
    a_working_directory_that_is_an_open_file_is_refused,
    a_link_to_an_open_file_as_working_directory_is_refused,
    a_program_by_way_of_an_open_file_is_not_found,
    links_in_the_place_of_what_the_runtime_mounts_are_refused,
    a_dangling_link_in_the_place_of_a_file_that_is_given_is_replaced,
    links_in_the_place_of_etc_stay_inside,
    an_image_that_is_copied_runs_and_stays_as_it_was,
];

/// More descriptors than a supervisor ever has.
const DESCRIPTORS: std::ops::Range<u32> = 3..32;

/// A root folder of the bench's own with the probe in it.
fn root(bench: &Bench) -> PathBuf {
    let image = support::images::image(bench.allowed.path(), ImageFormat::RootFolder);
    PathBuf::from(image.strip_prefix("rootfs:").unwrap())
}

fn job(bench: &Bench, root: &Path, script: &[&str]) -> longshore_core::JobTemplate {
    let mut template = bench.job(script);
    template.image = format!("rootfs:{}", root.display()).parse().unwrap();
    template.entrypoint = Some(vec!["/probe".to_owned()]);
    template
}

async fn a_working_directory_that_is_an_open_file_is_refused() {
    let bench = Bench::new().await;
    let root = root(&bench);
    for number in DESCRIPTORS {
        let mut job = job(&bench, &root, &["read ../../../../../../../etc/passwd"]);
        job.working_directory = Some(format!("/proc/self/fd/{number}"));
        let error = bench.run(job).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::StartFailed), "{number}: {error:?}");
    }
}

async fn a_link_to_an_open_file_as_working_directory_is_refused() {
    let bench = Bench::new().await;
    let root = root(&bench);
    for number in DESCRIPTORS {
        let link = root.join(format!("way-{number}"));
        symlink(format!("/proc/self/fd/{number}"), &link).unwrap();
        let mut job = job(&bench, &root, &["pwd"]);
        job.working_directory = Some(format!("/way-{number}"));
        assert!(bench.run(job).await.is_err(), "{number}");
    }
}

async fn a_program_by_way_of_an_open_file_is_not_found() {
    let bench = Bench::new().await;
    let root = root(&bench);
    // A program that is on the host, and not in the image.
    let outside = fs::canonicalize("/bin/sh").unwrap();
    for number in DESCRIPTORS {
        let mut job = job(&bench, &root, &[]);
        let up = "../".repeat(12);
        job.entrypoint = Some(vec![format!("/proc/self/fd/{number}/{up}{}", outside.display())]);
        let error = bench.run(job).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CommandNotFound, "{number}: {error:?}");
    }
}

async fn links_in_the_place_of_what_the_runtime_mounts_are_refused() {
    for name in ["dev", "proc", "sys"] {
        let bench = Bench::new().await;
        let root = root(&bench);
        let victim = bench.allowed.path().join("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("ptmx"), "precious").unwrap();
        let _ = fs::remove_dir_all(root.join(name));
        symlink(&victim, root.join(name)).unwrap();
        fs::create_dir_all(root.join(victim.strip_prefix("/").unwrap())).unwrap();
        let error = bench.run(job(&bench, &root, &["exit 0"])).await.unwrap_err();
        assert!(error.to_string().contains(&format!("the image's /{name} is no folder")), "{error}");
        let left: Vec<_> = fs::read_dir(&victim).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["ptmx"], "{name}");
    }
}

async fn a_dangling_link_in_the_place_of_a_file_that_is_given_is_replaced() {
    let bench = Bench::new().await;
    let root = root(&bench);
    fs::create_dir_all(root.join("etc")).unwrap();
    let _ = fs::remove_file(root.join("etc/hostname"));
    symlink("../run/systemd/nowhere", root.join("etc/hostname")).unwrap();
    let (code, text) = bench.run(job(&bench, &root, &["read /etc/hostname"])).await.unwrap();
    assert!(code == Some(0) && !text.trim().is_empty(), "{code:?} {text}");
    assert!(fs::symlink_metadata(root.join("etc/hostname")).unwrap().is_symlink(), "the image is as it was");
}

async fn an_image_that_is_copied_runs_and_stays_as_it_was() {
    let bench = Bench::with(serde_json::json!({ "root_filesystem": "copy" })).await;
    let root = root(&bench);
    fs::write(root.join("kept"), "kept").unwrap();
    let (code, text) = bench.run(job(&bench, &root, &["write /kept changed", "read /kept"])).await.unwrap();
    assert_eq!((code, text.trim()), (Some(0), "changed"));
    assert_eq!(fs::read_to_string(root.join("kept")).unwrap(), "kept");
    let (code, text) = bench.run(bench.job(&["print from an archive"])).await.unwrap();
    assert_eq!((code, text.as_str()), (Some(0), "from an archive\n"));
}

async fn links_in_the_place_of_etc_stay_inside() {
    let bench = Bench::new().await;
    let root = root(&bench);
    let _ = fs::remove_dir_all(root.join("etc"));
    let victim = bench.allowed.path().join("etc-of-the-host");
    fs::create_dir(&victim).unwrap();
    symlink(&victim, root.join("etc")).unwrap();
    // Whether it starts is the image's affair; nothing of the host may change.
    let _ = bench.run(job(&bench, &root, &["exit 0"])).await;
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 0);
}
