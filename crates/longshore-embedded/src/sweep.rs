//! What an owner has on this host, and what killed programs have left of it.

use longshore_core::{HostName, Owner};
use std::{fs, io};

use crate::{
    blocking::blocking,
    execution::{self, remove_folder},
    helper::Helpers,
    state::{Folder, Home, Launched, Lock, Stage},
};

/// Every execution of the owner on the host, and where it stands.
pub(crate) async fn owned(home: &Home, owner: &Owner, host: &HostName) -> io::Result<Vec<(Launched, Stage)>> {
    let (home, owner, host) = (home.clone(), owner.clone(), host.clone());
    blocking(move || {
        let mut found = Vec::new();
        for (_, folder) in home.all()? {
            let launched = match folder.launched() {
                Ok(Some(launched)) => launched,
                Ok(None) => continue,
                // Not on disk whole when the power went, and therefore before anything was started.
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!("an execution's record is passed over: {error}");
                    continue;
                }
                Err(error) => return Err(error),
            };
            if (&launched.owner, &launched.host) == (&owner, &host) {
                let stage = folder.stage()?;
                if let Stage::Lost(started) = &stage {
                    // A program that has changed its user outlives its supervisor.
                    execution::end_lost(started)?;
                }
                found.push((launched, stage));
            }
        }
        Ok(found.into_iter().filter(|(_, stage)| *stage != Stage::Absent).collect())
    })
    .await
}

/// Removes folders of the owner that were never finished, or taken out of sight and not removed. Returns how many.
pub(crate) async fn remains(home: &Home, owner: &Owner, host: &HostName, helpers: &Helpers) -> io::Result<u64> {
    let (folder, owner, host) = (home.executions(), owner.clone(), host.clone());
    let found = blocking(move || {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let hidden =
                entry.file_name().to_str().is_some_and(|name| name.starts_with(".new.") || name.starts_with(".gone."));
            let folder = Folder::new(entry.path());
            // A folder without a record of its own is on its way to get one, or to nothing.
            let ours =
                folder.launched().ok().flatten().is_some_and(|it| (it.owner, it.host) == (owner.clone(), host.clone()));
            if hidden && ours && !Lock::is_held(&folder.lock())? {
                found.push(folder);
            }
        }
        Ok(found)
    });
    let mut removed = 0;
    for folder in found.await? {
        remove_folder(helpers, folder).await?;
        removed += 1;
    }
    Ok(removed)
}
