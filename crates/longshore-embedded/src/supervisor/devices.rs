//! Device files of the container's own. In its user namespace root of the machine is root of the container: the host's
//! own files it could give to anybody.

use nix::{
    mount::{MsFlags, mount},
    sys::stat::{Mode, SFlag, makedev, mknod, umask},
};
use std::{fs, io, path::Path};

/// What libcontainer puts into every container, and what the network's helper needs (`Documentation/admin-guide/devices.txt`
/// of the kernel).
const DEVICES: [(&str, u64, u64); 7] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
    ("net/tun", 10, 200),
];

/// Puts new files in the place of `/dev`, in a mount namespace of the caller's own.
pub(super) fn make() -> io::Result<()> {
    let folder = Path::new("/dev");
    mount(Some("tmpfs"), folder, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC, Some("mode=0755,size=64k"))?;
    fs::create_dir(folder.join("net"))?;
    let mode = Mode::from_bits_truncate(0o666);
    let masked = umask(Mode::empty());
    let made = DEVICES
        .iter()
        .try_for_each(|(name, major, minor)| mknod(&folder.join(name), SFlag::S_IFCHR, mode, makedev(*major, *minor)));
    umask(masked);
    Ok(made?)
}
