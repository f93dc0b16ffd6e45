//! The life of a supervisor.

use longshore_core::{Clock, ErrorKind, SystemClock};
use std::{fs::File, io, os::fd::OwnedFd, path::Path, time::Duration};

use super::{
    cgroup,
    container::{self, Made},
    fault::{Doing, Fault, Outcome},
    network,
    order::{GO, Order, Report, uptime},
    pump::{Bell, Ran, Running},
    root, spaces, spec,
};
use crate::{
    logs::LogWriter,
    remove,
    state::{Ended, Folder, Process, Started, boot_id, write_new, write_new_synced, write_over},
};

/// The version of the records.
const VERSION: u32 = 1;
/// What the record of an end takes at most, kept free for it from the beginning.
const RECORD: usize = 4096;

/// How long what is left in a control group may take to end.
const LEFT: Duration = Duration::from_secs(2);

/// The three things that a supervisor is given as its standard files.
struct Given {
    /// The order, and the word to start.
    order: File,
    /// The lock on the folder, held for as long as this process lives.
    _lock: OwnedFd,
    /// What is to be said to the launcher.
    report: File,
}

/// Looks after one container. Returns the process's exit code, which nobody needs: all is in the folder.
pub(super) fn run() -> u8 {
    let Ok(mut given) = Given::take() else { return 1 };
    match started(&mut given) {
        Ok((order, begun)) => {
            let _ = spaces::say(&mut given.report, &Report::Started { at: begun.started.started_at });
            let Given { order: pipe, report, _lock } = given;
            drop((pipe, report));
            look_after(order, begun)
        }
        Err(fault) => {
            let _ = spaces::say(&mut given.report, &fault.into_report());
            1
        }
    }
}

impl Given {
    /// Takes them, and leaves nothing in their places that a container could inherit.
    fn take() -> io::Result<Self> {
        let copy = |file: std::os::fd::BorrowedFd<'_>| rustix::io::fcntl_dupfd_cloexec(file, 10);
        let given = Self {
            order: copy(rustix::stdio::stdin())?.into(),
            _lock: copy(rustix::stdio::stdout())?,
            report: copy(rustix::stdio::stderr())?.into(),
        };
        let null = File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        rustix::stdio::dup2_stderr(&null)?;
        Ok(given)
    }
}

/// A container that has been started.
struct Begun {
    folder: Folder,
    made: Made,
    started: Started,
    log: LogWriter,
    bell: Bell,
    _network: network::Connection,
    _ground: root::Ground,
}

/// From the order to the program's execution.
fn started(given: &mut Given) -> Outcome<(Order, Begun)> {
    let bell = Bell::new()?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let line = spaces::line(&mut given.order).doing("the order did not come whole")?;
    let order: Order = serde_json::from_str(&line).doing("the order can't be understood")?;
    drop(zeroed(line));
    let folder = Folder::new(order.folder.clone());
    let begun = begin(&order, &folder, given, bell);
    if begun.is_err() {
        // Nothing was started: nothing of it may be found. The lock is still ours.
        let _ = root::discard(&folder);
        if let Ok(Some(grave)) = folder.bury() {
            let _ = remove::tree(grave.path());
        }
    }
    begun.map(|begun| (order, begun))
}

/// Overwrites what held secrets.
fn zeroed(text: String) -> Vec<u8> {
    let mut bytes = text.into_bytes();
    bytes.fill(0);
    bytes
}

fn begin(order: &Order, folder: &Folder, given: &mut Given, bell: Bell) -> Outcome<Begun> {
    std::env::set_current_dir("/").doing("the root can't be entered")?;
    if order.rootless {
        // In this user namespace, which the container will be in.
        let sysctl = format!("/proc/sys/{}", spec::INOTIFY.replace('.', "/"));
        let _ = std::fs::write(sysctl, spec::INOTIFY_INSTANCES);
    }
    let own = living(std::process::id().cast_signed())?;
    write_new(&folder.supervisor_record(), &own).doing("the supervisor can't be recorded")?;
    let log = LogWriter::new(folder, order.log_cap).doing("the log can't be made")?;
    std::fs::write(folder.exit_reserve(), [b'\n'; RECORD]).doing("the execution's record can't be made")?;
    let ground = root::prepare(order, folder)?;
    if let Some(group) = &order.cgroup {
        // What another has counted or is held to is not to be this container's.
        cgroup::clear(group, LEFT).doing("the control group of this name is somebody else's")?;
    }
    match &order.cgroup {
        _ if !order.rootless => Ok(()),
        Some(group) => cgroup::hide_devices(group),
        None => cgroup::hide(),
    }
    .doing("the control groups can't be hidden")?;
    let mut made = container::make(order, &ground)?;
    let begun = connect_and_start(order, folder, given, &ground, &mut made);
    match begun {
        Ok((network, started)) => {
            Ok(Begun { folder: folder.clone(), made, started, log, bell, _network: network, _ground: ground })
        }
        Err(fault) => {
            made.init.destroy();
            // By the path: of a process that has ended nobody tells the groups any more.
            let _ = order.cgroup.as_deref().map(|group| cgroup::clear(group, LEFT));
            Err(fault)
        }
    }
}

