use super::*;
use crate::image::{
    testing::{ANYBODY, LayerArchive},
    unpack::unpack,
};
use std::{fs, os::unix::fs::MetadataExt};

fn flattened(layers: Vec<LayerArchive>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let unpacked: Vec<PathBuf> = layers
        .into_iter()
        .enumerate()
        .map(|(number, archive)| {
            let path = folder.path().join(number.to_string());
            fs::create_dir(&path).unwrap();
            unpack(archive.finish().as_slice(), &path, &ANYBODY).unwrap();
            path
        })
        .collect();
    fs::create_dir(folder.path().join("all")).unwrap();
    flatten(&unpacked, &folder.path().join("all"), Whiteouts::User).unwrap();
    folder
}

#[test]
fn upper_layers_hide_replace_and_keep_what_is_below() {
    let low = LayerArchive::new()
        .folder("./")
        .file("gone", "x")
        .file("kept", "kept")
        .file("dir/gone", "x")
        .file("dir/kept", "kept")
        .file("opaque/below", "x")
        .file("file-then-folder", "x")
        .file("folder-then-file/in", "x")
        .file("one", "1")
        .hard_link("two", "one")
        .link("link", "/kept")
        .file("back", "x");
    let middle = LayerArchive::new()
        .file(".wh.gone", "")
        .file("dir/.wh.gone", "")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/above", "above")
        .folder("file-then-folder/")
        .file("folder-then-file", "file")
        .file("one", "one now")
        .file(".wh.back", "");
    let high =
        LayerArchive::new().extended(&[("SCHILY.xattr.user.a", b"b")]).file("back", "again").link("dir2", "/nowhere");
    let folder = flattened(vec![low, middle, high]);
    let all = folder.path().join("all");
    let read = |name: &str| fs::read_to_string(all.join(name)).unwrap();
    assert_eq!(
        ["kept", "dir/kept", "opaque/above", "folder-then-file", "one", "two", "back"].map(read),
        ["kept", "kept", "above", "file", "one now", "1", "again"]
    );
    for gone in ["gone", "dir/gone", "opaque/below", "dir/.wh.gone"] {
        assert!(fs::symlink_metadata(all.join(gone)).is_err(), "{gone}");
    }
    assert!(all.join("file-then-folder").is_dir());
    assert_eq!(fs::read_link(all.join("link")).unwrap(), Path::new("/kept"));
    let mut value = [0; 8];
    assert_eq!(rustix::fs::getxattr(all.join("back"), "user.a", &mut value[..]).unwrap(), 1);
    assert!(rustix::fs::getxattr(all.join("opaque"), "user.overlay.opaque", &mut value[..]).is_err());
}

#[test]
fn hard_links_times_and_modes_are_kept() {
    let layer =
        LayerArchive::new().folder("d/").file("d/one", "1").hard_link("d/two", "d/one").hard_link("three", "d/one");
    let folder = flattened(vec![layer]);
    let found = |name: &str| fs::metadata(folder.path().join("all").join(name)).unwrap();
    let one = found("d/one");
    assert_eq!((one.nlink(), one.mtime(), one.mode() & 0o7777), (3, 1_000_000_000, 0o644));
    assert_eq!((found("d/two").ino(), found("three").ino()), (one.ino(), one.ino()));
    assert_eq!((found("d").mtime(), found("d").mode() & 0o7777), (1_000_000_000, 0o755));
}
