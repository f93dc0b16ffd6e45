//! What is scripted for a job: how long things take, what goes wrong, and what its program does.

use bon::Builder;
use jiff::fmt::serde::unsigned_duration::friendly::compact::{optional, required};
use longshore_core::{ByteSize, Cause, ErrorKind, LaunchRequest, Result, Violation, read_section};
use longshore_probe::Program;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, time::Duration};

/// What is scripted for a job. What is absent is left to whoever is asked next: a job's own `executor_options.mock`
/// comes first, then the host's rules in their order, then what the host says of every job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Behaviour {
    /// What the program does, in the language of `longshore-probe`, in place of what the job's own entrypoint,
    /// command and args say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[builder(with = FromIterator::from_iter)]
    pub script: Option<Vec<String>>,
    /// How long it takes to prepare the image, the first time that it is asked for.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub prepare: Option<Duration>,
    /// How long the launch takes. It has its effect half-way: a caller that gives up before has launched nothing,
    /// one that gives up after has launched.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub launch: Option<Duration>,
    /// How long the execution is pending, from the launch's effect until it runs.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub pending: Option<Duration>,
    /// How long after its writing a log record can be read.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub late_logs: Option<Duration>,
    /// The connection that reads the log is cut after each so many bytes, in the middle of a line if need be: the
    /// page ends there, and the next question is answered by an error, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_logs: Option<ByteSize>,
    /// Launches are refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refuse: Option<Refusal>,
    /// Launches are lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lose: Option<LostLaunches>,
    /// Whether the search for a launch can't prove anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unprovable: Option<bool>,
    /// The provider itself ends the execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interrupt: Option<Interruption>,
    /// How long after the launch's effect the provider forgets the execution, which then is not found.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub vanish: Option<Duration>,
}

/// Launches that the provider refuses: nothing is launched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Refusal {
    /// The kind of the error.
    pub kind: ErrorKind,
    /// How many launches of each job are refused, from the first on; absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// After how long to try again, by the error's advice; absent, the advice that usually goes with the kind.
    #[serde(default, with = "optional", skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub retry_after: Option<Duration>,
    /// What the provider says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(into)]
    pub message: Option<String>,
}

/// Launches whose answer never comes; the error's advice is to look up first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LostLaunches {
    /// Whether they take effect.
    pub loss: Loss,
    /// How many launches of each job are lost, from the first on; absent, all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// In which way a launch is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Before it takes effect: the provider never hears of it.
    BeforeEffect,
    /// After it has taken effect: only the answer is lost.
    AfterEffect,
}

/// An end that the provider itself brings about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Interruption {
    /// How long after the launch's effect; within the time in which it is pending, the program never runs.
    #[serde(with = "required")]
    #[schemars(with = "String")]
    pub after: Duration,
    /// The cause that it gives: `preempted`, `capacity`, `lost-by-provider` or any other.
    pub cause: Cause,
}

/// What is scripted for some jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// The template's name; `*` stands for any characters, or none.
    #[serde(default = "any")]
    #[builder(into, default = any())]
    pub job: String,
    /// The attempts, from 1; empty, every one.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[builder(default, with = FromIterator::from_iter)]
    pub attempts: BTreeSet<u32>,
    /// What is scripted for them.
    pub then: Behaviour,
}

fn any() -> String {
    "*".to_owned()
}

impl Rule {
    /// What is scripted for all jobs whose name fits the pattern.
    pub fn for_jobs(pattern: impl Into<String>, then: Behaviour) -> Self {
        Self { job: pattern.into(), attempts: BTreeSet::new(), then }
    }

    fn fits(&self, request: &LaunchRequest) -> bool {
        let attempt_fits = self.attempts.is_empty() || self.attempts.contains(&request.token.attempt());
        attempt_fits && fits(&self.job, request.plan.template.name.as_str())
    }
}

