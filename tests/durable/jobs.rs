//! The jobs that are run: what each does, and what must become of it.

use longshore::{
    ContainerJob, ImageSource, JobId, JobStatus, JobTemplate, Mount, MountSource, Network, RetryPolicy, Timestamp,
};
use std::{num::NonZeroU32, path::Path, time::Duration};

/// A kind of job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Over at once.
    Short,
    /// Fails by itself.
    Failing,
    /// Writes more than is kept beside the job.
    Chatty,
    /// Takes a while.
    Long,
    /// Fails, and is run once more.
    Retried,
}

/// What the containers see of the ledger's folder.
const LEDGER: &str = "/ledger";

const LINES: usize = 2_500;
const WIDTH: usize = 60;
const TICKS: usize = 8;

impl Kind {
    pub(crate) const ALL: [Self; 5] = [Self::Short, Self::Failing, Self::Chatty, Self::Long, Self::Retried];

    /// A new job of this kind.
    pub(crate) fn job(self, image: &str, ledger: &Path, now: Timestamp) -> ContainerJob {
        let id = JobId::new(now);
        let mut script = vec![format!("append {LEDGER}/{id} start")];
        script.extend(self.work().into_iter().map(str::to_owned).map(|it| it.replace("ID", &id.to_string())));
        script.push(format!("append {LEDGER}/{id} end"));
        script.push(format!("exit {}", self.exit_code()));
        let mount = Mount::new(MountSource::Bind(ledger.to_str().unwrap().to_owned()), LEDGER);
        let template = JobTemplate::builder()
            .name("durable".parse().unwrap())
            .image(image.parse::<ImageSource>().unwrap())
            .network(Network::None)
            .mounts(vec![mount])
            .args(script)
            .stop_grace(Duration::from_secs(1))
            .build();
        let job = ContainerJob::builder().id(id).template(template).created_at(now);
        job.maybe_retry(self.retry()).build()
    }

    fn work(self) -> Vec<&'static str> {
        match self {
            Self::Short => vec!["print hello ID"],
            Self::Failing => vec!["eprint sorry ID"],
            Self::Chatty => vec!["lines 2500 60", "eprint done"],
            Self::Long => vec!["tick 8 125ms"],
            Self::Retried => vec!["print again"],
        }
    }

    fn retry(self) -> Option<RetryPolicy> {
        let policy = || {
            RetryPolicy::builder()
                .max_attempts(NonZeroU32::new(2).unwrap())
                .exit_codes([self.exit_code()])
                .first_pause(Duration::from_millis(100))
                .build()
        };
        (self == Self::Retried).then(policy)
    }

    pub(crate) const fn exit_code(self) -> i32 {
        match self {
            Self::Short | Self::Chatty => 0,
            Self::Failing => 3,
            Self::Long => 7,
            Self::Retried => 9,
        }
    }

    pub(crate) const fn status(self) -> JobStatus {
        if self.exit_code() == 0 { JobStatus::Completed } else { JobStatus::Failed }
    }

    /// How often it runs.
    pub(crate) const fn runs(self) -> usize {
        if matches!(self, Self::Retried) { 2 } else { 1 }
    }

    /// What each run writes, to the byte.
    pub(crate) fn output(self, id: JobId) -> (String, String) {
        match self {
            Self::Short => (format!("hello {id}\n"), String::new()),
            Self::Failing => (String::new(), format!("sorry {id}\n")),
            Self::Chatty => {
                let lines = (1..=LINES).map(|number| format!("{number:0>width$}\n", width = WIDTH - 1));
                (lines.collect(), "done\n".to_owned())
            }
            Self::Long => ((1..=TICKS).map(|number| format!("tick {number}\n")).collect(), String::new()),
            Self::Retried => ("again\n".to_owned(), String::new()),
        }
    }
}
