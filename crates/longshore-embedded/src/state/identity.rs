//! Which runtime a state folder is, whatever its host is called.

use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use uuid::Uuid;

/// The id of one state folder: random, and made once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct RuntimeId(String);

impl RuntimeId {
    pub(crate) const fn new(id: String) -> Self {
        Self(id)
    }

    /// Enough of it for people.
    pub(crate) fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for RuntimeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id in the file, which is made where there is none. Of several programs that begin at once, all get the same one.
pub(super) fn read_or_make(path: &Path) -> io::Result<RuntimeId> {
    if let Some(id) = read(path)? {
        return Ok(id);
    }
    make(path)?;
    read(path)?.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn read(path: &Path) -> io::Result<Option<RuntimeId>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if text.trim().is_empty() {
        let message = format!("{} holds no id", path.display());
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(Some(RuntimeId(text.trim().to_owned())))
}

/// It is on disk when this returns, whoever was quickest: a power cut must not make another runtime of a folder whose id
/// is already in plans.
fn make(path: &Path) -> io::Result<()> {
    let new = path.with_file_name(format!("id.{}", Uuid::new_v4().simple()));
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(format!("{}\n", Uuid::new_v4()).as_bytes())?;
    file.sync_all()?;
    match renameat_with(CWD, &new, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => {}
        Err(Errno::EXIST) => fs::remove_file(&new)?,
        Err(error) => {
            let _ = fs::remove_file(&new);
            return Err(error.into());
        }
    }
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{sync::Barrier, thread};

    #[test]
    fn programs_that_begin_at_once_get_the_same_id() {
        let folder = tempfile::tempdir().unwrap();
        let (path, together) = (folder.path().join("id"), Barrier::new(8));
        let begin = || {
            together.wait();
            read_or_make(&path).unwrap()
        };
        let ids: Vec<RuntimeId> = thread::scope(|scope| {
            let begun: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
            begun.into_iter().map(|program| program.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        assert_eq!(read_or_make(&path).unwrap(), ids[0]);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "what the slower ones made is removed");
        assert_ne!(read_or_make(&folder.path().join("other")).unwrap(), ids[0]);
    }

    #[test]
    fn an_id_that_is_damaged_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("id");
        fs::write(&path, "\n").unwrap();
        assert_eq!(read_or_make(&path).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(fs::read_to_string(&path).unwrap(), "\n");
    }
}
