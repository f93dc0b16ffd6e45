use super::{error::UnpackErrorKind, *};
use crate::image::testing::{ANYBODY, LayerArchive, gzip};
use std::{
    fs,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::PathBuf,
};
use tar::{EntryType, Header};
use tempfile::TempDir;

/// A folder with the layer's root in it, and something beside that nobody may touch.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("root")).unwrap();
        fs::create_dir_all(folder.path().join("outside")).unwrap();
        fs::write(folder.path().join("outside/kept"), "kept").unwrap();
        Self { folder }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    fn unpack(&self, archive: LayerArchive) -> Result<Unpacked, UnpackError> {
        unpack(archive.finish().as_slice(), &self.root(), &ANYBODY)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root().join(name)).unwrap()
    }

    fn assert_nothing_outside_was_touched(&self) {
        let names = |path: PathBuf| {
            let mut names: Vec<String> =
                fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        assert_eq!(names(self.folder.path().to_owned()), ["outside", "root"]);
        assert_eq!(names(self.outside()), ["kept"]);
        assert_eq!(fs::read_to_string(self.outside().join("kept")).unwrap(), "kept");
        assert_eq!(fs::metadata(self.outside().join("kept")).unwrap().nlink(), 1);
    }
}

fn layer() -> LayerArchive {
    LayerArchive::new()
}

