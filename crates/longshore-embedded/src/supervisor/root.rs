//! The container's root, mounted where only the supervisor and the container see it.

use longshore_core::{ErrorKind, Mount, MountSource};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{
    devices,
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
    /// The folders of the host that are mounted, in the order of the order's mounts.
    pub(super) binds: Vec<PathBuf>,
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
    let options = Some("mode=0700,size=16m");
    mount(Some("tmpfs"), &mounted, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, options)
        .doing("a file system in memory can't be mounted")?;
    if !order.rootless {
        devices::make().doing("device files can't be made")?;
    }
    let make = |name: &str| {
        let path = mounted.join(name);
        fs::create_dir(&path).doing("a folder can't be made").map(|()| path)
    };
    let image = order.root.lock.as_deref().map(hold).transpose()?.flatten();
    let rootfs = match order.root.form {
        RootForm::Overlay => overlay(&order.root, folder, make("rootfs")?, order.rootless)?,
        RootForm::Copy => copy(&order.root, folder, order.rootless)?,
    };
    let binds = binds(order, &make("binds")?)?;
    Ok(Ground {
        rootfs,
        files: make("files")?,
        bundle: make("bundle")?,
        runtime: make("runtime")?,
        binds,
        _image: image,
    })
}

/// Shares the image's lock, so that nobody removes its layers. A folder of the host that is a root has none: an open folder
/// would be a way out of the container until its program is executed.
fn hold(path: &Path) -> Outcome<Option<File>> {
    if path.is_dir() {
        return Ok(None);
    }
    let gone = |error: std::io::Error| {
        Fault::new(ErrorKind::ImageUnavailable, format!("the image was removed since it was prepared: {error}"))
    };
    let file = File::open(path).map_err(gone)?;
    flock(&file, FlockOperation::NonBlockingLockShared).map_err(|error| gone(error.into()))?;
    Ok(Some(file))
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

/// Folders and files of the host, taken out of the host's sight: what is mounted in them later, there or here, stays where
/// it is.
fn binds(order: &Order, folder: &Path) -> Outcome<Vec<PathBuf>> {
    let bind = |(number, mounted): (usize, &Mount)| {
        let target = folder.join(number.to_string());
        let MountSource::Bind(source) = &mounted.source else { return Ok(target) };
        let found = fs::metadata(source).map_err(|error| {
            Fault::new(ErrorKind::Invalid, format!("mounts: {source} of the host can't be mounted: {error}"))
        })?;
        if found.is_dir() { fs::create_dir(&target) } else { File::create(&target).map(drop) }
            .doing("a mount point can't be made")?;
        mount(Some(source.as_str()), &target, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
            .and_then(|()| {
                mount(None::<&str>, &target, None::<&str>, MsFlags::MS_PRIVATE | MsFlags::MS_REC, None::<&str>)
            })
            .doing(format!("{source} of the host can't be mounted"))?;
        Ok(target)
    };
    order.mounts.iter().enumerate().map(bind).collect()
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
    for mounted in [folder.mount_point().join("rootfs"), folder.mount_point()] {
        let _ = umount2(&mounted, MntFlags::MNT_DETACH);
    }
    remove::tree(&folder.upper())?;
    remove::tree(&folder.work())
}
