//! Removing folder trees that a container has written.

use std::{io, path::Path};

use crate::image;

/// Removes the folder and all that is in it, however deep; what is gone is fine.
pub(crate) fn tree(folder: &Path) -> io::Result<()> {
    Ok(image::remove_tree(folder)?)
}
