//! The contract that every store fulfils.

use async_trait::async_trait;
use jiff::Timestamp;
use longshore_core::{HostName, JobId, JobName, LaunchToken, Owner, Result};
use std::{fmt, sync::Arc};

use crate::{
    Adoption, AttemptRecord, AttemptState, Beat, Change, Claim, Claimed, Held, Intervention, JobArchive, JobEvent,
    JobQuery, JobRecord, NewsStream, Pause, Placer, Request, SavedTemplate, SessionId, StatusCounts, Submission,
    Submitted,
};

/// Where jobs, attempts and their history are kept, for people and for dispatchers, many of each.
///
/// # Rules for every method
/// - What is answered is durable: it survives the death of this process and of the machine at any later moment. The store in
///   memory alone survives neither.
/// - Each call takes effect as a whole or not at all. Where a list is given, each entry succeeds or fails by itself.
/// - Dropping a future is safe: what it asked for may still take effect.
/// - Every time that is given to a method is the store's own, as [`now`](JobStore::now) tells it.
/// - An error that [is lost contact](longshore_core::Error::is_lost_contact) leaves open whether the call took effect. Every
///   method may then be called again: the second call changes nothing that the first one did, and says the same.
/// - A session that was fenced off is told so by [`ErrorKind::LeaseLost`](longshore_core::ErrorKind::LeaseLost) by whatever
///   method takes a session, and nothing of such a call takes effect.
#[async_trait]
pub trait JobStore: fmt::Debug + Send + Sync {
    /// The installation that the store is: made at random with the store, and the same for ever. So all dispatchers of one
    /// store own the same things at providers, and those of another store own others.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn owner(&self) -> Result<Owner>;

    /// The time: the one clock by which everything that is stored is stamped, and with which stored times are compared. So
    /// the clocks of those who share a store may differ. A store on one machine has that machine's clock, one with a server
    /// the server's.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn now(&self) -> Result<Timestamp>;

    /// Stores jobs, each once: an entry with an idempotency key or a job id that is known already, and that asks for the
    /// same, is answered with the job that there is.
    ///
    /// # Errors
    /// `Unavailable` and the like for all; for an entry `Conflict`, when its key or id stands for another job.
    async fn submit(&self, submissions: Vec<Submission>, now: Timestamp) -> Result<Vec<Result<Submitted>>>;

    /// Asks something of a job, and returns the job as it is then. Asked again it changes nothing.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the job has ended already, naming how.
    async fn intervene(&self, job: JobId, intervention: Intervention, request: Request) -> Result<JobRecord>;

    /// Pauses a host, or everything: nothing new is launched there. A pause of the same takes the place of the former.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn pause(&self, pause: Pause) -> Result<()>;

    /// Ends the pause of a host, or that of everything; the former stays where only the latter ends. Returns whether there
    /// was one.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn resume(&self, host: Option<&HostName>, request: Request) -> Result<bool>;

    /// The pauses in force.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn pauses(&self) -> Result<Vec<Pause>>;

    /// Keeps a template under its name, in place of the former one of that name.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn save_template(&self, saved: SavedTemplate) -> Result<()>;

    /// Forgets the template of this name. Returns whether there was one.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn remove_template(&self, name: &JobName) -> Result<bool>;

    /// The template that is kept under this name.
    ///
    /// # Errors
    /// `NotFound`, naming those that there are.
    async fn template(&self, name: &JobName) -> Result<SavedTemplate>;

    /// All templates that are kept, by name.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn templates(&self) -> Result<Vec<SavedTemplate>>;

    /// A job.
    ///
    /// # Errors
    /// `NotFound`.
    async fn job(&self, job: JobId) -> Result<JobRecord>;

    /// A job's attempts, the first one first.
    ///
    /// # Errors
    /// `NotFound` when there is no such job.
    async fn attempts(&self, job: JobId) -> Result<Vec<AttemptRecord>>;

    /// A job's history, the oldest first.
    ///
    /// # Errors
    /// `NotFound` when there is no such job.
    async fn events(&self, job: JobId) -> Result<Vec<JobEvent>>;

    /// The jobs asked for, the newest first, a page of them.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn jobs(&self, query: &JobQuery) -> Result<Vec<JobRecord>>;

    /// How many jobs have each status.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn counts(&self) -> Result<StatusCounts>;

    /// News, as they come, for as long as the store that was asked, or a clone of it, lives.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn news(&self) -> Result<NewsStream>;

