//! Files that are looked up in the container's root, and files that are put into it.

use base64::{Engine, prelude::BASE64_STANDARD};
use longshore_core::ErrorKind;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, mkdirat, openat2, statat, unlinkat},
    io::Errno,
};
use std::{
    fs::{self, File, Permissions},
    io::{self, Read},
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{Path, PathBuf},
};

use super::{
    fault::{Doing, Fault, Outcome},
    order::{NetworkHelper, NetworkOrder, Order, SecretFile},
};

/// Longer tables of users are cut off there.
const TABLE: u64 = 4 << 20;

/// A root whose links, however they point, lead nowhere outside of it.
pub(super) struct Inside(File);

impl Inside {
    pub(super) fn new(rootfs: &Path) -> Outcome<Self> {
        File::open(rootfs).map(Self).doing("the container's root can't be opened")
    }

    fn open(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// The text of an ordinary file; empty where there is none.
    pub(super) fn text(&self, path: &str) -> Outcome<String> {
        let file = match self.open(path, OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => File::from(file),
            Err(_) => return Ok(String::new()),
        };
        let mut bytes = Vec::new();
        if file.metadata().is_ok_and(|found| found.is_file()) {
            file.take(TABLE).read_to_end(&mut bytes).doing(format!("the image's {path} can't be read"))?;
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Makes sure that a place where the runtime mounts is a folder and no link: the runtime follows links there.
    pub(super) fn require_folder(&self, path: &str) -> Outcome<()> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        match openat2(&self.0, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty(), resolve) {
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(_) => Err(Fault::new(
                ErrorKind::Invalid,
                format!("the image's {path} is no folder; make it one, or leave it out"),
            )),
        }
    }

    /// Removes what lies in the place of a file that every container is given, if it is a link: often it leads to what
    /// only another machine has.
    pub(super) fn remove_link(&self, path: &str) -> Outcome<()> {
        let path = Path::new(path);
        let (Some(above), Some(name)) = (path.parent().and_then(Path::to_str), path.file_name()) else { return Ok(()) };
        let Ok(folder) = self.open(above, OFlags::PATH | OFlags::DIRECTORY) else { return Ok(()) };
        match statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::Symlink => {
                unlinkat(&folder, name, AtFlags::empty()).doing(format!("the image's {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Makes the folder and those above it where they are not there.
    pub(super) fn make_folder(&self, path: &str) -> Outcome<()> {
        let mut above = String::from("/");
        for part in
            Path::new(path).components().filter_map(|part| part.as_os_str().to_str()).filter(|part| *part != "/")
        {
            let folder = self.open(&above, OFlags::PATH | OFlags::DIRECTORY).doing(format!("the image's {above}"))?;
            match mkdirat(&folder, part, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error).doing(format!("the working directory {path} can't be made")),
            }
            above = format!("{}/{part}", above.trim_end_matches('/'));
        }
        Ok(())
    }
}

/// What is put into the container: where it lies, where it is to be seen.
pub(super) struct Given {
    pub(super) source: PathBuf,
    pub(super) target: &'static str,
    pub(super) read_only: bool,
}

/// Makes the files that every container is given.
pub(super) fn given(order: &Order, folder: &Path) -> Outcome<Vec<Given>> {
    let hostname = &order.program.hostname;
    let hosts = format!("127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n127.0.1.1\t{hostname}\n");
    let mut given = Vec::new();
    let files = [
        ("/etc/hostname", "hostname", format!("{hostname}\n")),
        ("/etc/hosts", "hosts", hosts),
        ("/etc/resolv.conf", "resolv.conf", resolvers(&order.network)),
    ];
    for (target, name, text) in files {
        let source = folder.join(name);
        write(&source, text.as_bytes(), 0o644).doing(format!("{target} can't be made"))?;
        given.push(Given { source, target, read_only: false });
    }
    if !order.secrets.is_empty() {
        given.push(Given { source: secrets(&order.secrets, folder)?, target: "/run/secrets", read_only: true });
    }
    Ok(given)
}

fn secrets(secrets: &[SecretFile], folder: &Path) -> Outcome<PathBuf> {
    let source = folder.join("secrets");
    fs::create_dir(&source).doing("the folder for secrets can't be made")?;
    fs::set_permissions(&source, Permissions::from_mode(0o755)).doing("the folder for secrets can't be opened")?;
    for secret in secrets {
        let value = BASE64_STANDARD.decode(&secret.value).doing("a secret can't be read")?;
        write(&source.join(&secret.name), &value, 0o444).doing("a secret can't be delivered")?;
    }
    Ok(source)
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    fs::write(path, bytes)?;
    fs::set_permissions(path, Permissions::from_mode(mode))
}

/// slirp4netns answers for names itself. Elsewhere the host's servers are used, less those that only the host can reach.
fn resolvers(network: &NetworkOrder) -> String {
    match network {
        NetworkOrder::None => String::new(),
        NetworkOrder::Private(NetworkHelper::Slirp(_)) => "nameserver 10.0.2.3\n".to_owned(),
        NetworkOrder::Host => fs::read_to_string("/etc/resolv.conf").unwrap_or_default(),
        NetworkOrder::Private(NetworkHelper::Pasta(_)) => {
            let own = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
            let reachable = |line: &&str| !line.contains("127.0.0.") && !line.contains("::1");
            own.lines().filter(reachable).map(|line| format!("{line}\n")).collect()
        }
    }
}
