//! Where logs are kept once their execution has ended.

mod assemble;
mod chart;
mod errors;
mod folder;
mod frame;
mod open;
mod output;
mod page;
mod place;
mod read;
mod reference;
mod save;
mod store;
mod wire;

pub use read::LogPosition;
pub use reference::{LogBytes, LogReference};
pub use save::SavedLog;
pub use store::LogStore;
