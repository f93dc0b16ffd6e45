//! The supervisor: the process that looks after one container, from before its first process to after its last. It
//! outlives whoever launched it.
//!
//! It is this same program, executed again under another name ([`NAME`]), so that nothing has to be installed;
//! [`supervise`] is where it begins.

mod cgroup;
mod container;
mod devices;
mod fault;
mod files;
mod network;
mod order;
mod program;
mod pump;
mod root;
mod run;
mod spaces;
mod spec;
mod stops;
mod tasks;
mod users;

pub(crate) use cgroup::{clear as clear_cgroups, has_ended, remove as remove_cgroups};
pub(crate) use order::{
    GO, Limits, NetworkHelper, NetworkOrder, Order, PROTOCOL, Program, Report, Root, RootForm, SecretFile, uptime,
};
pub(crate) use tasks::Task;

use std::{
    env,
    ffi::OsString,
    process,
    sync::atomic::{AtomicBool, Ordering},
};

/// The name under which this program is executed to be a supervisor.
pub(crate) const NAME: &str = "longshore-supervisor";

static READY: AtomicBool = AtomicBool::new(false);

/// Makes this program able to run containers: the first line of `main`, before any thread is started.
///
/// Returns at once, unless Longshore has executed this program to look after a container: then it does that, and ends
/// the process. It costs an ordinary start of the program a look at its own name.
///
/// A `main` that is an `async fn` under `#[tokio::main]` has threads already: make the runtime by hand after this line.
pub fn supervise() {
    READY.store(true, Ordering::Relaxed);
    let mut arguments = env::args_os();
    if arguments.next().is_some_and(|name| name == NAME) {
        end(tasks::perform(&arguments.collect::<Vec<OsString>>()));
    }
}

#[expect(clippy::exit, reason = "the process was started for nothing else")]
fn end(code: u8) {
    process::exit(code.into());
}

/// Whether [`supervise`] has been called in this process.
pub(crate) fn is_ready() -> bool {
    READY.load(Ordering::Relaxed)
}
