//! What is on disk: one folder an execution, under the name of its token, and the images beside them.
//!
//! ```text
//! version            the version of all that is below
//! id                 which runtime this is, made at the first use
//! images/            the image store
//! program            where supervisors see their own program
//! executions/TOKEN/
//!   launch.json      what was asked: written and synced before anything runs
//!   lock             locked by the launcher, then by the supervisor, for as long as either lives
//!   supervisor.json  the process that looks after it
//!   started.json     which processes, since when; written just before the program is executed
//!   exit.json        how it ended; written whole or not at all
//!   stop.*           requests to stop it, each in its name
//!   stdout, stderr, log.index
//!   upper/, work/    what the container writes to its root
//!   mnt/             where the supervisor mounts what only it and the container see
//! ```

mod boot;
mod folder;
mod home;
mod identity;
mod lock;
mod record;

pub(crate) use boot::boot_id;
use boot::{is_zombie, process_start};
pub(crate) use folder::{Folder, Stage};
pub(crate) use home::Home;
pub(crate) use identity::RuntimeId;
pub(crate) use lock::Lock;
pub(crate) use record::{
    Ended, Exit, Launched, LogEnd, Process, Started, StopWish, Used, read, write_new, write_new_synced, write_over,
};