impl Behaviour {
    /// Reads a job's `executor_options.mock`; nothing at all is the default.
    ///
    /// # Errors
    /// `Invalid`, naming the field that is unknown or wrong.
    pub fn from_options(value: Option<&serde_json::Value>) -> Result<Self> {
        const SECTION: &str = "executor_options.mock";
        let Some(value) = value else { return Ok(Self::default()) };
        let options: Self = read_section(value, SECTION).map_err(|error| error.with_operation("plan"))?;
        options.check().map_err(|rule| rule.within(format!("{SECTION}.script")))?;
        Ok(options)
    }

    /// Checks what no type can: that the script is one.
    pub(crate) fn check(&self) -> Result<(), Violation> {
        let Some(script) = &self.script else { return Ok(()) };
        Program::parse(script)
            .map(|_| ())
            .map_err(|error| Violation::new("script", script.join("; "), error.to_string()))
    }

    /// What is scripted for the launch, from the job's own options, the rules and what is said of every job.
    pub(crate) fn of_launch(request: &LaunchRequest, rules: &[Rule], every: &Self) -> Result<Self> {
        let options = request.plan.template.executor_options.get(&request.plan.executor_type);
        let fitting = rules.iter().filter(|rule| rule.fits(request)).map(|rule| &rule.then);
        Ok(fitting.chain([every]).fold(Self::from_options(options)?, Self::or))
    }

    fn or(self, other: &Self) -> Self {
        Self {
            script: self.script.or_else(|| other.script.clone()),
            prepare: self.prepare.or(other.prepare),
            launch: self.launch.or(other.launch),
            pending: self.pending.or(other.pending),
            late_logs: self.late_logs.or(other.late_logs),
            cut_logs: self.cut_logs.or(other.cut_logs),
            refuse: self.refuse.or_else(|| other.refuse.clone()),
            lose: self.lose.or_else(|| other.lose.clone()),
            unprovable: self.unprovable.or(other.unprovable),
            interrupt: self.interrupt.or_else(|| other.interrupt.clone()),
            vanish: self.vanish.or(other.vanish),
        }
    }
}

impl Refusal {
    pub(crate) fn applies(&self, earlier_launches: u32) -> bool {
        self.times.is_none_or(|times| earlier_launches < times)
    }
}

impl LostLaunches {
    pub(crate) fn applies(&self, earlier_launches: u32) -> bool {
        self.times.is_none_or(|times| earlier_launches < times)
    }
}

/// True when the text is the pattern, in which each `*` stands for any characters or none.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == text };
    let Some(rest) = text.strip_prefix(before) else { return false };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    starts.into_iter().any(|at| fits(after, &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything() {
        for (pattern, text) in
            [("*", ""), ("*", "any"), ("a*", "a"), ("a*c", "abbc"), ("*b*", "abc"), ("é*", "éé"), ("a", "a")]
        {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", "ab"), ("a*c", "ab"), ("b*", "ab"), ("*b", "abc")] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn what_a_job_says_comes_before_what_its_host_says() {
        let second = Duration::from_secs(1);
        let own = Behaviour::builder().pending(second).build();
        let host = Behaviour::builder().pending(2 * second).launch(second).build();
        let both = own.or(&host);
        assert_eq!((both.pending, both.launch, both.vanish), (Some(second), Some(second), None));
    }

    #[test]
    fn options_name_the_field_that_is_wrong() {
        for (options, named) in [
            (serde_json::json!({ "pendng": "1s" }), "pendng"),
            (serde_json::json!({ "pending": "soon" }), "executor_options.mock"),
            (serde_json::json!({ "script": ["sing"] }), "executor_options.mock.script"),
            (serde_json::json!({ "refuse": { "kind": "boredom" } }), "boredom"),
        ] {
            let error = Behaviour::from_options(Some(&options)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(named), "{error}");
        }
        assert_eq!(Behaviour::from_options(None).unwrap(), Behaviour::default());
        assert_eq!(serde_json::to_string(&Behaviour::default()).unwrap(), "{}");
    }
}
