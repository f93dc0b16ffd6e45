//! The container by libcontainer: made, started, or unmade.

use libcontainer::{
    container::{Container, builder::ContainerBuilder},
    syscall::syscall::SyscallType,
};
use longshore_core::ErrorKind;
use rustix::{
    fs::{Gid, Uid, fchown},
    pipe::{PipeFlags, pipe_with},
    process::{PidfdFlags, Signal as RawSignal, WaitOptions, pidfd_open, pidfd_send_signal, waitpid},
};
use std::{
    collections::BTreeSet,
    ffi::CString,
    fs::{self, File},
    io::Read,
    os::fd::OwnedFd,
    path::Path,
    sync::Arc,
};

use super::{
    fault::{Doing, Fault, Outcome},
    files::{self, Given, Inside},
    order::{Order, Program},
    program::Become,
    root::Ground,
    spaces,
    spec::{self, Sources},
    users::{self, User},
};
use crate::{seccomp, state::Exit};

/// The id by which libcontainer knows the container; its state is in a folder of the container's own.
const ID: &str = "container";

/// A container that has been made and waits to be started.
pub(super) struct Made {
    container: Container,
    failure: File,
    pub(super) init: Init,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
}

/// The container's first process.
#[derive(Debug)]
pub(super) struct Init {
    pub(super) pid: i32,
    /// Readable when the process has ended.
    pub(super) alive: OwnedFd,
}

/// Makes the container: its namespaces, its limits, its root, up to the moment before the program.
pub(super) fn make(order: &Order, ground: &Ground) -> Outcome<Made> {
    let given = files::given(order, &ground.files)?;
    let user = look_inside(order, ground, &given)?;
    let sources = Sources { rootfs: &ground.rootfs, given: &given, binds: &ground.binds };
    let spec =
        spec::spec(order, &user, &sources, circumstances()).doing("the container can't be described to its runtime")?;
    spec.save(ground.bundle.join("config.json")).doing("the container's description can't be written")?;
    let pipe = || pipe_with(PipeFlags::CLOEXEC).doing("a pipe can't be made");
    let ((stdout, stdout_there), (stderr, stderr_there), (failure, failure_there)) = (pipe()?, pipe()?, pipe()?);
    for output in [&stdout_there, &stderr_there] {
        // Programs open /dev/stdout too.
        let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
        fchown(output, Some(uid), Some(gid)).doing("the outputs can't be given to the user")?;
    }
    let null: OwnedFd = File::open("/dev/null").doing("/dev/null can't be opened")?.into();
    refuse_open_folders()?;
    let become_program = become_program(order, &user, failure_there)?;
    let container = ContainerBuilder::new(ID.to_owned(), SyscallType::default())
        .with_executor(become_program)
        .with_stdin(null)
        .with_stdout(stdout_there)
        .with_stderr(stderr_there)
        .with_root_path(&ground.runtime)
        .and_then(|builder| builder.as_init(&ground.bundle).with_systemd(false).with_detach(true).build())
        .map_err(not_made)?;
    let pid =
        container.pid().ok_or_else(|| Fault::new(ErrorKind::StartFailed, "the container has no first process"))?;
    Ok(Made { container, failure: failure.into(), init: Init::of(pid.as_raw())?, stdout, stderr })
}

/// Finds the user, and makes the places that are needed, in a root whose links lead nowhere outside of it.
fn look_inside(order: &Order, ground: &Ground, given: &[Given]) -> Outcome<User> {
    let inside = Inside::new(&ground.rootfs)?;
    ["/dev", "/proc", "/sys"].iter().try_for_each(|folder| inside.require_folder(folder))?;
    given.iter().try_for_each(|file| inside.remove_link(file.target))?;
    let user = user(order, &inside)?;
    inside.make_folder(&order.program.working_directory)?;
    Ok(user)
}

/// A folder that is open when the container's first process is made would be a way out of the container, by its working
/// directory, its program or a script's interpreter (CVE-2024-21626).
fn refuse_open_folders() -> Outcome<()> {
    let entries = fs::read_dir("/proc/self/fd").doing("open files can't be listed")?;
    let targets: Vec<_> = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok()).collect();
    // The list itself is one, and closed by now.
    match targets.iter().find(|target| target.is_dir() && !target.starts_with("/proc")) {
        Some(target) => {
            Err(Fault::new(ErrorKind::StartFailed, format!("{} is open and must not be", target.display())))
        }
        None => Ok(()),
    }
}

