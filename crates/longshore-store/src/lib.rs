#![doc = include_str!("docs.md")]

mod archive;
mod attempt;
mod change;
mod event;
mod ids;
mod intervention;
mod job;
mod logs;
mod memory;
mod news;
#[cfg(feature = "postgres")]
mod postgres;
mod query;
mod queue;
mod refusals;
mod session;
#[cfg(feature = "sqlite")]
mod sqlite;
mod store;
mod template;

pub use archive::JobArchive;
pub use attempt::{AttemptRecord, AttemptState, Charge, Intent, Outcome};
pub use change::{Change, Effect, JobMove, Next, What};
pub use event::JobEvent;
pub use ids::{Actor, IdempotencyKey, SessionId};
pub use intervention::{Intervention, Pause};
pub use job::{JobRecord, Request, Submission, Submitted};
pub use logs::{LogBytes, LogPosition, LogReference, LogStore, SavedLog};
pub use memory::MemoryStore;
pub use news::{News, NewsStream};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresOptions, PostgresStore};
pub use query::{JobQuery, StatusCounts};
pub use queue::{Claim, Claimed, InUse, Placement, Placer, WaitingFor};
pub use session::{Adoption, Beat, Held};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteOptions, SqliteStore};
pub use store::JobStore;
pub use template::SavedTemplate;
