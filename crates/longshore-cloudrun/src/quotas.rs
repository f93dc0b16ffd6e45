//! The rates that the APIs allow, shared by all hosts of this program that ask for the same account.

use longshore_core::Clock;
use longshore_http::{Rate, RateLimit};
use std::sync::Arc;

use crate::config::Quotas;

/// The limits of one project and region.
#[derive(Debug)]
pub(crate) struct Limits {
    pub(crate) reads: Arc<RateLimit>,
    pub(crate) writes: Arc<RateLimit>,
    pub(crate) log_reads: Arc<RateLimit>,
}

impl Limits {
    /// The limits of the project and region behind these addresses.
    pub(crate) fn of(
        quotas: Quotas,
        (endpoint, logging): (&str, &str),
        (project, region): (&str, &str),
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let shared = |name: String, per_minute: u32| RateLimit::shared(&name, Rate::per_minute(per_minute), clock);
        Self {
            reads: shared(format!("{endpoint} {project} {region} reads"), quotas.reads_per_minute),
            writes: shared(format!("{endpoint} {project} {region} writes"), quotas.writes_per_minute),
            log_reads: shared(format!("{logging} {project} reads"), quotas.log_reads_per_minute),
        }
    }
}
