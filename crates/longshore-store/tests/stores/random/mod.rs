//! The same random operations on the store in memory and on another: equal answers, and at the end equal contents.

mod apply;
mod operation;

use longshore_core::{JobId, LaunchToken};
use longshore_store::{Beat, JobArchive, JobStore, MemoryStore, SessionId};
use proptest::{
    prelude::prop,
    test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner},
};
use std::{collections::BTreeMap, sync::Arc};
use tokio::runtime::Handle;
use uuid::Uuid;

use crate::{
    ground::{Ground, Kind},
    support::at,
};
use operation::{Operation, operation};

/// How many sequences are tried, unless `PROPTEST_CASES` says otherwise.
const CASES: u32 = 48;
const LONGEST: usize = 70;

/// What the operations refer to: the same for both stores, as the one in memory has told it.
#[derive(Debug, Default)]
struct Known {
    beats: BTreeMap<SessionId, Beat>,
    exported: Vec<JobArchive>,
}

/// A job's id by its number; ids sort by number.
fn job_id(number: u8) -> JobId {
    JobId::from_uuid(Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)))
}

fn session_id(number: u8) -> SessionId {
    SessionId::from_uuid(Uuid::from_u128(0x0191_0000_0000_7000_8000_0000_0000_0000 + u128::from(number)))
}

/// Drives both stores through random sequences; the shortest that tells them apart is shown.
pub(crate) async fn compare<K: Kind>() {
    let handle = Handle::current();
    let tried = tokio::task::spawn_blocking(move || {
        let mut config = Config { failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
        if config.cases == 256 {
            config.cases = CASES;
        }
        if config.rng_seed == RngSeed::Random {
            config.rng_seed = RngSeed::Fixed(20_260_301);
        }
        let sequences = prop::collection::vec(operation(), 1..LONGEST);
        TestRunner::new(config).run(&sequences, |operations| {
            handle.block_on(async { differ(&operations, &K::ground().await).await }).map_err(TestCaseError::fail)
        })
    });
    match tried.await.expect("the comparison runs to its end") {
        Ok(()) => {}
        Err(TestError::Fail(why, operations)) => {
            let listed: Vec<_> = operations.iter().enumerate().map(|(at, it)| format!("{at}: {it:?}")).collect();
            panic!("{why}\nafter\n{}", listed.join("\n"));
        }
        Err(other) => panic!("{other}"),
    }
}

async fn differ(operations: &[Operation], ground: &Ground) -> Result<(), String> {
    let model: Arc<dyn JobStore> = Arc::new(MemoryStore::new());
    let mut known = Known::default();
    for store in [&model, &ground.store] {
        store.open_session(session_id(0), "first").await.map_err(|error| error.to_string())?;
    }
    // Every other operation comes from where another process would be.
    let handles = [Arc::clone(&ground.store), ground.another().await];
    let (mut previous, mut previous_at) = (None, 0);
    for (number, operation) in operations.iter().enumerate() {
        let again = matches!(operation, Operation::Again);
        let operation = if again { previous.as_ref() } else { Some(operation) };
        let Some(operation) = operation.cloned() else { continue };
        let now = if again { previous_at } else { i64::try_from(number).unwrap() * 7 };
        let expected = apply::apply(&model, &operation, now, &model, &known).await;
        let answer = apply::apply(&handles[number % 2], &operation, now, &model, &known).await;
        if expected != answer {
            return Err(format!("operation {number}:\n expected {expected}\n answered {answer}"));
        }
        apply::learn(&model, &operation, &mut known).await;
        (previous, previous_at) = (Some(operation), now);
    }
    let (expected, kept) = (contents(&model).await, contents(&ground.store).await);
    if expected == kept { Ok(()) } else { Err(format!("at the end\n expected {expected}\n kept {kept}")) }
}

/// All that can be asked for.
async fn contents(store: &Arc<dyn JobStore>) -> String {
    let archives = store.archive(None, 1000).await;
    let mut held = Vec::new();
    for number in 0..3 {
        held.push(store.held(session_id(number)).await);
    }
    let rest = (store.pauses().await, store.counts().await, store.check().await);
    format!("{archives:?}\n{held:?}\n{rest:?}")
}

fn token(job: JobId, attempt: u32) -> LaunchToken {
    LaunchToken::new(job, attempt)
}

/// The time of an operation.
fn moment(seconds: i64) -> jiff::Timestamp {
    at(seconds)
}
