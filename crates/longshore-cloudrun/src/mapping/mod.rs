//! Pure functions between the contract and the APIs of Cloud Run and Cloud Logging.

pub(crate) mod answers;
pub(crate) mod entries;
pub(crate) mod errors;
pub(crate) mod identity;
pub(crate) mod job;
pub(crate) mod resources;
pub(crate) mod state;