fn user(order: &Order, inside: &Inside) -> Outcome<User> {
    let (passwd, group) = (inside.text("/etc/passwd")?, inside.text("/etc/group")?);
    let mut user = users::find(order.program.user.as_deref(), &passwd, &group)?;
    if fs::read_to_string("/proc/self/setgroups").is_ok_and(|answer| answer.trim() == "deny") {
        user.groups.clear();
    }
    if order.rootless && !spaces::has_user(user.uid, user.gid).doing("the user namespace can't be read")? {
        let message = format!(
            "the user {}:{} does not exist in this user's namespace; give the user ranges in /etc/subuid and \
             /etc/subgid and install newuidmap (Debian: uidmap), or run the job as 0:0",
            user.uid, user.gid
        );
        return Err(Fault::new(ErrorKind::Unsupported, message));
    }
    Ok(user)
}

fn circumstances() -> spec::Circumstances {
    let memory = Path::new("/sys/fs/cgroup/memory");
    spec::Circumstances {
        has_terminal_group: spaces::has_user(0, 5).unwrap_or(false),
        counts_swap: !memory.is_dir() || memory.join("memory.memsw.limit_in_bytes").exists(),
    }
}

fn become_program(order: &Order, user: &User, failure: OwnedFd) -> Outcome<Become> {
    let held: BTreeSet<String> = order.capabilities.iter().cloned().collect();
    let filter = seccomp::filter(&held).doing("the seccomp filter can't be made")?;
    let env = environment(&order.program, user);
    let search = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default().to_owned();
    let strings = |texts: &[String]| -> Outcome<Arc<[CString]>> {
        let strings: Result<Vec<CString>, _> = texts.iter().map(|text| CString::new(text.as_str())).collect();
        strings.map(Into::into).doing("an argument or variable can't be passed on")
    };
    let own = pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).doing("the supervisor can't be watched")?;
    Ok(Become {
        arguments: strings(&order.program.arguments)?,
        env: strings(&env)?,
        search,
        working_directory: order.program.working_directory.clone(),
        filter: filter.into(),
        supervisor: Arc::new(own),
        failure: Arc::new(failure),
    })
}

/// What the image and the job do not say, as Docker has it.
fn environment(program: &Program, user: &User) -> Vec<String> {
    let defaults = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"),
        ("HOSTNAME", &program.hostname),
        ("HOME", &user.home),
    ];
    let has = |name: &str| program.env.iter().any(|own| own.split('=').next() == Some(name));
    let missing = defaults.into_iter().filter(|(name, _)| !has(name)).map(|(name, value)| format!("{name}={value}"));
    missing.chain(program.env.iter().cloned()).collect()
}

/// What libcontainer could not do, unless it was a fault of our own that only passed through it.
fn not_made(error: libcontainer::error::LibcontainerError) -> Fault {
    let fault = Fault::of("the container can't be made", error);
    Fault::from_text(&fault.message).unwrap_or(fault)
}

impl Made {
    /// Starts the program; comes back when it has been executed, or could not be.
    pub(super) fn start(&mut self) -> Outcome<()> {
        self.container.start().doing("the container can't be started")?;
        let mut said = String::new();
        self.failure.read_to_string(&mut said).doing("the container can't be heard")?;
        if said.is_empty() {
            return Ok(());
        }
        Err(Fault::from_text(&said).unwrap_or_else(|| Fault::new(ErrorKind::StartFailed, said)))
    }
}

impl Init {
    fn of(pid: i32) -> Outcome<Self> {
        let watched = rustix::process::Pid::from_raw(pid).map(|pid| pidfd_open(pid, PidfdFlags::empty()));
        match watched {
            Some(Ok(alive)) => Ok(Self { pid, alive }),
            Some(Err(error)) => Err(Fault::of("the container can't be watched", error)),
            None => Err(Fault::new(ErrorKind::StartFailed, "the container has no first process")),
        }
    }

    /// Sends the signal, unless the process has ended.
    pub(super) fn signal(&self, signal: RawSignal) {
        let _ = pidfd_send_signal(&self.alive, signal);
    }

    /// How the process has ended, if it has; waits for it when told to. By rustix, because nix knows no real-time signals
    /// and would lose the end of what dies of one.
    pub(super) fn ended(&self, wait: bool) -> rustix::io::Result<Option<Exit>> {
        let flags = if wait { WaitOptions::empty() } else { WaitOptions::NOHANG };
        let pid = rustix::process::Pid::from_raw(self.pid);
        let Some((_, status)) = rustix::io::retry_on_intr(|| waitpid(pid, flags))? else { return Ok(None) };
        let killed = status.terminating_signal().and_then(|number| u8::try_from(number).ok()).map(Exit::Signal);
        Ok(status.exit_status().map(Exit::Code).or(killed))
    }

    /// Ends it, and with it every process of the container.
    pub(super) fn destroy(&self) {
        self.signal(RawSignal::KILL);
        let _ = self.ended(true);
    }
}
