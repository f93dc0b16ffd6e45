//! Layers under the kernel's own overlay, beside the copy that is made where there is none.

use longshore_testkit::{suite::Test, tests};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::TempDir;

use crate::{
    image::{Ownership, UnpackOptions, Whiteouts, flatten, testing::LayerArchive, unpack},
    service::unmount_below,
};

pub(crate) const TESTS: &[Test] = &tests![an_overlay_and_a_copy_show_the_same];

/// What there is below a folder: each name with its mode, its size, its time and how many names its file has.
fn shown(root: &Path) -> BTreeMap<PathBuf, (u32, u64, i64)> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let of = fs::symlink_metadata(&path).unwrap();
            let size = if of.is_dir() { 0 } else { of.len() };
            found.insert(path.strip_prefix(root).unwrap().to_owned(), (of.mode(), size, of.mtime()));
            if of.is_dir() {
                waiting.push(path);
            }
        }
    }
    found
}

async fn an_overlay_and_a_copy_show_the_same() {
    let folder = TempDir::new().unwrap();
    let layers = [
        LayerArchive::new()
            .folder("./")
            .folder("etc/")
            .file("etc/gone", "1")
            .file("etc/kept", "2")
            .folder("opaque/")
            .file("opaque/hidden", "3")
            .folder("whole/")
            .file("whole/gone", "4")
            .link("link", "etc/kept"),
        LayerArchive::new()
            .folder("./")
            .folder("etc/")
            .file("etc/.wh.gone", "")
            .folder("opaque/")
            .file("opaque/.wh..wh..opq", "")
            .file("opaque/shown", "5")
            .file(".wh.whole", "")
            .file(".wh.link", ""),
        LayerArchive::new().folder("./").folder("whole/").file("whole/again", "6").file("link", "a file now"),
    ];
    let options = UnpackOptions { whiteouts: Whiteouts::Trusted, ownership: Ownership::Kept, limit: None };
    let mut unpacked = Vec::new();
    for (number, layer) in layers.into_iter().enumerate() {
        let path = folder.path().join(number.to_string());
        fs::create_dir(&path).unwrap();
        unpack(layer.finish().as_slice(), &path, &options).unwrap();
        unpacked.push(path);
    }
    let (laid, copied) = (folder.path().join("laid"), folder.path().join("copied"));
    fs::create_dir(&laid).unwrap();
    fs::create_dir(&copied).unwrap();
    let lower: Vec<String> = unpacked.iter().rev().map(|path| path.display().to_string()).collect();
    let mounted = Command::new("mount")
        .args(["-t", "overlay", "overlay", "-o", &format!("ro,lowerdir={}", lower.join(":"))])
        .arg(&laid)
        .status();
    assert!(mounted.unwrap().success());
    flatten(&unpacked, &copied, Whiteouts::Trusted).unwrap();
    let (laid, copied) = (shown(&laid), shown(&copied));
    unmount_below(folder.path());
    assert_eq!(laid, copied);
    let names: Vec<&str> = laid.keys().filter_map(|path| path.to_str()).collect();
    assert_eq!(names, ["etc", "etc/kept", "link", "opaque", "opaque/shown", "whole", "whole/again"]);
}
