//! A disk that is full while a layer is unpacked.

use longshore_core::ErrorKind;
use longshore_testkit::{suite::Test, tests};
use std::{fs, path::Path, process::Command};
use tempfile::TempDir;

use crate::{
    image::testing::{TestImage, store},
    service::{is_root, unmount_below},
    shelf::{content, pull},
};

pub(crate) const TESTS: &[Test] = &tests![a_full_disk_is_told_leaves_nothing_and_costs_unused_images_first];

/// Why nothing can be mounted, if so.
pub(crate) fn missing() -> Option<String> {
    (!is_root()).then(|| "a file system of the test's own needs a mount; run as root".to_owned())
}

struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "none"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success());
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        unmount_below(self.0.path());
    }
}

async fn a_full_disk_is_told_leaves_nothing_and_costs_unused_images_first() {
    let disk = SmallDisk::new();
    let images = TempDir::new().unwrap();
    let source = |name: &str, kilobytes: usize| {
        let image = TestImage::of_file(&name.repeat(kilobytes * 1024));
        fs::write(images.path().join(name), image.docker_archive("a:1")).unwrap();
        format!("docker-archive:{}", images.path().join(name).display()).parse().unwrap()
    };
    let store = store(disk.path().join("store"));
    let entries = |folder: &str| fs::read_dir(disk.path().join("store").join(folder)).unwrap().count();
    let error = pull(&store, &source("a", 4096)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Capacity, "{error:?}");
    assert!(error.message().contains("disk is full while unpacking"), "{error:?}");
    assert_eq!((entries("tmp"), entries("layers")), (0, 0));
    drop(pull(&store, &source("b", 1200)).await.unwrap());
    let held = pull(&store, &source("c", 1200)).await.unwrap();
    assert_eq!((content(&held).len(), entries("layers")), (1200 * 1024, 1), "the unused one made room");
    assert_eq!(pull(&store, &source("d", 1200)).await.unwrap_err().kind(), ErrorKind::Capacity, "one in use does not");
    assert_eq!((entries("tmp"), entries("layers")), (0, 1));
}
