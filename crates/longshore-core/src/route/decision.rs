//! What was decided about a job, and why: stored with the attempt, printed for people.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

use crate::{
    Advice, Error, ErrorKind, ExecutorType, HostName, JobId,
    clock::{later, since},
    price::{Estimate, Money},
    route::{RuleName, Target},
};

/// Where a job goes, why, and why not elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RouteDecision {
    /// The job.
    pub job: JobId,
    /// When it was decided.
    pub decided_at: Timestamp,
    /// What was decided.
    pub outcome: RouteOutcome,
    /// The stages that were asked, in order.
    pub stages: Vec<Stage>,
    /// The rules that could not be evaluated, and therefore did not apply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rule_notes: Vec<RuleNote>,
    /// What whoever pays or administers should know, such as a budget that nears its end.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<String>,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RouteOutcome {
    /// The job goes to this host.
    Chosen {
        /// The host.
        host: HostName,
        /// The kind of executor that serves it.
        executor: ExecutorType,
        /// Why, in the rule's own words.
        reason: String,
        /// What it is expected to cost there, or why that is not known.
        estimate: Estimate,
    },
    /// The job waits.
    NotNow {
        /// What it waits for.
        reason: String,
        /// When the answer may change by itself, always later than the decision; absent, when only another job's end or an
        /// operator can change it.
        ///
        /// A job that waits for a full target waits for another job's end, so this is then the first time at which another
        /// host of the same target has cooled down or is probed, if there is one. Where no host would do, it is the first
        /// time at which any rejection passes; a host whose circuit is due for a probe counts for a second later.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask_again_at: Option<Timestamp>,
    },
    /// No host will ever take the job as it is.
    Never {
        /// Why.
        reason: String,
    },
}

/// One stage on the way to a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Stage {
    /// What led there.
    pub kind: StageKind,
    /// What it points at.
    pub target: Target,
    /// Why, in the words of whoever wrote it.
    pub reason: String,
    /// What became of each host of the target, by name.
    pub candidates: Vec<Candidate>,
}

/// What leads to a stage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StageKind {
    /// The caller named it, and nowhere else will do.
    Bound,
    /// The job prefers it.
    Preferred,
    /// A rule whose condition holds.
    Rule(RuleName),
    /// The default.
    Default,
    /// The fallback chain, at this place in it, from 1.
    Fallback(u32),
}

/// A host that was considered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Candidate {
    /// The host.
    pub host: HostName,
    /// What became of it.
    pub verdict: Verdict,
    /// What the job is expected to cost there, where the host would do and that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<Money>,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Verdict {
    /// It was chosen.
    Chosen,
    /// It would have done; the policy chose another.
    Passed,
    /// It would not do.
    Rejected(Rejection),
}

/// Why a host would not do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Rejection {
    /// The kind of reason.
    pub kind: RejectionKind,
    /// The reason in words.
    pub why: String,
    /// When it passes by itself, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The kind of reason for which a host would not do, those that only a change of the job or of the configuration
/// removes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RejectionKind {
    /// Its operator has disabled it.
    Disabled,
    /// Its weight is zero, so it is reachable by name only.
    ByNameOnly,
    /// It is not where the job may run.
    Place,
    /// It does not run the job's platform.
    Architecture,
    /// Its executor can't do what the job asks, or may not.
    Incapable,
    /// It has refused to launch this very job.
    Refused,
    /// What the job would cost there is not known, and a hard budget wants to know.
    PriceUnknown,
    /// A budget does not allow it.
    Budget,
    /// Nothing is known of it: it could not be reached.
    Unreachable,
    /// Its operator has paused it.
    Paused,
    /// Its circuit is open: it refused or failed too often.
    CircuitOpen,
    /// It said that it has no room, or no quota, a while ago.
    CoolDown,
    /// It runs as many jobs as it may.
    Full,
}

/// A rule that could not be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct RuleNote {
    /// The rule.
    pub rule: RuleName,
    /// Why.
    pub why: String,
}

impl RejectionKind {
    /// Whether it may pass without a change of the job or of the configuration.
    #[must_use]
    pub const fn is_temporary(self) -> bool {
        matches!(self, Self::Unreachable | Self::Paused | Self::CircuitOpen | Self::CoolDown | Self::Full)
    }
}

impl Rejection {
    pub(super) fn new(kind: RejectionKind, why: impl Into<String>) -> Self {
        Self { kind, why: why.into(), until: None }
    }

    /// When it passes by itself, seen from `now`. An open circuit whose time has come is probed at any moment, and a second
    /// later the answer may be another; other times that have passed say nothing.
    pub(super) fn passes_at(&self, now: Timestamp) -> Option<Timestamp> {
        match self.until? {
            until if until > now => Some(until),
            _ if self.kind == RejectionKind::CircuitOpen => Some(later(now, Duration::from_secs(1))),
            _ => None,
        }
    }

