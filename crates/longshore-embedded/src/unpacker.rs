//! Unpacking as an ordinary user: in a user namespace, where the files can belong to others.

use async_trait::async_trait;
use longshore_core::{Error, ErrorKind, Result};
use std::{fs::File, io, path::Path, sync::Arc};

use crate::{
    helper::Helpers,
    image::{LocalUnpacker, Ownership, UnpackOptions, Unpacked, Unpacker, Whiteouts, unpack},
    supervisor::Task,
};

/// Who unpacks for this user.
pub(crate) fn unpacker(helpers: &Helpers) -> Arc<dyn Unpacker> {
    if helpers.identity.is_rootless() {
        Arc::new(Elsewhere(helpers.clone()))
    } else {
        Arc::new(LocalUnpacker::new(options(false)))
    }
}

fn options(rootless: bool) -> UnpackOptions {
    // Where only this user is mapped, every file is its own.
    let alone = rootless && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.lines().count() == 1);
    UnpackOptions {
        whiteouts: if rootless { Whiteouts::User } else { Whiteouts::Trusted },
        ownership: if alone { Ownership::Flattened } else { Ownership::Kept },
        limit: None,
    }
}

/// Has a process in a user namespace do it.
#[derive(Debug)]
struct Elsewhere(Helpers);

#[async_trait]
impl Unpacker for Elsewhere {
    async fn unpack(&self, blob: File, target: &Path) -> Result<Unpacked> {
        let answer = self.0.perform(&Task::Unpack(target.to_owned()), Some(blob)).await?;
        let answer: Answer = serde_json::from_str(&answer)
            .map_err(|error| Error::new(ErrorKind::Unexpected, "the unpacking did not end well").with_source(error))?;
        answer.map_err(|(kind, message)| Error::new(kind, message))
    }

    async fn remove(&self, folder: &Path) -> Result<()> {
        self.0.perform(&Task::Remove(folder.to_owned()), None).await.map(drop)
    }
}

/// What a process that unpacks answers: what it has unpacked, or what is wrong.
type Answer = std::result::Result<Unpacked, (ErrorKind, String)>;

/// Unpacks standard input in this process, which is there for nothing else.
pub(crate) fn unpack_here(target: &Path, rootless: bool) -> io::Result<String> {
    let answer: Answer = unpack(io::stdin().lock(), target, &options(rootless)).map_err(|error| {
        let error = Error::from(error);
        (error.kind(), error.chain())
    });
    serde_json::to_string(&answer).map_err(io::Error::other)
}
