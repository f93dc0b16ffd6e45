//! Where the configuration is, when nobody says.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

/// The names that a configuration has in its folder.
const NAMES: [&str; 4] = ["longshore.toml", "longshore.yaml", "longshore.yml", "longshore.json"];

/// Two configurations stand side by side, and nothing says which is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ambiguous {
    /// The files.
    pub files: Vec<PathBuf>,
}

impl fmt::Display for Ambiguous {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let files: Vec<String> = self.files.iter().map(|file| file.display().to_string()).collect();
        write!(f, "{} stand side by side; keep one, or name one with --config", files.join(" and "))
    }
}

impl std::error::Error for Ambiguous {}

/// The configurations in a folder. A link that leads nowhere is one, so that it is told and not passed over.
#[must_use]
pub fn configurations_in(folder: &Path) -> Vec<PathBuf> {
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok() && !path.is_dir();
    NAMES.iter().map(|name| folder.join(name)).filter(is_there).collect()
}

/// The configuration of whoever starts a program in `folder`: `longshore.toml` (or `.yaml`, `.yml`, `.json`) there, else
/// in `$XDG_CONFIG_HOME/longshore` (by default `~/.config/longshore`, as the XDG Base Directory Specification has it),
/// else in `/etc/longshore`. The first folder that has one decides. `lookup` finds a variable of the environment.
///
/// # Errors
/// Two of them in one folder.
pub fn find(folder: &Path, lookup: impl Fn(&str) -> Option<OsString>) -> Result<Option<PathBuf>, Ambiguous> {
    let absolute = |name: &str| lookup(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".config"));
    let user = absolute("XDG_CONFIG_HOME").or_else(home).map(|folder| folder.join("longshore"));
    for folder in [Some(folder.to_owned()), user, Some(PathBuf::from("/etc/longshore"))].into_iter().flatten() {
        let mut files = configurations_in(&folder);
        match files.len() {
            0 => {}
            1 => return Ok(files.pop()),
            _ => return Err(Ambiguous { files }),
        }
    }
    Ok(None)
}
