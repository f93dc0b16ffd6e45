//! Launching once, and finding out whether a launch happened.
//!
//! The job's name is the launch token, and Cloud Run refuses a second job of one name. The job is created with a start
//! token, so that its only execution comes with it: there is no moment between the two in which a crash could leave one
//! without the other, and nothing is ever started a second time.

use longshore_core::{
    Advice, ByteSize, Clock, Error, ErrorKind, ExecutionHandle, ExecutorType, HostName, LaunchRequest, LaunchSearch,
    Result, clock::later,
};
use std::time::Duration;

use crate::{
    cleanup::remove_job,
    client::Api,
    mapping::{
        answers::Job,
        identity::{Identity, Metadata, marks},
        job::{Frozen, job},
        state::{Creation, Refused, creation},
    },
};

/// How long the start of an execution is waited for. Cloud Run checks secrets, networks and the image first.
const LONGEST: Duration = Duration::from_secs(120);
/// How long a job that was created may be missing from the answers, or one that is being removed may stay in them.
const UNTRUE: Duration = Duration::from_secs(15);
/// How long a search looks for a job before it says that there is none.
const LOOK: Duration = Duration::from_secs(5);
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// One launch of one request.
pub(crate) struct Launch<'a> {
    pub(crate) api: &'a Api,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) executor_type: &'a ExecutorType,
    pub(crate) host: &'a HostName,
    pub(crate) request: &'a LaunchRequest,
    pub(crate) log_cap: ByteSize,
}

/// What became of the job of a launch.
enum Settled {
    /// There is no job.
    Nothing,
    /// Its execution exists.
    Started(ExecutionHandle),
    /// It could not start its execution; it is removed.
    Refused(Refused),
}

impl Launch<'_> {
    /// Creates the job, or adopts the one that an earlier call has created.
    pub(crate) async fn run(&self) -> Result<ExecutionHandle> {
        self.check_place()?;
        let metadata = Metadata::of(self.request, self.log_cap);
        let job = job(self.request, &marks(self.request, &metadata))?;
        self.request.check_deadline(self.clock)?;
        match self.api.create_job(&self.name(), &job, self.request.deadline).await {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Conflict => {}
            // A project or region that does not exist.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::new(ErrorKind::Invalid, error.message().to_owned()).with_source(error));
            }
            Err(error) => return Err(error),
        }
        // From here on the job exists: whatever can't be answered may have started.
        match self.settled(UNTRUE).await {
            Ok(Settled::Started(handle)) => Ok(handle),
            Ok(Settled::Refused(refused)) => Err(refused.into_error()),
            Ok(Settled::Nothing) => {
                let message = "the job was created and is not shown, or an earlier one of its name is being removed";
                Err(Error::new(ErrorKind::Unavailable, message).with_advice(Advice::LookUpFirst))
            }
            Err(error) if error.is_lost_contact() => Err(error.with_advice(Advice::LookUpFirst)),
            Err(error) => Err(error),
        }
    }

    /// Looks for the job, for a moment. That there is none then is proof that none was started; a copy of its creation
    /// that is still on its way was sent before the request's deadline, and meets the name.
    pub(crate) async fn find(&self) -> Result<LaunchSearch> {
        Ok(match self.settled(LOOK).await? {
            Settled::Started(handle) => LaunchSearch::Found(handle),
            Settled::Nothing | Settled::Refused(_) => LaunchSearch::Absent,
        })
    }

    /// A plan is for the project and region that it was made for, also when the configuration has changed since.
    fn check_place(&self) -> Result<()> {
        let frozen = Frozen::of(&self.request.plan.host_settings)?;
        if (&frozen.project, &frozen.region) == (&self.api.project, &self.api.region) {
            return Ok(());
        }
        let message = format!(
            "the job was planned for {} in {}, and the host is now {} in {}; plan it again",
            frozen.project, frozen.region, self.api.project, self.api.region
        );
        Err(Error::new(ErrorKind::Invalid, message))
    }

    fn name(&self) -> String {
        self.request.token.to_string()
    }

    /// Waits until the job's creation is decided. A job that is missing or being removed is looked for so long.
    async fn settled(&self, untrue: Duration) -> Result<Settled> {
        let begun = self.clock.now();
        let mut pause = FIRST_PAUSE;
        loop {
            let now = self.clock.now();
            let found = self.api.job(&self.name()).await?;
            let decided = match &found {
                Some(job) => self.decided(job).await?,
                None => Some(Settled::Nothing),
            };
            let limit = if matches!(decided, Some(Settled::Nothing)) { untrue } else { LONGEST };
            match decided {
                Some(settled @ (Settled::Started(_) | Settled::Refused(_))) => return Ok(settled),
                Some(Settled::Nothing) if now >= later(begun, limit) => return Ok(Settled::Nothing),
                None if now >= later(begun, limit) => return Err(self.undecided()),
                Some(Settled::Nothing) | None => {}
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// What a job that is there has come to; `None` while nothing is decided.
    async fn decided(&self, job: &Job) -> Result<Option<Settled>> {
        let identity = self.is_ours(job)?;
        Ok(match creation(job) {
            Creation::Waiting => None,
            Creation::Deleted => Some(Settled::Nothing),
            Creation::Started(execution) => {
                Some(Settled::Started(identity.handle(&execution, self.executor_type, self.host)))
            }
            Creation::Failed(refused) => {
                remove_job(self.api, self.clock, &self.name()).await?;
                Some(Settled::Refused(refused))
            }
        })
    }

    fn is_ours(&self, job: &Job) -> Result<Identity> {
        let identity = Identity::read(&job.labels, &job.annotations, self.host);
        identity.filter(|it| it.owner == self.request.owner && it.token == self.request.token).ok_or_else(|| {
            let message =
                format!("a job of the name {} is there and is somebody else's; it is left alone", self.name());
            Error::new(ErrorKind::Conflict, message)
        })
    }

    fn undecided(&self) -> Error {
        let message = format!("the job was created, and Cloud Run has not started it within {LONGEST:?}; ask again");
        Error::new(ErrorKind::Unavailable, message)
    }
}
