//! The container's root, mounted where only the supervisor and the container see it.

use longshore_core::ErrorKind;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{
    fault::{Doing, Fault, Outcome},
    order::{Order, Root, RootForm},
};
use crate::{
    image::{self, Whiteouts},
    remove,
    state::Folder,
};

/// What a container is made of, in memory that goes with the supervisor.
#[derive(Debug)]
pub(super) struct Ground {
    /// The container's root.
    pub(super) rootfs: PathBuf,
    /// Files that are put into the container.
    pub(super) files: PathBuf,
    /// The bundle that libcontainer reads.
    pub(super) bundle: PathBuf,
    /// libcontainer's own state.
    pub(super) runtime: PathBuf,
    /// Keeps the image's layers from being collected.
    _image: Option<File>,
}

/// Makes the root of the order's image.
pub(super) fn prepare(order: &Order, folder: &Folder) -> Outcome<Ground> {
    let mounted = folder.mount_point();
    fs::create_dir_all(&mounted).doing("the mount point can't be made")?;
    let options = Some("mode=0711,size=16m");
    mount(Some("tmpfs"), &mounted, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options)
        .doing("a file system in memory can't be mounted")?;
    let make = |name: &str| {
        let path = mounted.join(name);
        fs::create_dir(&path).doing("a folder can't be made").map(|()| path)
    };
    let image = order.root.lock.as_deref().map(hold).transpose()?;
    let rootfs = match order.root.form {
        RootForm::Overlay => overlay(&order.root, folder, make("rootfs")?, order.rootless)?,
        RootForm::Copy => copy(&order.root, folder, order.rootless)?,
    };
    Ok(Ground { rootfs, files: make("files")?, bundle: make("bundle")?, runtime: make("runtime")?, _image: image })
}

/// Shares the image's lock, so that nobody removes its layers.
fn hold(path: &Path) -> Outcome<File> {
    let gone = |error: std::io::Error| {
        Fault::new(ErrorKind::ImageUnavailable, format!("the image was removed since it was prepared: {error}"))
    };
    let file = File::open(path).map_err(gone)?;
    flock(&file, FlockOperation::NonBlockingLockShared).map_err(|error| gone(error.into()))?;
    Ok(file)
}

/// The layers by short links, because the kernel takes only a page of options and reads `:` and `,` in paths as its own.
fn overlay(root: &Root, folder: &Folder, rootfs: PathBuf, rootless: bool) -> Outcome<PathBuf> {
    let mounted = folder.mount_point();
    let link = |name: &str, target: &Path| symlink(target, mounted.join(name)).doing("a link can't be made");
    for (name, path) in [("u", folder.upper()), ("w", folder.work())] {
        fs::create_dir_all(&path).doing("the container's own layer can't be made")?;
        link(name, &path)?;
    }
    let lowest_last = root.layers.iter().rev().enumerate();
    let names: Vec<String> = lowest_last
        .map(|(number, layer)| link(&number.to_string(), layer).map(|()| number.to_string()))
        .collect::<Outcome<_>>()?;
    let user = if rootless { ",userxattr" } else { "" };
    let options = format!("lowerdir={},upperdir=u,workdir=w{user}", names.join(":"));
    std::env::set_current_dir(&mounted).doing("the mount point can't be entered")?;
    let done = mount(Some("overlay"), &rootfs, Some("overlay"), MsFlags::empty(), Some(options.as_str()))
        .doing("the image's layers can't be mounted over each other");
    std::env::set_current_dir("/").doing("the root can't be entered")?;
    done.map(|()| rootfs)
}

fn copy(root: &Root, folder: &Folder, rootless: bool) -> Outcome<PathBuf> {
    let whiteouts = if rootless { Whiteouts::User } else { Whiteouts::Trusted };
    let target = folder.upper();
    fs::create_dir_all(&target).doing("the container's root can't be made")?;
    image::flatten(&root.layers, &target, whiteouts).doing("the image's layers can't be copied")?;
    Ok(target)
}

/// Removes what the container wrote to its root.
pub(super) fn discard(folder: &Folder) -> std::io::Result<()> {
    let _ = umount2(&folder.mount_point().join("rootfs"), MntFlags::MNT_DETACH);
    remove::tree(&folder.upper())?;
    remove::tree(&folder.work())
}
