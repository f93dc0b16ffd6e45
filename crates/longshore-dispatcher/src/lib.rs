#![doc = include_str!("docs.md")]

mod claims;
mod dispatcher;
mod driver;
mod load;
mod logs;
mod metrics;
mod placer;
#[cfg(feature = "planted")]
pub mod planted;
mod pulse;
mod recorder;
mod report;
mod retention;
mod scene;
mod scout;
mod service;
mod session;
mod settings;
mod sweep;
mod time;
mod watcher;

pub use dispatcher::{Dispatcher, Drain, DrainMode, Parts};
pub use logs::LogKeeper;
pub use retention::{Retired, find_retired, retire};
pub use service::{Longshore, LongshoreBuilder};
pub use settings::Settings;
pub use sweep::{Leftover, find_leftovers, remove_leftover};
pub use time::StoreClock;
