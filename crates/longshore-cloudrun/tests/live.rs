//! The conformance kit against Google's real service, for whoever names an account: `LONGSHORE_LIVE_CLOUDRUN` is the
//! path of a file as docs.md describes it. It costs money, at most so much as `most_jobs` allows. Without the variable
//! there is nothing to do.

#![expect(clippy::panic, reason = "a test fails by panicking")]

#[path = "support/account.rs"]
mod account;
#[path = "support/metered.rs"]
mod metered;

use account::{Account, Live};
use longshore_testkit::kit;
use metered::Budget;
use std::{ffi::OsString, process::ExitCode, sync::Arc};

fn main() -> ExitCode {
    let Some(path) = std::env::var_os("LONGSHORE_LIVE_CLOUDRUN") else { return ExitCode::SUCCESS };
    let account = read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let budget = Arc::new(Budget::of(account.most_jobs));
    kit::main("cloudrun-live", move || {
        let live = Live::start(account.clone(), Arc::clone(&budget));
        async move { live }
    })
}

fn read(path: &OsString) -> Result<Account, Box<dyn std::error::Error>> {
    Ok(serde_json::from_slice(&std::fs::read(path)?)?)
}
