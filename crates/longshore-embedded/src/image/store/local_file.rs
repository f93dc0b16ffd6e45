//! Files and folders of this machine, as the store knows them again.

use longshore_core::{Error, ErrorKind, ImageFormat, LocalImage, Result};
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

/// A local image's file, found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LocalFile {
    /// The image by its file's own path, links resolved.
    pub(super) name: String,
    /// The file's state, which is another when it was changed.
    pub(super) state: String,
}

impl LocalFile {
    /// Looks at the file: of a layout, at its index, which changes with whatever it names.
    pub(super) fn find(image: &LocalImage) -> Result<Self> {
        let failed = |error| unreadable(image, error);
        let path = fs::canonicalize(image.path()).map_err(failed)?;
        let watched = match image.format() {
            ImageFormat::OciLayout => path.join("index.json"),
            _ => path.clone(),
        };
        let found = fs::metadata(&watched).map_err(failed)?;
        let name = image.name().map(|name| format!(":{name}")).unwrap_or_default();
        Ok(Self { name: format!("{}:{}{name}", image.format().scheme(), path.display()), state: state(&found) })
    }
}

fn state(of: &Metadata) -> String {
    let (device, number, size) = (of.dev(), of.ino(), of.size());
    let (changed, changed_part, status, status_part) = (of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec());
    format!("{device}.{number}.{size}.{changed}.{changed_part}.{status}.{status_part}")
}

/// The folder that is a container's root.
pub(super) fn root_folder(image: &LocalImage) -> Result<PathBuf> {
    let path = fs::canonicalize(image.path()).map_err(|error| unreadable(image, error))?;
    if path.is_dir() {
        return Ok(path);
    }
    let message = format!("the image {image} can't be used: {} is no folder", image.path());
    Err(Error::new(ErrorKind::ImageUnavailable, message).with_operation("prepare"))
}

fn unreadable(image: &LocalImage, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::ImageUnavailable,
        io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
        _ => ErrorKind::Unavailable,
    };
    let path = Path::new(image.path()).display();
    Error::new(kind, format!("the image {image} can't be read: {path}: {error}"))
        .with_operation("prepare")
        .with_source(error)
}
