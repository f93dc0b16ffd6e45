//! The container's network, from the outside.

use longshore_core::ErrorKind;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, setns},
};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, Signal, pidfd_open},
};
use std::{
    fs::File,
    io::{self, Read},
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    process::{Child, Command, Stdio},
};

use super::{
    fault::{Doing, Fault, Outcome},
    order::{NetworkHelper, NetworkOrder},
};
use crate::state::Process;

/// What keeps a network going; it ends with the container.
#[derive(Debug)]
pub(super) struct Connection {
    /// The helper, where there is one, so that others can end it when the supervisor can't.
    pub(super) helper: Option<Process>,
    /// slirp4netns ends when nobody holds this any more.
    _alive: Option<OwnedFd>,
}

/// Sets the network of the container up, whose first process has been made and not started.
pub(super) fn connect(network: &NetworkOrder, init: i32, files: &Path) -> Outcome<Connection> {
    let namespace = format!("/proc/{init}/ns/net");
    match network {
        NetworkOrder::Host => Ok(Connection { helper: None, _alive: None }),
        NetworkOrder::None => {
            let namespace = File::open(namespace).doing("the container's network")?;
            // The supervisor itself needs none.
            setns(&namespace, CloneFlags::CLONE_NEWNET).doing("the container's network can't be entered")?;
            loopback_up().doing("the container's loopback can't be set up")?;
            Ok(Connection { helper: None, _alive: None })
        }
        NetworkOrder::Private(NetworkHelper::Slirp(program)) => slirp(program, &namespace, files),
        NetworkOrder::Private(NetworkHelper::Pasta(program)) => pasta(program, &namespace, files),
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(helper) = self.helper {
            let _ = helper.signal(Signal::KILL);
        }
    }
}

/// slirp4netns says on one pipe that it is ready, and ends when the other is closed. Both are inherited: the supervisor
/// has one thread, and starts nothing else.
fn slirp(program: &Path, namespace: &str, files: &Path) -> Outcome<Connection> {
    let (ready, ready_there) = pipe_with(PipeFlags::empty()).doing("a pipe can't be made")?;
    let (exit_there, alive) = pipe_with(PipeFlags::empty()).doing("a pipe can't be made")?;
    for own in [&ready, &alive] {
        rustix::io::fcntl_setfd(own, rustix::io::FdFlags::CLOEXEC).doing("a pipe can't be kept")?;
    }
    let mut command = Command::new(program);
    command.args(["--configure", "--mtu=65520", "--disable-host-loopback", "--enable-sandbox", "--enable-seccomp"]);
    command.arg(format!("--ready-fd={}", ready_there.as_raw_fd()));
    command.arg(format!("--exit-fd={}", exit_there.as_raw_fd()));
    // By path and not by process: this process may be in the same user namespace, which nobody can enter twice.
    command.args(["--netns-type=path", namespace, "tap0"]);
    let helper = spawn(command, program, files)?;
    drop((ready_there, exit_there));
    let mut said = [0];
    let in_time = is_readable(&ready).doing("the network's helper can't be heard")?;
    if !in_time || File::from(ready).read(&mut said).doing("the network's helper can't be heard")? == 0 {
        return Err(failed(helper, files));
    }
    let process = Process::living(helper.id().cast_signed()).doing("the network's helper can't be looked at")?;
    Ok(Connection { helper: Some(process), _alive: Some(alive) })
}

/// pasta goes to the background when it is ready. It may look at no other process then, so it is shown the network as a
/// file.
fn pasta(program: &Path, namespace: &str, files: &Path) -> Outcome<Connection> {
    let (shown, number) = (files.join("network"), files.join("network.pid"));
    File::create(&shown).doing("the container's network can't be shown")?;
    mount(Some(namespace), &shown, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        .doing("the container's network can't be shown")?;
    let mut command = Command::new(program);
    command.args(["--quiet", "--config-net", "--no-map-gw", "--runas", "0", "--netns-only"]);
    command.args(["--tcp-ports", "none", "--udp-ports", "none", "--tcp-ns", "none", "--udp-ns", "none"]);
    command.arg("--pid").arg(&number).arg("--netns").arg(&shown);
    let mut helper = spawn(command, program, files)?;
    let in_time = pidfd_open(Pid::from_child(&helper), PidfdFlags::empty()).and_then(|process| is_readable(&process));
    if !in_time.doing("the network's helper can't be watched")? {
        return Err(failed(helper, files));
    }
    if !helper.wait().doing("the network's helper can't be heard")?.success() {
        return Err(failed(helper, files));
    }
    let number = std::fs::read_to_string(number).doing("the network's helper can't be found")?;
    let number = number.trim().parse().doing("the network's helper can't be found")?;
    let process = Process::living(number).doing("the network's helper can't be looked at")?;
    Ok(Connection { helper: Some(process), _alive: None })
}

/// How long a helper may take to be ready.
const READY: Timespec = Timespec { tv_sec: 30, tv_nsec: 0 };

/// Waits until there is something to read, or for so long.
fn is_readable(file: &OwnedFd) -> rustix::io::Result<bool> {
    rustix::io::retry_on_intr(|| poll(&mut [PollFd::new(file, PollFlags::IN)], Some(&READY))).map(|ready| ready > 0)
}

/// Its words go into a file: nobody would empty a pipe for as long as it runs.
fn spawn(mut command: Command, program: &Path, files: &Path) -> Outcome<Child> {
    let words = File::create(files.join(WORDS)).doing("the network's helper can't be heard")?;
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(words).spawn();
    spawned.doing(format!("{} can't be started", program.display()))
}

const WORDS: &str = "network.log";

/// In the helper's own words.
fn failed(mut helper: Child, files: &Path) -> Fault {
    let _ = helper.kill();
    let _ = helper.wait();
    let words = std::fs::read_to_string(files.join(WORDS)).unwrap_or_default();
    let said: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let said = if said.is_empty() { "its helper says nothing".to_owned() } else { said.join("; ") };
    Fault::new(ErrorKind::StartFailed, format!("the container's network could not be connected: {said}"))
}

/// Sets the first interface of a network namespace, its loopback, up (`rtnetlink(7)`).
fn loopback_up() -> io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    send(&socket, &set_up_request(), SendFlags::empty())?;
    let mut answer = [0; 64];
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::empty())?;
    let code =
        answer.get(16..20).filter(|_| length >= 20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// `RTM_NEWLINK`, acknowledged, for interface 1: `IFF_UP` on.
fn set_up_request() -> [u8; 32] {
    const RTM_NEWLINK: u16 = 16;
    const REQUEST_AND_ACKNOWLEDGE: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = [0; 32];
    message[..4].copy_from_slice(&32u32.to_ne_bytes());
    message[4..6].copy_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message[6..8].copy_from_slice(&REQUEST_AND_ACKNOWLEDGE.to_ne_bytes());
    message[8..12].copy_from_slice(&1u32.to_ne_bytes());
    message[20..24].copy_from_slice(&1i32.to_ne_bytes());
    message[24..28].copy_from_slice(&IFF_UP.to_ne_bytes());
    message[28..32].copy_from_slice(&IFF_UP.to_ne_bytes());
    message
}