    /// Opens a session. Its name is for people. A session is opened once: one that is over is not opened again.
    ///
    /// # Errors
    /// `LeaseLost` when it is over; as the store can be reached.
    async fn open_session(&self, session: SessionId, name: &str) -> Result<()>;

    /// Says that this session lives, and returns the pulses of all others that were neither fenced off nor closed.
    ///
    /// # Errors
    /// `LeaseLost`; as the store can be reached.
    async fn beat(&self, session: SessionId) -> Result<Vec<Beat>>;

    /// Fences another session off, if its pulse is still the one given, and frees what it holds. Returns whether it is
    /// fenced off now.
    ///
    /// # Errors
    /// `LeaseLost` for the session that asks; as the store can be reached.
    async fn fence(&self, session: SessionId, other: &Beat) -> Result<bool>;

    /// Ends a session and frees what it holds.
    ///
    /// # Errors
    /// `LeaseLost`; as the store can be reached.
    async fn close_session(&self, session: SessionId) -> Result<()>;

    /// Takes over open attempts that nobody holds, by job and number, so many at most: those of the hosts that are asked
    /// for, and those of any host that were created before `unserved_before`. All others are left to whoever serves their
    /// hosts, and so is what only a newer program can read; neither counts towards the most. Fewer than the most means that
    /// nothing is left to take over.
    ///
    /// Those that were launching may still be launched by their former holder until `quiet_at`, which is stored with them.
    ///
    /// # Errors
    /// `LeaseLost`; as the store can be reached.
    async fn adopt(&self, session: SessionId, adoption: Adoption) -> Result<Vec<Held>>;

    /// Looks at the queue and stores what the placer decides, in one transaction in which nobody else claims: what it is
    /// told to be in use is so. Jobs are looked at by their place in the queue.
    ///
    /// # Errors
    /// `LeaseLost`; `Unexpected` when an intent is not for its job's next attempt; as the store can be reached.
    async fn claim(&self, claim: Claim, placer: Arc<dyn Placer>) -> Result<Claimed>;

    /// Lets every job in the queue be looked at again, whatever it waits for.
    ///
    /// # Errors
    /// `LeaseLost`; as the store can be reached.
    async fn wake_queue(&self, session: SessionId) -> Result<()>;

    /// Stores what happened to attempts that the session holds.
    ///
    /// # Errors
    /// For all `LeaseLost`, or as the store can be reached; for an entry `Conflict`, when the attempt is not held by the
    /// session or is in a state in which this can't happen, so that its holder reads it again.
    async fn record(&self, session: SessionId, changes: Vec<Change>) -> Result<Vec<Result<()>>>;

    /// Every open attempt that the session holds: for a holder that lost the answer in which it was given some.
    ///
    /// # Errors
    /// `LeaseLost`; as the store can be reached.
    async fn held(&self, session: SessionId) -> Result<Vec<Held>>;

    /// Of the jobs whose open attempts the session holds, those of which people have asked something.
    ///
    /// # Errors
    /// `LeaseLost`; as the store can be reached.
    async fn interventions(&self, session: SessionId) -> Result<Vec<JobRecord>>;

    /// An attempt with its job.
    ///
    /// # Errors
    /// `NotFound`.
    async fn attempt(&self, token: LaunchToken) -> Result<Held>;

    /// The states of attempts; none for those that are unknown.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn attempt_states(&self, tokens: &[LaunchToken]) -> Result<Vec<Option<AttemptState>>>;

    /// Jobs with everything that is kept of them, by id, after the given one, so many at most.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn archive(&self, after: Option<JobId>, most: usize) -> Result<Vec<JobArchive>>;

    /// Takes in jobs of another store; those that are known already stay as they are. Returns how many were new. Attempts
    /// that are open are then held by nobody, unless by a session that is open here; those that were launching are adopted
    /// like those of a dead dispatcher.
    ///
    /// # Errors
    /// `Invalid` when an archive contradicts itself; `Conflict` when an idempotency key stands for another job here; as the
    /// store can be reached. Nothing was taken in then.
    async fn import(&self, archives: Vec<JobArchive>) -> Result<u64>;

    /// Removes jobs with all that is kept of them here, unless one has not ended or has an open attempt. Returns those that
    /// were removed.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn purge(&self, jobs: &[JobId]) -> Result<Vec<JobId>>;

    /// Looks for damage and for what contradicts itself, and says each in words. Reads everything.
    ///
    /// # Errors
    /// As the store can be reached.
    async fn check(&self) -> Result<Vec<String>>;
}
