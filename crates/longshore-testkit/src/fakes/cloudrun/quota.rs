//! Limits on calls per minute.

use jiff::Timestamp;
use longshore_core::clock::since;
use serde_json::json;
use std::{collections::VecDeque, time::Duration};

use super::error::{Code, Refusal};

const MINUTE: Duration = Duration::from_secs(60);

/// The calls of the last minute.
#[derive(Default)]
pub(crate) struct Quota {
    calls: VecDeque<Timestamp>,
}

impl Quota {
    /// Counts a call, or refuses it.
    pub(crate) fn count(&mut self, limit: Option<usize>, kind: &Kind, now: Timestamp) -> Result<(), Refusal> {
        let Some(limit) = limit else { return Ok(()) };
        while self.calls.front().is_some_and(|call| since(now, *call) >= MINUTE) {
            self.calls.pop_front();
        }
        if self.calls.len() < limit {
            self.calls.push_back(now);
            return Ok(());
        }
        let wait = self.calls.front().map_or(MINUTE, |first| MINUTE.saturating_sub(since(now, *first)));
        let refusal = kind.refusal(limit);
        let wait = Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        Err(if kind.tells_retry_after { refusal.with_retry_after(wait) } else { refusal })
    }
}

/// What is limited.
pub(crate) struct Kind {
    pub(crate) service: &'static str,
    /// As the console shows it: `Read requests`.
    pub(crate) metric: &'static str,
    pub(crate) project: String,
    pub(crate) tells_retry_after: bool,
}

impl Kind {
    fn refusal(&self, limit: usize) -> Refusal {
        let Self { service, metric, project, .. } = self;
        let message = format!(
            "Quota exceeded for quota metric '{metric}' and limit '{metric} per minute' of service '{service}' for \
             consumer 'projects/{project}'."
        );
        let metadata = json!({
            "service": service,
            "consumer": format!("projects/{project}"),
            "quota_metric": format!("{service}/{}", metric.to_lowercase().replace(' ', "_")),
            "quota_limit_value": limit.to_string(),
        });
        Refusal::new(Code::ResourceExhausted, message).with_reason("RATE_LIMIT_EXCEEDED", "googleapis.com", &metadata)
    }
}
