//! The cases: what every store promises.

pub(crate) mod changes;
pub(crate) mod claims;
pub(crate) mod interventions;
pub(crate) mod lists;
pub(crate) mod moving;
pub(crate) mod news;
pub(crate) mod queue;
pub(crate) mod sessions;
pub(crate) mod submitting;
pub(crate) mod templates;
