//! Many handles asked about at once.

use longshore_core::{Error, ErrorKind, ExecutionHandle, ExecutionStatus};

use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, refused, same},
};

cases! { "batches":
    two_hundred_handles_are_answered_in_order,
    a_bad_handle_spoils_only_its_own_answer,
    no_handle_gives_no_answer,
}

const BATCH: usize = 200;

/// What is to be answered about a handle.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Expected {
    Exited(i32),
    Live,
    NotFound,
    Invalid,
}

fn check(answer: &Result<ExecutionStatus, Error>, expected: Expected) -> CaseResult {
    let fits = match (answer, expected) {
        (Ok(ExecutionStatus::Terminated(end)), Expected::Exited(code)) => end.exit_code == Some(code),
        (Ok(status), Expected::Live) => status.is_live(),
        (Ok(status), Expected::NotFound) => *status == ExecutionStatus::NotFound,
        (Err(error), Expected::Invalid) => error.kind() == ErrorKind::Invalid,
        _ => false,
    };
    holds(
        fits,
        format!(
            "the answer about each handle stands in its place\n    expected: {expected:?}\n    found:    {answer:?}"
        ),
    )
}

/// A finished, a running and an unknown execution.
async fn a_mixture(case: &Case) -> CaseResult<Vec<(ExecutionHandle, Expected)>> {
    let running = case.launch(["print on and on".to_owned(), case.keep_running()]).await?;
    let mut mixture = vec![(running.handle, Expected::Live)];
    for code in [0, 1, 77] {
        let execution = case.launch([format!("exit {code}")]).await?;
        case.end(&execution).await?;
        mixture.push((execution.handle, Expected::Exited(code)));
    }
    let gone = case.launch(["exit 0"]).await?;
    case.end(&gone).await?;
    case.cleanup(&gone).await?;
    mixture.push((gone.handle, Expected::NotFound));
    Ok(mixture)
}

async fn ask(case: &Case, batch: &[(ExecutionHandle, Expected)]) -> CaseResult {
    let handles: Vec<ExecutionHandle> = batch.iter().map(|(handle, _)| handle.clone()).collect();
    let answers = case.restarted().await?.check_statuses(&handles).await;
    same("how many answers there are", answers.len(), handles.len())?;
    answers.iter().zip(batch).try_for_each(|(answer, (_, expected))| check(answer, *expected))
}

/// A few executions, each asked about many times, in an order in which no two neighbours are the same.
async fn two_hundred_handles_are_answered_in_order(case: &Case) -> CaseResult {
    let mixture = a_mixture(case).await?;
    let shuffled = |at: usize| mixture[(at * 7 + at / mixture.len()) % mixture.len()].clone();
    let batch: Vec<_> = (0..BATCH).map(shuffled).collect();
    ask(case, &batch).await
}

async fn a_bad_handle_spoils_only_its_own_answer(case: &Case) -> CaseResult {
    let mut batch = a_mixture(case).await?;
    let (mut foreign, _) = batch.first().cloned().ok_or_else(|| Halt::broken("the mixture holds something"))?;
    foreign.host = longshore_core::HostName::new("kit-elsewhere")?;
    batch.insert(2, (foreign, Expected::Invalid));
    ask(case, &batch).await
}

async fn no_handle_gives_no_answer(case: &Case) -> CaseResult {
    same("how many answers there are", case.executor.check_statuses(&[]).await.len(), 0)?;
    let unreachable = case.harness.unreachable_executor().await?;
    let execution = case.launch(["exit 0"]).await?;
    let handles = vec![execution.handle.clone(); 3];
    let answers = unreachable.check_statuses(&handles).await;
    same("how many answers there are from a provider that can't be reached", answers.len(), 3)?;
    for answer in answers {
        let kinds = [ErrorKind::Unavailable, ErrorKind::Timeout];
        refused("each of them", answer, &kinds)?;
    }
    Ok(())
}
