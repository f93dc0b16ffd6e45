//! The disk under the SQLite file fills up, and is cleared.

use longshore::{Error, ErrorKind};
use longshore_testkit::{suite::Test, tests};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{
    jobs::Kind,
    program::Database,
    verdict::Trouble,
    world::{Place, World},
};

pub(crate) const TESTS: &[Test] = &tests![a_full_disk_is_told_loses_nothing_and_is_survived];

/// A disk of a few MiB in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf) -> Self {
        fs::create_dir(&path).unwrap();
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(&path).status().unwrap();
        assert!(mounted.success(), "a small disk can't be mounted");
        Self(path)
    }

    /// Leaves no room; removing the file that is returned gives it back.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut filler = File::create(&path).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        path
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Submits until that is refused: there is room left inside the files for a while.
async fn refused(world: &World) -> Error {
    loop {
        if let Err(refusal) = world.try_submit(&Kind::ALL).await {
            return refusal;
        }
        assert!(world.jobs().len() < 10_000, "a full disk refuses nothing");
    }
}

async fn a_full_disk_is_told_loses_nothing_and_is_survived() {
    let folder = tempfile::Builder::new().prefix("ls-durable-").tempdir().unwrap();
    let disk = SmallDisk::mount(folder.path().join("disk"));
    let database = Database::Sqlite(disk.path().join("jobs.db"));
    let world = World::new(folder, Place::Embedded, database).await;
    let mut dispatcher = world.start();
    world.submit(&Kind::ALL).await;
    world.begun(2).await;
    let filler = disk.fill();
    let refusal = refused(&world).await;
    assert_eq!(refusal.kind(), ErrorKind::Unavailable, "{}", refusal.chain());
    assert!(refusal.chain().contains("full"), "{}", refusal.chain());
    // What was acknowledged can be read, and those at work bear it.
    for (id, _) in world.jobs() {
        world.job(id).await;
    }
    assert!(dispatcher.is_alive());
    fs::remove_file(filler).unwrap();
    world.submit(&Kind::ALL).await;
    world.settled().await;
    dispatcher.terminate().await;
    world.judge(Trouble::None).await;
}
