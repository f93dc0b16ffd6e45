//! Tests that need a service: without it each shows as ignored, with the reason; where everything is required, it
//! fails.

use futures::FutureExt;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::{any::Any, future::Future, panic::AssertUnwindSafe, pin::Pin, process::ExitCode};

/// A name, and the test behind it, which panics when it fails.
pub type Test = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

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
    Trial::ignorable_test(format!("{group}::{name}"), move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            if let Err(reason) = needs().await {
                return missing(reason, everything_is_required());
            }
            let done = AssertUnwindSafe(test()).catch_unwind().await;
            done.map(|()| Completion::Completed).map_err(|panic| words_of(panic.as_ref()).into())
        })
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
