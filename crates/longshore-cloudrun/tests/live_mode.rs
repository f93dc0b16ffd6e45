//! What runs against a real account is tried against the fake first: it passes, it stops at its ceiling, and it leaves
//! nothing behind.

#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/account.rs"]
mod account;
#[path = "support/metered.rs"]
mod metered;

use account::{Account, Live};
use longshore_core::SystemClock;
use longshore_testkit::{
    fakes::cloudrun::{FakeCloudRun, Options},
    kit::{Verdict, run_case},
};
use metered::Budget;
use std::sync::Arc;

/// It launches twice.
const CASE: &str = "launching::a_token_launched_again_is_the_same_execution";

/// What the case comes to with so many launches at most, and the jobs that are left.
fn tried(most_jobs: u32) -> (Verdict, Vec<String>) {
    // The case has a runtime of its own.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let fake = runtime.block_on(FakeCloudRun::start(Arc::new(SystemClock), Options::default())).expect("a fake");
    let folder = tempfile::TempDir::new().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, fake.token()).expect("the folder is ours");
    let account: Account = serde_json::from_value(serde_json::json!({
        "project": fake.project(),
        "region": fake.region(),
        "probe_image": fake.probe_image(),
        "most_jobs": most_jobs,
        "token": format!("file:{}", token.display()),
        "endpoint": fake.endpoint(),
        "logging_endpoint": fake.logging_endpoint(),
    }))
    .expect("an account");
    let budget = Arc::new(Budget::of(account.most_jobs));
    let verdict = run_case(CASE, || {
        let live = Live::start(account.clone(), Arc::clone(&budget));
        async move { live }
    });
    (verdict.expect("a case of the kit"), fake.jobs())
}

#[test]
fn a_case_passes_and_leaves_nothing() {
    assert_eq!(tried(10), (Verdict::Passed, vec![]));
}

#[test]
fn nothing_is_launched_beyond_the_ceiling_and_nothing_is_left() {
    let (verdict, left) = tried(1);
    assert!(matches!(&verdict, Verdict::Failed(why) if why.contains("most_jobs")), "{verdict:?}");
    assert_eq!(left, Vec::<String>::new());
}
