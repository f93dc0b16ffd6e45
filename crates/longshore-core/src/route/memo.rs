//! What each host said of a template, remembered until its facts change.

use arc_swap::ArcSwapOption;
use quick_cache::sync::Cache;
use std::{fmt, sync::Arc};

use crate::{Error, HostFacts, JobTemplate, Plan, Result, price::Estimate};

/// How many templates are remembered. Beyond that those that were asked for least are forgotten.
const TEMPLATES: usize = 1024;

/// What a host will do for a template, and what that is expected to cost there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) plan: Plan,
    pub(super) estimate: Estimate,
}

/// The answers of all hosts to the templates that are asked for most.
pub(super) struct PlanMemo {
    hosts: usize,
    templates: Cache<Arc<JobTemplate>, Arc<TemplateMemo>>,
}

/// The answers of all hosts to one template.
pub(super) struct TemplateMemo(Vec<ArcSwapOption<Answer>>);

struct Answer {
    facts: Option<Arc<HostFacts>>,
    planned: Result<Arc<Planned>>,
}

impl PlanMemo {
    pub(super) fn new(hosts: usize) -> Self {
        Self { hosts, templates: Cache::new(TEMPLATES) }
    }

    pub(super) fn of(&self, template: &JobTemplate) -> Arc<TemplateMemo> {
        if let Some(memo) = self.templates.get(template) {
            return memo;
        }
        let memo = Arc::new(TemplateMemo((0..self.hosts).map(|_| ArcSwapOption::empty()).collect()));
        self.templates.insert(Arc::new(template.clone()), Arc::clone(&memo));
        memo
    }
}

impl TemplateMemo {
    /// What the host at this place in the table says of the template, with these facts; `make` asks it.
    pub(super) fn planned(
        &self,
        at: usize,
        facts: Option<&Arc<HostFacts>>,
        make: impl FnOnce() -> Result<Planned>,
    ) -> Result<Arc<Planned>> {
        let make = || make().map(Arc::new);
        let Some(slot) = self.0.get(at) else { return make() };
        if let Some(answer) = slot.load().as_ref()
            && same(answer.facts.as_ref(), facts)
        {
            return copied(&answer.planned);
        }
        let answer = Arc::new(Answer { facts: facts.cloned(), planned: make() });
        slot.store(Some(Arc::clone(&answer)));
        copied(&answer.planned)
    }
}

fn copied(planned: &Result<Arc<Planned>>) -> Result<Arc<Planned>> {
    planned.as_ref().map(Arc::clone).map_err(Error::repeated)
}

/// Facts are never changed, only replaced.
fn same(a: Option<&Arc<HostFacts>>, b: Option<&Arc<HostFacts>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}

impl fmt::Debug for PlanMemo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlanMemo").field("templates", &self.templates.len()).finish_non_exhaustive()
    }
}
