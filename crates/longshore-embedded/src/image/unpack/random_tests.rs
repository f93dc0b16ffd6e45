//! Archives of random entries, most of which mean harm.

use super::{remove_tree, unpack};
use crate::image::testing::{ANYBODY, LayerArchive};
use std::{fs, os::unix::fs::MetadataExt, path::Path};
use tar::EntryType;

const ARCHIVES: u64 = 400;
const ENTRIES: u64 = 24;
const PARTS: [&str; 10] = ["a", "b", "c", ".", "..", "", "outside", "kept", ".wh.a", ".wh..wh..opq"];
const KINDS: [EntryType; 6] = [
    EntryType::Regular,
    EntryType::Directory,
    EntryType::Symlink,
    EntryType::Symlink,
    EntryType::Link,
    EntryType::Fifo,
];

/// Numbers that are the same for the same seed (xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound).unwrap()
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64)]
    }

    fn name(&mut self) -> String {
        let parts: Vec<&str> = (0..=self.below(3)).map(|_| self.of(&PARTS)).collect();
        parts.join("/")
    }
}

fn archive(random: &mut Random, outside: &Path) -> Vec<u8> {
    let outside = [outside.display().to_string(), outside.join("kept").display().to_string(), "../outside".to_owned()];
    let mut archive = LayerArchive::new();
    for _ in 0..random.below(ENTRIES) {
        let kind = random.of(&KINDS);
        // Every refusal ends the archive: names are mostly harmless, and what they are linked to is not.
        let name = random.name().replace("..", "d");
        let link = if random.below(3) == 0 { outside[random.below(3)].clone() } else { random.name() };
        archive = archive.entry(kind, &name, &link, if kind == EntryType::Regular { b"changed" } else { b"" });
    }
    archive.finish()
}

#[test]
fn whatever_an_archive_says_nothing_outside_is_touched_and_all_of_it_can_be_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("kept"), "kept").unwrap();
    let state = |path: &Path| {
        let of = fs::symlink_metadata(path).unwrap();
        (of.mode(), of.nlink(), of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec())
    };
    let before = (state(&outside), state(&outside.join("kept")));
    let mut whole = 0;
    for seed in 1..=ARCHIVES {
        fs::create_dir(&root).unwrap();
        let blob = archive(&mut Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)), &outside);
        whole += u64::from(unpack(blob.as_slice(), &root, &ANYBODY).is_ok());
        assert_eq!((state(&outside), state(&outside.join("kept"))), before, "seed {seed}");
        remove_tree(&root).unwrap();
        assert_eq!((state(&outside), state(&outside.join("kept"))), before, "seed {seed}, removed");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "seed {seed}");
    }
    assert!((ARCHIVES / 20..ARCHIVES).contains(&whole), "{whole} of {ARCHIVES} were whole");
}
