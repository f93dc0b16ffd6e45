//! Where paths of the host lead in truth: a link in an allowed folder must not lead out of what is allowed.

use longshore_core::{Allow, JobTemplate, MountSource, Result};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Checks the template's paths of the host again, with every link followed. What is not there is told by whoever needs
/// it.
///
/// # Errors
/// `Unsupported`, naming the field and what the operator would have to allow.
pub(crate) fn check_paths(template: &JobTemplate, allow: &Allow) -> Result<()> {
    if let Some(local) = template.image.local() {
        check("image", local.path(), &allow.image_folders, "the folder that it leads to in allow.image_folders")?;
    }
    for mount in &template.mounts {
        if let MountSource::Bind(path) = &mount.source {
            check("mounts", path, &allow.bind_mounts, "the folder that it leads to in allow.bind_mounts")?;
        }
    }
    Ok(())
}

fn check(field: &str, path: &str, folders: &BTreeSet<PathBuf>, way_out: &str) -> Result<()> {
    let Ok(truth) = fs::canonicalize(path) else { return Ok(()) };
    let within = |folder: &PathBuf| fs::canonicalize(folder).is_ok_and(|folder| truth.starts_with(folder));
    if folders.iter().any(within) {
        return Ok(());
    }
    let shown = format!("{path} (in truth {})", Path::new(&truth).display());
    Err(Allow::refusal(field, &shown, way_out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_link_out_of_what_is_allowed_is_refused() {
        let (allowed, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(allowed.path().join("in"), "").unwrap();
        symlink(other.path(), allowed.path().join("out")).unwrap();
        symlink(allowed.path().join("in"), allowed.path().join("back")).unwrap();
        let folders = BTreeSet::from([allowed.path().to_owned()]);
        let look = |name: &str| check("mounts", allowed.path().join(name).to_str().unwrap(), &folders, "way out");
        assert!(look("in").is_ok() && look("back").is_ok() && look("missing").is_ok());
        let error = look("out").unwrap_err().to_string();
        assert!(error.contains("in truth") && error.contains(other.path().to_str().unwrap()), "{error}");
    }
}
