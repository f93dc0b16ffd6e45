//! Runs tests that need a service: without it each shows as ignored with the reason, and in CI it fails.

use futures::FutureExt;
use libtest_mimic::{Arguments, Completion, Trial};
use std::{future::Future, panic::AssertUnwindSafe, pin::Pin, process::ExitCode};

/// One test.
pub(crate) type Test = (&'static str, fn() -> Pin<Box<dyn Future<Output = ()>>>);

/// What a group of tests needs: `Err` with the reason when it is not on this machine.
pub(crate) type Needs = fn() -> Pin<Box<dyn Future<Output = Result<(), String>>>>;

/// Names each test after its function.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        [$((stringify!($name), || Box::pin($name()))),*]
    };
}
pub(crate) use tests;

/// Runs the tests, each in a runtime of its own.
pub(crate) fn run(groups: &[(&'static str, Needs, &'static [Test])]) -> ExitCode {
    let trials = groups.iter().flat_map(|(group, needs, tests)| tests.iter().map(|test| trial(group, *needs, test)));
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn trial(group: &str, needs: Needs, (name, test): &'static Test) -> Trial {
    Trial::ignorable_test(format!("{group}::{name}"), move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
        runtime.block_on(async {
            if let Err(reason) = needs().await {
                return if required() { Err(reason.into()) } else { Ok(Completion::ignored_with(reason)) };
            }
            let done = AssertUnwindSafe(test()).catch_unwind().await;
            done.map(|()| Completion::Completed).map_err(|panic| words(panic.as_ref()).into())
        })
    })
}

#[expect(clippy::disallowed_methods, reason = "whether a missing service is a failure")]
fn required() -> bool {
    std::env::var("LONGSHORE_REQUIRE_ALL").is_ok_and(|value| value == "1")
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().cloned();
    owned.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
}
