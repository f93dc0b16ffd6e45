//! The walk through the stages, from a job to a decision.

use jiff::Timestamp;
use std::{borrow::Cow, cmp::Ordering, ops::ControlFlow, sync::Arc};

use crate::{
    JobTemplate,
    route::{
        Budget, Candidate, Policy, Rejection, RejectionKind, Route, RouteDecision, RouteOutcome, RouteRequest,
        RoutingSnapshot, RuleNote, Stage, StageKind, Target, Verdict,
        judge::Judge,
        memo::Planned,
        policy::{draw, load},
        rule::RuleView,
    },
};

impl RoutingSnapshot {
    /// Decides where the job goes. Pure: the same snapshot and request give the same answer.
    #[must_use]
    pub fn route(&self, request: &RouteRequest<'_>) -> Route {
        let template = request.job.resolved_template();
        let view = RuleView::new(self, request, &template);
        let mut walk = Walk::new(self, request, &template, &view);
        let done = walk.all_stages(&view);
        walk.finish(done)
    }
}

/// What a walk ends with before its last stage.
enum Done {
    Chosen { at: usize, reason: String, planned: Arc<Planned> },
    Waits { reason: String, until: Option<Timestamp> },
}

struct Walk<'a> {
    snapshot: &'a RoutingSnapshot,
    request: &'a RouteRequest<'a>,
    judge: Judge<'a>,
    stages: Vec<Stage>,
    notes: Vec<RuleNote>,
    notices: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(
        snapshot: &'a RoutingSnapshot,
        request: &'a RouteRequest<'a>,
        template: &'a JobTemplate,
        view: &RuleView<'a>,
    ) -> Self {
        let mut notices = Vec::new();
        let counts = |budget: &&Budget| {
            view.counts(budget).unwrap_or_else(|why| {
                // Money is guarded: what can't be told to be outside counts.
                let name = &budget.name;
                notices.push(format!("budget {name}: its condition could not be evaluated ({why}); the job counts"));
                true
            })
        };
        let budgets = snapshot.table.budgets.iter().filter(counts).collect();
        let judge = Judge::new(snapshot, template, request.now, budgets);
        Self { snapshot, request, judge, stages: Vec::new(), notes: Vec::new(), notices }
    }

    fn all_stages(&mut self, view: &RuleView<'a>) -> ControlFlow<Done> {
        let table = Arc::clone(&self.snapshot.table);
        if let Some(target) = &self.request.bound {
            return self.stage(StageKind::Bound, target, &table.covered(target), "named by the caller", false);
        }
        if let Some(wish) = &self.request.job.preferred_executor {
            let target = table.resolve(wish.host.as_str()).unwrap_or_else(|| Target::Host(wish.host.clone()));
            let (kind, reason) = if wish.required {
                (StageKind::Bound, "the job requires it")
            } else {
                (StageKind::Preferred, "the job prefers it")
            };
            let stage = self.stage(kind, &target, &table.covered(&target), reason, false);
            if wish.required || stage.is_break() {
                return stage;
            }
        }
        for (rule, covered) in &table.rules {
            match view.holds(rule, covered, &self.judge) {
                Ok(true) => {
                    self.stage(StageKind::Rule(rule.name.clone()), &rule.target, covered, &rule.reason, rule.spill)?;
                }
                Ok(false) => {}
                Err(why) => self.notes.push(RuleNote { rule: rule.name.clone(), why }),
            }
        }
        if let Some((target, covered)) = &table.default {
            self.stage(StageKind::Default, target, covered, "the default", false)?;
        }
        for (place, (target, covered)) in (1..).zip(&table.fallback) {
            self.stage(StageKind::Fallback(place), target, covered, "the fallback chain", false)?;
        }
        ControlFlow::Continue(())
    }

    /// Judges every host of a stage, and ends the walk when one is chosen or the job is to wait for one.
    fn stage(
        &mut self,
        kind: StageKind,
        target: &Target,
        covered: &[usize],
        reason: &str,
        spill: bool,
    ) -> ControlFlow<Done> {
        let verdicts: Vec<_> = covered.iter().map(|at| (*at, self.verdict(*at, target))).collect();
        let chosen = self.choose(&verdicts);
        let full = verdicts.iter().find_map(|(at, verdict)| match verdict {
            Err(rejection) if rejection.kind == RejectionKind::Full && !spill => Some((*at, rejection.why.clone())),
            _ => None,
        });
        let reason = if covered.is_empty() { self.missing(target, reason) } else { Cow::Borrowed(reason) };
        let done = match (chosen, full) {
            (Some((at, planned)), _) => {
                ControlFlow::Break(Done::Chosen { at, reason: reason.clone().into_owned(), planned })
            }
            (None, Some((at, why))) => {
                let reason = format!("waits for {}, which is {why}", self.name(at));
                ControlFlow::Break(Done::Waits { reason, until: self.recovery(&verdicts) })
            }
            (None, None) => ControlFlow::Continue(()),
        };
        let chosen_at = if let ControlFlow::Break(Done::Chosen { at, .. }) = &done { Some(*at) } else { None };
        let candidates = verdicts.into_iter().map(|(at, verdict)| Candidate {
            host: self.snapshot.table.hosts[at].host.name.clone(),
            cost: verdict.as_ref().ok().and_then(|planned| planned.estimate.cost().ok().cloned()),
            verdict: match verdict {
                Ok(_) if chosen_at == Some(at) => Verdict::Chosen,
                Ok(_) => Verdict::Passed,
                Err(rejection) => Verdict::Rejected(rejection),
            },
        });
        let candidates = candidates.collect();
        self.stages.push(Stage { kind, target: target.clone(), reason: reason.into_owned(), candidates });
        done
    }

    fn verdict(&self, at: usize, target: &Target) -> Result<Arc<Planned>, Rejection> {
        if self.request.refused_by.contains(&self.snapshot.table.hosts[at].host.name) {
            return Err(Rejection::new(RejectionKind::Refused, "it has refused to launch this job"));
        }
        self.judge.judge(at, target.is_by_name())
    }

    /// When another host of the stage in which a job waits may take it instead: the first that recovers by itself and has
    /// room. When one of the full ones has room again nobody knows.
    fn recovery(&self, verdicts: &[(usize, Result<Arc<Planned>, Rejection>)]) -> Option<Timestamp> {
        let has_room = |at: usize| self.snapshot.states[at].has_room(&self.snapshot.table.hosts[at]);
        let rejections = verdicts.iter().filter_map(|(at, verdict)| Some((*at, verdict.as_ref().err()?)));
        let recovering = rejections.filter(|(at, rejection)| {
            matches!(rejection.kind, RejectionKind::CoolDown | RejectionKind::CircuitOpen) && has_room(*at)
        });
        recovering.filter_map(|(_, rejection)| rejection.until).filter(|until| *until > self.request.now).min()
    }

    fn missing(&self, target: &Target, reason: &str) -> Cow<'static, str> {
        Cow::Owned(format!("{reason}; {target} is not configured: {}", self.snapshot.table.available()))
    }

    fn name(&self, at: usize) -> &'a str {
        self.snapshot.table.hosts[at].host.name.as_str()
    }

    /// The host that the policy prefers among those that would do.
    fn choose(&self, verdicts: &[(usize, Result<Arc<Planned>, Rejection>)]) -> Option<(usize, Arc<Planned>)> {
        let table = &self.snapshot.table;
        let passed = verdicts.iter().filter_map(|(at, verdict)| Some((*at, verdict.as_ref().ok()?)));
        let best = passed.map(|(at, planned)| (at, planned, draw(self.request.job.id, &table.hosts[at].host))).min_by(
            |(a, planned_a, draw_a), (b, planned_b, draw_b)| {
                self.by_policy((*a, planned_a), (*b, planned_b)).then(draw_a.total_cmp(draw_b)).then(a.cmp(b))
            },
        );
        best.map(|(at, planned, _)| (at, Arc::clone(planned)))
    }

    fn by_policy(&self, (a, planned_a): (usize, &Planned), (b, planned_b): (usize, &Planned)) -> Ordering {
        let (table, states) = (&self.snapshot.table, &self.snapshot.states);
        match table.policy {
            Policy::Weighted => Ordering::Equal,
            Policy::Cheapest => table.prices.compare(&planned_a.estimate, &planned_b.estimate),
            Policy::LeastLoaded => {
                load(&table.hosts[a].host, &states[a]).total_cmp(&load(&table.hosts[b].host, &states[b]))
            }
        }
    }

    fn finish(mut self, done: ControlFlow<Done>) -> Route {
        let mut route = (None, None, Vec::new());
        let outcome = match done {
            ControlFlow::Break(Done::Chosen { at, reason, planned }) => {
                let host = &self.snapshot.table.hosts[at];
                self.notices.extend(self.judge.warnings(at, &planned.estimate));
                route = (Some(Arc::clone(&host.executor)), Some(planned.plan.clone()), self.judge.counts_on(at));
                RouteOutcome::Chosen {
                    host: host.host.name.clone(),
                    executor: host.host.executor_type.clone(),
                    reason,
                    estimate: planned.estimate.clone(),
                }
            }
            ControlFlow::Break(Done::Waits { reason, until }) => RouteOutcome::NotNow { reason, ask_again_at: until },
            ControlFlow::Continue(()) => self.nobody(),
        };
        let decision = RouteDecision {
            job: self.request.job.id,
            decided_at: self.request.now,
            outcome,
            stages: self.stages,
            rule_notes: self.notes,
            notices: self.notices,
        };
        Route { decision, executor: route.0, plan: route.1, budgets: route.2 }
    }

    /// No stage had a host for the job.
    fn nobody(&self) -> RouteOutcome {
        let rejections = || {
            self.stages.iter().flat_map(|stage| &stage.candidates).filter_map(|candidate| match &candidate.verdict {
                Verdict::Rejected(rejection) if rejection.is_temporary() => Some(rejection),
                _ => None,
            })
        };
        if rejections().next().is_none() {
            let missing = self.stages.iter().filter(|stage| stage.candidates.is_empty());
            let missing: String = missing.map(|stage| format!("; {}", stage.reason)).collect();
            return RouteOutcome::Never { reason: format!("no host can run this job{missing}") };
        }
        let ask_again_at = rejections().filter_map(|rejection| rejection.passes_at(self.request.now)).min();
        RouteOutcome::NotNow { reason: "every host that could run this job is busy or ill".to_owned(), ask_again_at }
    }
}