fn connect_and_start(
    order: &Order,
    folder: &Folder,
    given: &mut Given,
    ground: &root::Ground,
    made: &mut Made,
) -> Outcome<(network::Connection, Started)> {
    let cgroups = groups(order, made.init.pid);
    if order.cgroup.is_some() && cgroups.is_empty() {
        return Err(Fault::new(
            ErrorKind::StartFailed,
            "the container is in no control group of its own: its limits would not hold",
        ));
    }
    let network = network::connect(&order.network, made.init.pid, &ground.files)?;
    let started = Started {
        version: VERSION,
        boot_id: boot_id().doing("the boot's id can't be read")?,
        supervisor: living(std::process::id().cast_signed())?,
        init: living(made.init.pid)?,
        network: network.helper,
        started_at: SystemClock.now(),
        cgroups,
    };
    await_go(given)?;
    if uptime() > order.start_by {
        return Err(Fault::new(ErrorKind::DeadlinePassed, "the deadline passed before the program could be started"));
    }
    // From here on it counts as started, whatever becomes of this process.
    write_new_synced(&folder.start_record(), &started).doing("the execution's start can't be recorded")?;
    made.start()?;
    Ok((network, started))
}

fn groups(order: &Order, init: i32) -> Vec<std::path::PathBuf> {
    let own = |group: &Path| cgroup::own_cgroups(init, group).unwrap_or_default();
    order.cgroup.as_deref().map(own).unwrap_or_default()
}

fn living(pid: i32) -> Outcome<Process> {
    Process::living(pid).doing("a process can't be looked at")
}

/// Waits until the launcher has everything on disk that must be there. Where the launcher has gone, nothing is started.
fn await_go(given: &mut Given) -> Outcome<()> {
    match spaces::line(&mut given.order) {
        Ok(word) if word == GO => Ok(()),
        Ok(_) => Err(Fault::new(ErrorKind::StartFailed, "the launcher said something else than to start")),
        Err(error) => Err(Fault::of("the launcher went away before the start", error)),
    }
}

/// From the program's execution to the record of its end.
fn look_after(order: Order, begun: Begun) -> u8 {
    let Begun { folder, made, started, log, bell, _network, _ground } = begun;
    let stop_signal = order.stop_signal;
    drop(order);
    let Made { init, stdout, stderr, .. } = made;
    let running = Running { init: &init, stdout, stderr, bell: &bell, folder: &folder, stop_signal, log };
    let Ok(ran) = running.look_after() else {
        // Nobody would look after it any more: it must not go on. Without a record of its end it is lost.
        init.destroy();
        return 1;
    };
    let finished_at = SystemClock.now();
    drop(_network);
    settle(&folder, &started, ran, finished_at)
}

fn settle(folder: &Folder, started: &Started, ran: Ran, finished_at: jiff::Timestamp) -> u8 {
    let (used, oom_kills) = cgroup::counted(&started.cgroups);
    let ended = Ended {
        version: VERSION,
        exit: ran.exit,
        started_at: started.started_at,
        finished_at,
        stop: ran.stop,
        oom_kills,
        used,
        log: ran.log.finish(),
    };
    // First of all: what takes its time must neither delay the news of an end nor lose it.
    let told = write_over(&folder.exit_reserve(), &folder.exit_record(), &ended);
    let _ = cgroup::remove(&started.cgroups);
    let _ = root::discard(folder);
    u8::from(told.is_err())
}
