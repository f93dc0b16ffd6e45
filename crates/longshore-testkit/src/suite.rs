//! Tests that need a service: without it each shows as ignored, with the reason; where everything is required, it
//! fails.

use futures::FutureExt;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::{any::Any, future::Future, panic::AssertUnwindSafe, pin::Pin, process::ExitCode, time::Duration};

/// How long one test may take. It only ends what hangs.
const LIMIT: Duration = Duration::from_secs(300);

/// What a test does; it panics when it fails.
pub type Body = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// A test and its name.
pub type Test = (&'static str, Body);

/// What a group of tests needs: `Err` with the reason, and with how to get it, when this machine lacks it.
pub type Needs = fn() -> Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Tests with the same needs: their common name, the needs, the tests.
pub type Group = (&'static str, Needs, &'static [Test]);

/// Names each of some `async fn name()` after itself: an array of [`Test`](crate::suite::Test)s.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), || Box::pin($name()))),*]
    };
}

/// Runs the tests as the `main` of a test with `harness = false`, each in a current-thread tokio runtime of its own. It
/// takes the arguments of `cargo test`. A service that is missing is a failure when `LONGSHORE_REQUIRE_ALL` is `1`.
#[must_use]
pub fn main(groups: &[Group]) -> ExitCode {
    let trials = groups.iter().flat_map(|(group, needs, tests)| tests.iter().map(|test| trial(group, *needs, test)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn trial(group: &str, needs: Needs, (name, test): &'static Test) -> Trial {
    Trial::ignorable_test(format!("{group}::{name}"), move || run(needs, *test, everything_is_required(), LIMIT))
}

fn run(needs: Needs, test: Body, strict: bool, limit: Duration) -> Result<Completion, Failed> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        if let Err(reason) = needs().await {
            return missing(reason, strict);
        }
        match tokio::time::timeout(limit, AssertUnwindSafe(test()).catch_unwind()).await {
            Ok(Ok(())) => Ok(Completion::Completed),
            Ok(Err(panic)) => Err(words_of(panic.as_ref()).into()),
            Err(_) => Err(format!("it did not end within {limit:?}").into()),
        }
    })
}

/// What becomes of a test whose service is missing.
pub(crate) fn missing(reason: String, strict: bool) -> Result<Completion, Failed> {
    if strict {
        return Err(format!("LONGSHORE_REQUIRE_ALL=1, and {reason}").into());
    }
    Ok(Completion::ignored_with(reason))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one look at the environment: whether a missing service is a failure"
)]
pub(crate) fn everything_is_required() -> bool {
    std::env::var("LONGSHORE_REQUIRE_ALL").is_ok_and(|value| value == "1")
}

pub(crate) fn words_of(panic: &(dyn Any + Send)) -> &str {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Needs = || Box::pin(async { Ok(()) });
    const AN_ENGINE: Needs = || Box::pin(async { Err("no engine answers; start one".to_owned()) });

    fn outcome(needs: Needs, test: Body, strict: bool) -> String {
        match run(needs, test, strict, Duration::from_millis(50)) {
            Ok(Completion::Completed) => "completed".to_owned(),
            Ok(Completion::Ignored { reason }) => format!("ignored: {}", reason.unwrap_or_default()),
            Err(failed) => format!("failed: {}", failed.message().unwrap_or_default()),
        }
    }

    #[test]
    fn a_test_passes_panics_or_hangs() {
        assert_eq!(outcome(NOTHING, || Box::pin(async {}), true), "completed");
        assert_eq!(outcome(NOTHING, || Box::pin(async { panic!("no {}", "way") }), false), "failed: no way");
        let hung = outcome(NOTHING, || Box::pin(std::future::pending()), false);
        assert_eq!(hung, "failed: it did not end within 50ms");
    }

    #[test]
    fn a_missing_service_fails_only_where_everything_is_required() {
        let unreachable: Body = || Box::pin(async { panic!("it ran") });
        assert_eq!(outcome(AN_ENGINE, unreachable, false), "ignored: no engine answers; start one");
        let failed = outcome(AN_ENGINE, unreachable, true);
        assert_eq!(failed, "failed: LONGSHORE_REQUIRE_ALL=1, and no engine answers; start one");
    }
}