fn xattr(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

#[test]
fn a_layer_is_unpacked_with_modes_times_and_links() {
    let place = Place::new();
    let mut setuid = Header::new_gnu();
    setuid.set_path("bin/tool").unwrap();
    setuid.set_size(4);
    setuid.set_mode(0o4755);
    setuid.set_uid(0);
    setuid.set_gid(0);
    setuid.set_mtime(1_234_567_890);
    let archive = layer()
        .folder("./")
        .folder("bin/")
        .header(setuid, b"tool")
        .hard_link("bin/same", "bin/tool")
        .link("bin/sh", "/bin/tool")
        .entry(EntryType::Fifo, "pipe", "", b"")
        .entry(EntryType::Char, "null", "", b"")
        .extended(&[("mtime", b"12.5")])
        .file("etc/deep/down/file", "deep")
        .finish();
    let digest = Digest::of(&archive).to_string();
    for blob in [archive.clone(), gzip(&archive)] {
        let done = unpack(blob.as_slice(), &place.root(), &ANYBODY).unwrap();
        assert_eq!(done, Unpacked { diff_id: digest.clone(), bytes: 8, skipped: 1 });
    }
    let tool = fs::metadata(place.root().join("bin/tool")).unwrap();
    assert_eq!((tool.mode() & 0o7777, tool.mtime(), tool.nlink()), (0o4755, 1_234_567_890, 2));
    assert_eq!(fs::read_link(place.root().join("bin/sh")).unwrap(), Path::new("/bin/tool"));
    assert_eq!(fs::symlink_metadata(place.root().join("bin/sh")).unwrap().mtime(), 1_000_000_000);
    assert!(fs::metadata(place.root().join("pipe")).unwrap().file_type().is_fifo());
    assert!(!place.root().join("null").exists());
    let deep = fs::metadata(place.root().join("etc/deep/down/file")).unwrap();
    assert_eq!((deep.mtime(), deep.mtime_nsec()), (12, 500_000_000));
    assert_eq!(fs::metadata(place.root().join("etc/deep")).unwrap().mode() & 0o7777, 0o755);
    for folder in ["bin", ""] {
        assert_eq!(fs::metadata(place.root().join(folder)).unwrap().mtime(), 1_000_000_000, "{folder:?}");
    }
}

#[test]
fn marks_become_those_of_overlayfs() {
    let place = Place::new();
    let archive = layer()
        .file("dir/.wh.gone", "")
        .file("opaque/.wh..wh..opq", "")
        .file("opaque/own", "own")
        .file(".wh..wh.plnk", "")
        .file("kept", "kept")
        .file(".wh.kept", "")
        .file("replaced/inner", "inner")
        .file(".wh.replaced", "")
        .file(".wh.later", "")
        .folder("later/");
    place.unpack(archive).unwrap();
    let gone = fs::symlink_metadata(place.root().join("dir/gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    assert!(!place.root().join("dir/.wh.gone").exists() && !place.root().join(".wh..wh.plnk").exists());
    assert_eq!(
        (place.read("kept"), place.read("opaque/own"), place.read("replaced/inner")),
        ("kept".into(), "own".into(), "inner".into())
    );
    for (folder, is_opaque) in [("opaque", true), ("replaced", true), ("later", true), ("dir", false)] {
        let mark = xattr(&place.root().join(folder), "user.overlay.opaque");
        assert_eq!(mark.as_deref() == Some(b"y"), is_opaque, "{folder}");
    }
}

#[test]
fn root_keeps_owners_and_marks_for_an_overlay_of_its_own() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let place = Place::new();
    let mut owned = Header::new_gnu();
    owned.set_path("owned").unwrap();
    owned.set_mode(0o6711);
    owned.set_uid(1234);
    owned.set_gid(4321);
    owned.set_size(0);
    owned.set_mtime(0);
    // A capability's binary form has line feeds in it where numbers happen to be ten.
    let capability = [1, 0, 0, 2, 10, 4, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let archive = layer()
        .extended(&[("SCHILY.xattr.security.capability", &capability), ("SCHILY.xattr.trusted.a", b"no")])
        .header(owned, b"")
        .file("folder/.wh..wh..opq", "")
        .finish();
    let options = Options { whiteouts: Whiteouts::Trusted, ownership: Ownership::Kept, limit: None };
    unpack(archive.as_slice(), &place.root(), &options).unwrap();
    let path = place.root().join("owned");
    let found = fs::metadata(&path).unwrap();
    assert_eq!((found.uid(), found.gid(), found.mode() & 0o7777), (1234, 4321, 0o6711));
    assert_eq!(xattr(&path, "security.capability").as_deref(), Some(&capability[..]));
    assert_eq!(xattr(&path, "trusted.a"), None);
    assert_eq!(xattr(&place.root().join("folder"), "trusted.overlay.opaque").as_deref(), Some(&b"y"[..]));
}

#[test]
fn an_archive_sets_no_attribute_that_leads_an_overlay() {
    let place = Place::new();
    let archive = layer()
        .extended(&[
            ("SCHILY.xattr.user.mine", b"a\nb"),
            ("SCHILY.xattr.user.overlay.redirect", b"/outside"),
            ("SCHILY.xattr.trusted.overlay.redirect", b"/outside"),
        ])
        .folder("dir/");
    place.unpack(archive).unwrap();
    let dir = place.root().join("dir");
    assert_eq!(xattr(&dir, "user.mine").as_deref(), Some(&b"a\nb"[..]));
    assert_eq!((xattr(&dir, "user.overlay.redirect"), xattr(&dir, "trusted.overlay.redirect")), (None, None));
}

#[test]
fn names_that_leave_the_root_are_refused_by_name() {
    let long = "d/".repeat(600);
    let cases = [
        layer().file("../outside/new", "x"),
        layer().file("a/../../outside/kept", "x"),
        layer().file("/../outside/kept", "x"),
        layer().file("dir/.wh...", ""),
        layer().file(".wh..", ""),
        layer().hard_link("a", "../outside/kept"),
        layer().hard_link("a", "missing"),
        layer().link("esc", "../outside").hard_link("a", "esc/kept"),
        layer().link("esc", "/../../outside").hard_link("a", "esc/kept"),
        layer().folder("d").hard_link("a", "d"),
        layer().hard_link("a", "/"),
        layer().extended(&[("path", b"a\0b")]).file("x", ""),
        layer().extended(&[("path", b"../outside/kept")]).file("x", "x"),
        layer().extended(&[("linkpath", b"../outside/kept")]).hard_link("x", "y"),
        layer().extended(&[("path", long.as_bytes())]).file("x", ""),
        layer().entry(EntryType::Symlink, "a", "", b""),
        layer().entry(EntryType::new(b'Z'), "a", "", b""),
        layer().file(".", ""),
        layer().entry(EntryType::Symlink, ".", "/outside", b""),
        layer().file("file", "").file("file/below", ""),
        layer().link("dangling", "/nowhere").file("dangling/file", ""),
        layer().link("one", "two").link("two", "one").file("one/file", ""),
        layer().extended(&[("GNU.sparse.major", b"1"), ("GNU.sparse.minor", b"0")]).file("x", ""),
    ];
    for (number, archive) in cases.into_iter().enumerate() {
        let place = Place::new();
        let error = place.unpack(archive).unwrap_err();
        assert_eq!(error.kind, UnpackErrorKind::Refused, "{number}: {error}");
        assert!(error.message.contains("is refused: "), "{number}: {error}");
        place.assert_nothing_outside_was_touched();
    }
}

#[test]
fn links_lead_no_further_than_the_root() {
    let place = Place::new();
    let outside = place.outside();
    let absolute = outside.to_str().unwrap();
    let archive = layer()
        .folder("etc/")
        .link("abs", "/etc")
        .file("abs/by-absolute", "1")
        .link("up", "../../../../etc")
        .file("up/by-relative", "2")
        .link("etc/file", "/outside/kept")
        .file("etc/file", "3")
        .link("proc", "/proc/self/root")
        .file("/etc/absolute", "4")
        .hard_link("hard", "/etc/absolute")
        .link("hl", "/etc/absolute")
        .hard_link("hard-to-link", "hl");
    place.unpack(archive).unwrap();
    let read = ["etc/by-absolute", "etc/by-relative", "etc/file", "etc/absolute", "hard"].map(|name| place.read(name));
    assert_eq!(read, ["1", "2", "3", "4", "4"]);
    assert!(fs::symlink_metadata(place.root().join("hard-to-link")).unwrap().is_symlink());
    place.assert_nothing_outside_was_touched();
    let archive = layer().link("escape", absolute).file("escape/new", "x");
    assert!(place.unpack(archive).is_err(), "the link dangles in the root");
    place.assert_nothing_outside_was_touched();
}

#[test]
fn a_later_entry_takes_an_earlier_ones_place() {
    let place = Place::new();
    let outside = place.outside();
    let kept = outside.join("kept");
    let archive = layer()
        .file("a/b/c", "old")
        .file("a", "file now")
        .file("f", "file")
        .folder("f/")
        .file("f/in", "in")
        .folder("d/")
        .file("d/stays", "stays")
        .folder("d/")
        .link("l", kept.to_str().unwrap())
        .file("l", "own")
        .link("m", outside.to_str().unwrap())
        .folder("m/")
        .file("m/kept", "own")
        .file("x", "1")
        .hard_link("y", "x")
        .file("y", "2")
        .hard_link("x", "x");
    place.unpack(archive).unwrap();
    let read = ["a", "f/in", "d/stays", "l", "m/kept", "x", "y"].map(|name| place.read(name));
    assert_eq!(read, ["file now", "in", "stays", "own", "own", "1", "2"]);
    assert!(!fs::symlink_metadata(place.root().join("m")).unwrap().is_symlink());
    place.assert_nothing_outside_was_touched();
}

#[test]
fn long_names_and_holes_survive() {
    let place = Place::new();
    let long = format!("{}/{}", "n".repeat(200), "m".repeat(200));
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_size(3);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    builder.append_data(&mut header, &long, &b"abc"[..]).unwrap();
    let zeros = vec![0; 3 << 20];
    header.set_size(zeros.len() as u64 + 3);
    builder.append_data(&mut header, "holes", [zeros.as_slice(), b"end"].concat().as_slice()).unwrap();
    header.set_size(zeros.len() as u64);
    builder.append_data(&mut header, "all-hole", zeros.as_slice()).unwrap();
    unpack(builder.into_inner().unwrap().as_slice(), &place.root(), &ANYBODY).unwrap();
    assert_eq!(place.read(&long), "abc");
    let holes = fs::read(place.root().join("holes")).unwrap();
    assert!(holes.len() == zeros.len() + 3 && holes.ends_with(b"\0end"));
    let all = fs::metadata(place.root().join("all-hole")).unwrap();
    assert!(all.len() == 3 << 20 && all.blocks() < 64, "{} blocks", all.blocks());
}

#[test]
fn old_sparse_files_are_read_with_their_holes() {
    let place = Place::new();
    let source = place.folder.path().join("outside/kept");
    let made = std::process::Command::new("sh")
        .arg("-c")
        .arg("cd \"$0\" && truncate -s 2M s && printf end >> s && tar --format=gnu -S -cf s.tar s")
        .arg(place.root())
        .status();
    if !made.is_ok_and(|status| status.success()) {
        return;
    }
    let archive = fs::read(place.root().join("s.tar")).unwrap();
    assert!(archive.len() < 1 << 20, "tar has kept the hole");
    unpack(archive.as_slice(), &place.root(), &ANYBODY).unwrap();
    let found = fs::read(place.root().join("s")).unwrap();
    assert!(found.len() == (2 << 20) + 3 && found.ends_with(b"\0end"));
    assert!(source.exists());
}

#[test]
fn damage_and_excess_are_told_apart() {
    let archive = layer().file("a", &"x".repeat(5000)).file("b", "y").finish();
    let zip = gzip(&archive);
    let mut flipped = zip.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xff;
    let unlimited = &ANYBODY;
    let limited = Options { limit: Some(4999), ..ANYBODY };
    let longest = Options { limit: Some(5001), ..ANYBODY };
    let huge = layer().extended(&[("comment", &vec![b'x'; 5 << 20])]).file("a", "").finish();
    let cases: [(&[u8], &Options, Option<UnpackErrorKind>); 8] = [
        (&archive, unlimited, None),
        (&archive, &longest, None),
        (&archive, &limited, Some(UnpackErrorKind::TooLarge)),
        (&archive[..2000], unlimited, Some(UnpackErrorKind::Corrupt)),
        (&zip[..zip.len() / 2], unlimited, Some(UnpackErrorKind::Corrupt)),
        (&flipped, unlimited, Some(UnpackErrorKind::Corrupt)),
        (&[b'?'; 1024], unlimited, Some(UnpackErrorKind::Corrupt)),
        (&huge, unlimited, Some(UnpackErrorKind::Corrupt)),
    ];
    for (number, (blob, options, expected)) in cases.into_iter().enumerate() {
        let place = Place::new();
        let failed = unpack(blob, &place.root(), options).err();
        assert_eq!(failed.as_ref().map(|error| error.kind), expected, "{number}: {failed:?}");
    }
}

#[test]
fn what_follows_the_archives_end_counts_for_its_digest() {
    let place = Place::new();
    let archive = [layer().file("a", "x").finish(), vec![0; 10_240], b"more".to_vec()].concat();
    let done = unpack(archive.as_slice(), &place.root(), &ANYBODY).unwrap();
    assert_eq!(done.diff_id, Digest::of(&archive).to_string());
}

#[test]
fn folders_closed_to_their_owner_are_filled_and_removed() {
    let place = Place::new();
    let mut closed = Header::new_gnu();
    closed.set_path("closed/").unwrap();
    closed.set_entry_type(EntryType::Directory);
    closed.set_mode(0o500);
    closed.set_size(0);
    closed.set_mtime(0);
    closed.set_uid(0);
    closed.set_gid(0);
    place.unpack(layer().header(closed, b"")).unwrap();
    assert_eq!(fs::metadata(place.root().join("closed")).unwrap().permissions().mode() & 0o7777, 0o500);
    remove_tree(&place.root()).unwrap();
    assert!(!place.root().exists());
}