    pub(super) fn passing_at(mut self, until: Timestamp) -> Self {
        self.until = Some(until);
        self
    }

    /// Whether it may pass without a change of the job or of the configuration: by itself, by a known time, or when
    /// another job ends.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        self.kind.is_temporary() || self.until.is_some()
    }
}

impl RouteDecision {
    /// The chosen host.
    #[must_use]
    pub const fn host(&self) -> Option<&HostName> {
        match &self.outcome {
            RouteOutcome::Chosen { host, .. } => Some(host),
            _ => None,
        }
    }

    /// Every rejected candidate, in the order in which they were considered.
    pub fn rejections(&self) -> impl Iterator<Item = (&HostName, &Rejection)> {
        self.stages.iter().flat_map(|stage| &stage.candidates).filter_map(|candidate| match &candidate.verdict {
            Verdict::Rejected(rejection) => Some((&candidate.host, rejection)),
            _ => None,
        })
    }

    /// What is wrong where no host was chosen: `Capacity` with the time to ask again, or `Unsupported` for ever, with
    /// each host and why.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        let (kind, advice, message) = match &self.outcome {
            RouteOutcome::Chosen { .. } => return None,
            RouteOutcome::NotNow { reason, ask_again_at } => {
                let wait = ask_again_at.map(|at| since(at, self.decided_at)).filter(|wait| *wait > Duration::ZERO);
                (ErrorKind::Capacity, wait.map_or(Advice::Temporary, Advice::After), reason)
            }
            RouteOutcome::Never { reason } => (ErrorKind::Unsupported, Advice::Permanent, reason),
        };
        let mut hosts: Vec<String> = Vec::new();
        for (host, rejection) in self.rejections() {
            let line = format!("{host}: {}", rejection.why);
            if !hosts.contains(&line) {
                hosts.push(line);
            }
        }
        let hosts = if hosts.is_empty() { String::new() } else { format!("; {}", hosts.join("; ")) };
        Some(Error::new(kind, format!("{message}{hosts}")).with_advice(advice).with_operation("route_job"))
    }
}

impl fmt::Display for StageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bound => f.write_str("bound"),
            Self::Preferred => f.write_str("preferred"),
            Self::Rule(name) => write!(f, "rule {name}"),
            Self::Default => f.write_str("default"),
            Self::Fallback(place) => write!(f, "fallback {place}"),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Chosen => f.write_str("chosen"),
            Self::Passed => f.write_str("would do; the policy chose another"),
            Self::Rejected(rejection) => {
                f.write_str(&rejection.why)?;
                rejection.until.map_or(Ok(()), |until| write!(f, " (until {until:.0})"))
            }
        }
    }
}

/// Several lines for a person: the outcome, its reason, and every stage with what became of its candidates.
impl fmt::Display for RouteDecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.outcome {
            RouteOutcome::Chosen { host, executor, reason, estimate } => {
                writeln!(f, "chosen: {host} ({executor})\nreason: {reason}")?;
                if estimate.cost().is_ok() {
                    writeln!(f, "expected cost: {estimate}")?;
                }
            }
            RouteOutcome::NotNow { reason, ask_again_at } => {
                writeln!(f, "not now: {reason}")?;
                ask_again_at.iter().try_for_each(|at| writeln!(f, "ask again: at {at:.0}"))?;
            }
            RouteOutcome::Never { reason } => writeln!(f, "never: {reason}")?,
        }
        for stage in &self.stages {
            writeln!(f, "\n{} → {}: {}", stage.kind, stage.target, stage.reason)?;
            let width =
                stage.candidates.iter().map(|candidate| candidate.host.as_str().len()).max().unwrap_or_default();
            for candidate in &stage.candidates {
                write!(f, "  {:width$}  ", candidate.host)?;
                match (&candidate.verdict, &candidate.cost) {
                    (Verdict::Passed, Some(cost)) => writeln!(f, "would do at {cost}; the policy chose another")?,
                    (verdict, _) => writeln!(f, "{verdict}")?,
                }
            }
        }
        // That a cost is not known matters to few, and comes behind what matters to all.
        if let RouteOutcome::Chosen { estimate, .. } = &self.outcome
            && estimate.cost().is_err()
        {
            writeln!(f, "\nexpected cost: {estimate}")?;
        }
        self.rule_notes.iter().try_for_each(|note| writeln!(f, "\nrule {} did not apply: {}", note.rule, note.why))?;
        self.notices.iter().try_for_each(|notice| writeln!(f, "\nnotice: {notice}"))
    }
}
