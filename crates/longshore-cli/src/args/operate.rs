//! Dispatching, cleaning up, and pausing hosts.

use clap::Args;
use std::net::SocketAddr;

use super::{ConfigurationArgs, StoreArgs};
use crate::help;

/// Runs the jobs that were handed in, until it is stopped
///
/// Any number of dispatchers may share a database. Whatever instant one dies in, another goes on with its jobs.
///
/// The hosts are those of the configuration, which takes effect anew when its file changes; without one they are this
/// machine's Docker Engine and, where none answers, the embedded executor.
///
/// On a shared PostgreSQL a host's name means the same place for every dispatcher: hosts of a configuration that are a
/// machine's own engine need a name of their own on each machine, as this machine's unconfigured ones have there
/// (`docker-1a2b3c4d`).
#[derive(Args)]
#[command(after_help = help::DISPATCH)]
pub(crate) struct DispatchArgs {
    /// Ends when nothing runs and nothing can be launched now
    #[arg(long)]
    pub(crate) once: bool,

    /// How many jobs it looks after at one time, at most
    #[arg(long, value_name = "COUNT")]
    pub(crate) max_jobs: Option<String>,

    /// When it is stopped, waits for the end of what runs, and launches nothing new
    #[arg(long)]
    pub(crate) drain: bool,

    /// When it is stopped, stops what runs
    #[arg(long, conflicts_with = "drain")]
    pub(crate) stop_jobs: bool,

    /// Where it tells Prometheus its figures, such as 127.0.0.1:9464
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) metrics: Option<SocketAddr>,

    /// After how long without an answer about a job it counts as lost
    #[arg(long, value_name = "TIME", default_value = "7d")]
    pub(crate) lost_after: String,

    /// Removes jobs that ended longer ago than this, with their logs; by default they are kept
    #[arg(long, value_name = "TIME")]
    pub(crate) retention: Option<String>,

    /// The installation that owns what is created; by default the database's own
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
}

/// Removes what nobody needs any more: jobs that ended long ago, with their logs
#[derive(Args)]
pub(crate) struct CleanupArgs {
    /// Removes what lies on hosts or among the logs and belongs to no job that is kept, instead of jobs
    #[arg(long)]
    pub(crate) orphans: bool,

    /// How long ago they must have ended, or what lies on hosts must have been made; by default 30d, and with --orphans 1h
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<String>,

    /// Tells what would be removed, and removes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// The installation whose leftovers are meant; by default the database's own
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Prints what was removed as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct PauseArgs {
    /// The hosts
    #[arg(required_unless_present = "all", value_name = "NAME")]
    pub(crate) names: Vec<String>,

    /// Every host
    #[arg(long, conflicts_with = "names")]
    pub(crate) all: bool,

    /// Why, for whoever asks
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub(crate) why: Option<String>,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Prints what was done as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
