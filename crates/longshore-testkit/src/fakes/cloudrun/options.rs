//! How a fake is set up, and what troubles it.

use std::time::Duration;

/// How a fake is set up. Times are those of the fake's clock.
#[derive(Debug, Clone)]
pub struct Options {
    /// The only project that exists.
    pub project: String,
    /// The only region of it that exists.
    pub region: String,
    /// How long everything takes.
    pub pace: Pace,
    /// How much of everything there may be.
    pub limits: Limits,
}

impl Default for Options {
    fn default() -> Self {
        let (project, region) = ("longshore-test".to_owned(), "europe-west1".to_owned());
        Self { project, region, pace: Pace::default(), limits: Limits::default() }
    }
}

/// How long things take.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// From the request that makes or changes a job until the job is deployed.
    pub deploy: Duration,
    /// From there, or from `:run`, until the execution can be seen.
    pub create_execution: Duration,
    /// From there until its first container starts.
    pub start: Duration,
    /// From the end of a container until its task says so.
    pub settle: Duration,
    /// From the end of a failed attempt until the next one starts.
    pub retry: Duration,
    /// From the request to delete something until it is gone.
    pub delete: Duration,
    /// From the writing of a line until it can be listed.
    pub log: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            deploy: Duration::from_millis(300),
            create_execution: Duration::from_millis(100),
            start: Duration::from_millis(600),
            settle: Duration::from_millis(200),
            retry: Duration::from_millis(500),
            delete: Duration::from_millis(200),
            log: Duration::from_millis(400),
        }
    }
}

/// How much of everything there may be; see `cloud.google.com/run/quotas` and `cloud.google.com/logging/quotas`.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Jobs in the region.
    pub jobs: usize,
    /// Executions in the region that have not ended.
    pub running_executions: usize,
    /// Executions of a job that have ended and are kept.
    pub finished_executions: usize,
    /// Calls a minute that list log entries; none is without a limit.
    pub log_reads_per_minute: Option<usize>,
    /// Calls a minute of the admin API that read; none is without a limit.
    pub reads_per_minute: Option<usize>,
    /// Calls a minute of the admin API that change something; none is without a limit.
    pub writes_per_minute: Option<usize>,
    /// Whether a refusal by a limit per minute says when to come again.
    pub tells_retry_after: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            jobs: 1_000,
            running_executions: 1_000,
            finished_executions: 1_000,
            log_reads_per_minute: Some(60),
            reads_per_minute: None,
            writes_per_minute: None,
            tells_retry_after: false,
        }
    }
}

/// What troubles a fake from now on: what a provider does that no network does. By default nothing.
#[derive(Debug, Clone, Default)]
pub struct Trouble {
    /// So much longer until a log entry can be listed, also after the end of its execution.
    pub late_logs: Duration,
    /// Every third log entry can be listed so much later than its neighbours.
    pub logs_out_of_order: Duration,
    /// Log entries of a moment get the same timestamp, to the millisecond.
    pub same_log_timestamps: bool,
    /// The last entry of each page of log entries comes again on the next.
    pub duplicate_log_entries: bool,
    /// So many pages of each list of log entries are empty and promise more, before the first that is not.
    pub empty_log_pages: u32,
    /// No page has more than so many items.
    pub page_limit: Option<usize>,
    /// Pages are counted from the beginning each time, so that an item which has gone makes the next page skip one.
    pub shifting_pages: bool,
    /// Every answer has members that no document knows.
    pub unknown_fields: bool,
    /// What was made is missing from lists for so long.
    pub list_lag: Duration,
    /// What was made is not found by its name for so long.
    pub get_lag: Duration,
    /// New executions stay without a container until this is over.
    pub no_capacity: bool,
    /// Each token is accepted for so many calls, then it has expired.
    pub calls_per_token: Option<u32>,
    /// What a program writes is not written to the log at all.
    pub lost_logs: bool,
}

/// What a fake was asked, and what it answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that reached a server.
    pub calls: u64,
    /// Bytes in the bodies of requests.
    pub received: u64,
    /// Bytes in the bodies of answers.
    pub sent: u64,
}
