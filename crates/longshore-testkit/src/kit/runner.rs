//! Running the cases, each as a test of its own in a runtime of its own.

use futures::FutureExt;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::{future::Future, panic::AssertUnwindSafe, process::ExitCode, sync::Arc, time::Duration};

use super::{
    Harness, SetupError,
    case::Case,
    cases::{ENTRIES, Entry},
    failure::{CaseResult, Halt},
    sweep::sweep,
};
use crate::suite::{everything_is_required, missing, words_of};

/// How long one case may take at a pace of 1, by tokio's clock. It only ends what hangs.
const CASE_LIMIT: Duration = Duration::from_secs(300);
/// How long its sweep may take.
const SWEEP_LIMIT: Duration = Duration::from_secs(120);
/// How long a runtime may take to end what its case has left running.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(5);

/// What a case comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The executor keeps the promise.
    Passed,
    /// It does not, and how.
    Failed(String),
    /// What the harness needs is not on this machine, and how to get it.
    Unavailable(String),
    /// Nobody can do to this provider what the case needs, and why.
    NotOffered(String),
}

/// Runs every case against the executor of the given name, as the `main` of a test with `harness = false`. It takes
/// the arguments of `cargo test`.
///
/// The set-up is called once for each case, in that case's own current-thread tokio runtime.
pub fn main<H, S, F>(name: &str, setup: S) -> ExitCode
where
    H: Harness + 'static,
    S: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<H, SetupError>>,
{
    main_without(name, &[], setup)
}

/// As [`main`], less some cases, for a place that is known to differ there: say so where its users read it. The cases
/// of an executor that is complete are [`main`]'s.
///
/// # Panics
/// When there is no case of one of the names.
pub fn main_without<H, S, F>(name: &str, without: &[&str], setup: S) -> ExitCode
where
    H: Harness + 'static,
    S: Fn() -> F + Send + Sync + 'static,
    F: Future<Output = Result<H, SetupError>>,
{
    for case in without {
        assert!(cases().any(|known| known == *case), "the kit has no case {case}");
    }
    let setup = Arc::new(setup);
    let strict = everything_is_required();
    let trial = |entry: &'static Entry| {
        let setup = Arc::clone(&setup);
        Trial::ignorable_test(entry.name, move || completion(verdict(entry, setup.as_ref()), strict)).with_kind(name)
    };
    let entries = ENTRIES.iter().flat_map(|group| group.iter());
    let trials = entries.filter(|entry| !without.contains(&entry.name)).map(trial).collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// The names of all cases, as `group::case`.
pub fn cases() -> impl Iterator<Item = &'static str> {
    ENTRIES.iter().flat_map(|group| group.iter()).map(|entry| entry.name)
}

/// Runs one case, for those who prove a wrapper, or the kit itself. `None` when there is no case of this name.
/// Must not be called inside a tokio runtime: the case gets its own.
#[must_use]
pub fn run_case<H, S, F>(name: &str, setup: S) -> Option<Verdict>
where
    H: Harness + 'static,
    S: Fn() -> F,
    F: Future<Output = Result<H, SetupError>>,
{
    let entry = ENTRIES.iter().flat_map(|group| group.iter()).find(|entry| entry.name == name)?;
    Some(verdict(entry, &setup))
}

fn completion(verdict: Verdict, strict: bool) -> Result<Completion, Failed> {
    match verdict {
        Verdict::Passed => Ok(Completion::Completed),
        Verdict::Failed(message) => Err(message.into()),
        Verdict::Unavailable(reason) => missing(reason, strict),
        Verdict::NotOffered(reason) => Ok(Completion::ignored_with(format!("not offered: {reason}"))),
    }
}

fn verdict<H, S, F>(entry: &Entry, setup: &S) -> Verdict
where
    H: Harness + 'static,
    S: Fn() -> F,
    F: Future<Output = Result<H, SetupError>>,
{
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Verdict::Failed(format!("no runtime for the case: {error}")),
    };
    let verdict = runtime.block_on(async {
        match setup().await {
            Ok(harness) => judge(entry, Box::new(harness)).await,
            Err(SetupError::Unavailable(reason)) => Verdict::Unavailable(reason),
            Err(broken) => Verdict::Failed(broken.to_string()),
        }
    });
    runtime.shutdown_timeout(SHUTDOWN_LIMIT);
    verdict
}

async fn judge(entry: &Entry, harness: Box<dyn Harness>) -> Verdict {
    let pace = harness.pace();
    let case = match Case::new(harness).await {
        Ok(case) => case,
        Err(halt) => return Verdict::Failed(format!("the harness gives no executor to begin with: {halt}")),
    };
    let result = bounded((entry.run)(&case), CASE_LIMIT * pace, "the case").await;
    let swept = bounded(sweep(&case), SWEEP_LIMIT * pace, "the sweep after the case").await;
    let complaints = swept.unwrap_or_else(|halt| vec![halt.to_string()]);
    match result {
        Ok(()) if complaints.is_empty() => Verdict::Passed,
        Ok(()) => Verdict::Failed(format!("the case passed, and left something: {}", complaints.join("; "))),
        Err(Halt::NotOffered(reason)) if complaints.is_empty() => Verdict::NotOffered(reason),
        Err(halt) if complaints.is_empty() => Verdict::Failed(halt.to_string()),
        Err(halt) => Verdict::Failed(format!("{halt}\nand afterwards: {}", complaints.join("; "))),
    }
}

/// Ends what hangs, and takes a panic for a failure, so that the sweep always comes.
async fn bounded<T>(work: impl Future<Output = CaseResult<T>>, limit: Duration, what: &str) -> CaseResult<T> {
    match tokio::time::timeout(limit, AssertUnwindSafe(work).catch_unwind()).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(Halt::broken(format!("{what} panicked: {}", words_of(panic.as_ref())))),
        Err(_) => Err(Halt::broken(format!("{what} did not end within {limit:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_fails_only_where_everything_is_required() {
        let missing = || Verdict::Unavailable("no engine answers; start one".to_owned());
        assert!(
            matches!(completion(missing(), false), Ok(Completion::Ignored { reason: Some(why) }) if why.contains("start one"))
        );
        let failed = completion(missing(), true).map(|_| ()).unwrap_err();
        assert!(failed.message().is_some_and(|why| why.contains("LONGSHORE_REQUIRE_ALL") && why.contains("start one")));
    }

    #[test]
    fn what_nobody_offers_is_shown_and_never_fails() {
        for strict in [false, true] {
            let shown = completion(Verdict::NotOffered("nobody can".to_owned()), strict);
            assert!(matches!(shown, Ok(Completion::Ignored { reason: Some(why) }) if why == "not offered: nobody can"));
            assert!(matches!(completion(Verdict::Passed, strict), Ok(Completion::Completed)));
            assert!(completion(Verdict::Failed("it broke".to_owned()), strict).is_err());
        }
    }

    #[test]
    fn the_documentation_says_what_each_group_proves() {
        let documented = include_str!("docs.md").lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
        let mut groups: Vec<&str> = cases().filter_map(|name| name.split("::").next()).collect();
        groups.dedup();
        assert_eq!(documented.collect::<Vec<_>>(), groups);
    }

    #[test]
    fn every_case_has_a_name_of_its_own_and_a_group() {
        let mut names: Vec<&str> = cases().collect();
        let count = names.len();
        assert!(names.iter().all(|name| name.split("::").count() == 2));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
