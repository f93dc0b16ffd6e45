//! Jobs that are handed in, and those that are kept.

use clap::{Args, Subcommand};

use super::{ConfigurationArgs, JobArgs, StoreArgs};
use crate::{help, values::Suggested};

/// Hands in a job, which a dispatcher runs
///
/// The job is stored, its id printed, and nothing waits for it: `longshore dispatch` runs it, on this machine or on another
/// that shares the database. `longshore jobs` tells what becomes of it.
#[derive(Args)]
#[command(after_help = help::SUBMIT, override_usage = help::SUBMIT_USAGE, args_override_self = true)]
pub(crate) struct SubmitArgs {
    /// A kind of executor or a configured host, on which alone it may run
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) executor: Option<String>,

    /// An option of the job that only this kind of executor knows, as KIND.KEY=VALUE or KIND={JSON object} (repeatable)
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(crate) executor_option: Vec<String>,

    /// What makes handing in the same job again harmless, such as an order's number
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) idempotency_key: Option<String>,

    /// From -1000 to 1000, 0 by default; each point is worth a minute of waiting
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) priority: Option<String>,

    /// How long it may wait for a place; then it ends as timed out
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) queue_timeout: Option<String>,

    #[command(flatten)]
    pub(crate) retry: RetryArgs,
    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) job: JobArgs,

    /// Leaves aside whatever configuration there is
    #[arg(long, conflicts_with_all = ["config", "template"])]
    pub(crate) no_config: bool,

    /// Prints what became of it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
#[command(next_help_heading = "When it is run again")]
pub(crate) struct RetryArgs {
    /// How often it is run again at most, after an end that --retry-on or --retry-exit-code names
    #[arg(long, value_name = "COUNT", allow_hyphen_values = true)]
    pub(crate) retries: Option<String>,

    /// After which ends (repeatable); by default infrastructure and preemption
    #[arg(long, value_name = "END", allow_hyphen_values = true, value_delimiter = ',')]
    #[arg(value_parser = Suggested(&["infrastructure", "preemption", "out-of-memory", "timeout", "failure"]))]
    pub(crate) retry_on: Vec<String>,

    /// After which exit codes (repeatable)
    #[arg(long, value_name = "CODE", allow_hyphen_values = true, value_delimiter = ',')]
    pub(crate) retry_exit_code: Vec<String>,

    /// The pause before it is run again, 10s by default; each further one is twice as long
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) retry_pause: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum JobsCommand {
    List(Box<ListArgs>),
    Show(ShowArgs),
    Logs(LogsArgs),
    Wait(WaitArgs),

    /// Asks that jobs end: one that waits ends at once, one that runs is stopped by whoever looks after it
    Cancel(ChangeArgs),

    /// Hands in a job that has ended again, as a new job that is linked to the old one
    Retry(RetryJobArgs),

    Settle(SettleArgs),

    /// Gives jobs that wait another priority
    Prioritize {
        /// From -1000 to 1000
        #[arg(allow_hyphen_values = true)]
        priority: String,

        #[command(flatten)]
        change: ChangeArgs,
    },
}

/// Lists jobs, the newest first
#[derive(Args)]
pub(crate) struct ListArgs {
    /// Only those with this status (repeatable)
    #[arg(long, value_name = "STATUS", value_delimiter = ',')]
    #[arg(value_parser = Suggested(&["pending", "launching", "running", "completed", "failed", "timed_out", "cancelled", "lost"]))]
    pub(crate) status: Vec<String>,

    /// Only those whose last attempt is on this host
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,

    /// Only those whose last attempt is on a host of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) executor: Option<String>,

    /// Only those of the template, or the job's name
    #[arg(long, value_name = "NAME")]
    pub(crate) template: Option<String>,

    /// Only those that this user asked for
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,

    /// Only those with this label (repeatable)
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,

    /// Only those handed in since then: a time such as 2026-01-31T08:00:00Z, or how long ago, such as 2h or 3d
    #[arg(long, value_name = "TIME")]
    pub(crate) since: Option<String>,

    /// Only those that are older than this job: the last one of the page before
    #[arg(long, value_name = "ID")]
    pub(crate) after: Option<String>,

    /// How many at most
    #[arg(long, value_name = "COUNT", default_value = "50")]
    pub(crate) limit: String,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Prints them as JSON (`longshore schema job-record`)
    #[arg(long)]
    pub(crate) json: bool,
}

/// Tells all that is known of a job: what was asked, every attempt and why it went where it went, and the history
#[derive(Args)]
pub(crate) struct ShowArgs {
    /// The job's id, or its first characters
    pub(crate) id: String,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Prints it as JSON (`longshore schema job-archive`)
    #[arg(long)]
    pub(crate) json: bool,
}

/// Prints the output of a job, byte for byte: stdout to stdout, stderr to stderr
///
/// While the job runs it is read from its host, afterwards from where logs are kept.
#[derive(Args)]
pub(crate) struct LogsArgs {
    /// The job's id, or its first characters
    pub(crate) id: String,

    /// Goes on until the job has ended
    #[arg(short, long)]
    pub(crate) follow: bool,

    /// The attempt; by default the last one
    #[arg(long, value_name = "NUMBER")]
    pub(crate) attempt: Option<String>,

    #[command(flatten)]
    pub(crate) configuration: ConfigurationArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Prints each piece of output as a line of JSON (`longshore schema log-record`)
    #[arg(long)]
    pub(crate) json: bool,
}

/// Waits until jobs have ended
///
/// The exit code is the job's own, as for `run`; of several jobs it is 0 when all have completed, else that of the first one
/// named that has not.
#[derive(Args)]
pub(crate) struct WaitArgs {
    /// The jobs' ids, or their first characters
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,

    /// How long at most; then the exit code is 124
    #[arg(long, value_name = "TIME")]
    pub(crate) timeout: Option<String>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Prints the jobs as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ChangeArgs {
    /// The jobs' ids, or their first characters
    #[arg(required = true, value_name = "ID")]
    pub(crate) ids: Vec<String>,

    /// Why, for the history
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub(crate) why: Option<String>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Prints the jobs as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct RetryJobArgs {
    /// The job's id, or its first characters
    pub(crate) id: String,

    /// What makes asking for the same again harmless
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) idempotency_key: Option<String>,

    #[command(flatten)]
    pub(crate) store: StoreArgs,

    /// Prints what became of it as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Settles by hand what became of jobs that nobody can ask about any more
///
/// A job that is settled as lost never runs again by itself. What is seen of it later is stopped, kept as evidence, and
/// removed.
#[derive(Args)]
pub(crate) struct SettleArgs {
    /// As lost: nobody can prove what became of them
    #[arg(long, required = true)]
    pub(crate) lost: bool,

    #[command(flatten)]
    pub(crate) change: ChangeArgs,
}
