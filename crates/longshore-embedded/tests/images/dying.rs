//! A program that is killed while it unpacks a layer.

use longshore_core::{ImageSource, Progress};
use longshore_testkit::{suite::Test, tests};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Stdio},
    time::Duration,
};
use tempfile::TempDir;

use crate::{
    image::{
        digest::Digest,
        testing::{LayerArchive, TestImage, layout, store, write_files},
    },
    shelf::{How, content, pull},
};

pub(crate) const TESTS: &[Test] = &tests![a_program_that_is_killed_while_it_unpacks_leaves_nothing_that_counts];

/// The first argument of a program that is going to be killed.
const CALL: &str = "prepare-until-killed";

/// The arguments of such a program, if this is one: the store's folder and the image.
pub(crate) fn called() -> Option<(PathBuf, ImageSource)> {
    let mut arguments = std::env::args().skip(1);
    (arguments.next()? == CALL).then_some(())?;
    Some((arguments.next()?.into(), arguments.next()?.parse().ok()?))
}

pub(crate) fn main((folder, image): (PathBuf, ImageSource)) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let prepared = runtime.block_on(How::default().prepare(&store(folder), &image, &Progress::ignored()));
    if prepared.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn a_program_that_is_killed_while_it_unpacks_leaves_nothing_that_counts() {
    let folder = TempDir::new().unwrap();
    let mut image =
        TestImage::new(vec![LayerArchive::new().file("first", "1").file("file", &"x".repeat(400_000)).finish()]);
    image.blobs[0] = image.layers[0].clone();
    image.named[0] = Digest::of(&image.blobs[0]);
    write_files(&folder.path().join("layout"), &layout(&[(&image, None)]));
    let blob = folder.path().join("layout/blobs/sha256").join(image.named[0].parts().1);
    fs::remove_file(&blob).unwrap();
    mknodat(CWD, &blob, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let (store_folder, source) =
        (folder.path().join("store"), format!("oci:{}", folder.path().join("layout").display()));
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(CALL)
        .arg(&store_folder)
        .arg(&source)
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    // The layer comes from a pipe that stays open half way through.
    let mut half = OpenOptions::new().write(true).open(&blob).unwrap();
    half.write_all(&image.blobs[0][..200_000]).unwrap();
    while !has_first(&store_folder.join("tmp")) {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    drop(half);
    assert!(has_first(&store_folder.join("tmp")), "what was half made is still there");
    assert_eq!(fs::read_dir(store_folder.join("layers")).unwrap().count(), 0, "and has no name that counts");
    fs::remove_file(&blob).unwrap();
    fs::write(&blob, &image.blobs[0]).unwrap();
    let prepared = pull(&store(store_folder.clone()), &source.parse().unwrap()).await.unwrap();
    assert_eq!(content(&prepared).len(), 400_000);
    assert_eq!(fs::read_dir(store_folder.join("tmp")).unwrap().count(), 0);
}

/// True when somebody's first file is there, half made.
fn has_first(tmp: &Path) -> bool {
    let folders = fs::read_dir(tmp).into_iter().flatten();
    folders.flatten().any(|folder| folder.path().join("diff/first").exists())
}
