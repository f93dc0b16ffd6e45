//! News of executions, where the executor has any.

use futures::StreamExt;
use longshore_core::{Capability, ErrorKind, EventStream, ExecutionEvent, LaunchToken, wait};

use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, refused, same},
};

cases! { "events":
    an_end_is_told_or_admitted_to_be_missed,
    a_change_before_the_end_is_told_too,
    an_owner_hears_only_of_its_own,
    waiting_needs_no_events,
}

/// How many ends are waited for: what an end shows a little later it shows in time now and then.
const ENDS: usize = 5;

/// How often it is asked about at one time: as with so many executions, which are listed rather than looked at.
const MANY: usize = 50;

/// The owner's events; `None` where the executor has none and has said so.
async fn subscribe(case: &Case) -> CaseResult<Option<EventStream>> {
    let answer = case.executor.events(&case.owner).await;
    if case.has(Capability::Events) {
        return Ok(Some(answer?));
    }
    let answer = answer.map(|_| "a stream of events");
    refused("events that the executor does not declare", answer, &[ErrorKind::Unsupported])?;
    Ok(None)
}

/// Waits for news of the token, or for a gap in which it may have been missed.
async fn news_of(case: &Case, events: &mut EventStream, token: LaunchToken) -> CaseResult {
    let news = async {
        while let Some(event) = events.next().await {
            match event {
                ExecutionEvent::Changed { token: changed, .. } if changed != token => {}
                _ => return Ok(()),
            }
        }
        Err(Halt::broken("a stream of events never ends by itself"))
    };
    tokio::select! {
        heard = news => heard,
        () = case.clock.sleep(case.limit()) => Err(Halt::broken("no news of a change, and no gap, in time")),
    }
}

async fn an_end_is_told_or_admitted_to_be_missed(case: &Case) -> CaseResult {
    let Some(mut events) = subscribe(case).await? else { return Ok(()) };
    for _ in 0..ENDS {
        let execution = case.launch(["exit 0"]).await?;
        // The last news of it come with its end: nothing else would ever lead to another question.
        loop {
            news_of(case, &mut events, execution.token()).await?;
            let answer = case.executor.check_statuses(&vec![execution.handle.clone(); MANY]).await.pop();
            let status = answer.ok_or_else(|| Halt::broken("each question has an answer"))??;
            if !status.is_live() {
                break;
            }
        }
    }
    Ok(())
}

async fn a_change_before_the_end_is_told_too(case: &Case) -> CaseResult {
    let Some(mut events) = subscribe(case).await? else { return Ok(()) };
    let execution = case.launch(["print news".to_owned(), case.keep_running()]).await?;
    news_of(case, &mut events, execution.token()).await?;
    case.still_live(&execution).await
}

async fn an_owner_hears_only_of_its_own(case: &Case) -> CaseResult {
    let Some(mut events) = subscribe(case).await? else { return Ok(()) };
    let mut foreign = case.request_for(["exit 0"])?;
    foreign.owner = case.another_owner()?;
    let foreign = case.launch_request(foreign).await?;
    case.end(&foreign).await?;
    let own = case.launch(["exit 0"]).await?;
    case.end(&own).await?;
    let mut gaps = 0;
    let until_own = async {
        while let Some(event) = events.next().await {
            match event {
                ExecutionEvent::Changed { token, .. } if token == own.token() => return Ok(()),
                ExecutionEvent::Changed { token, .. } => {
                    holds(token != foreign.token(), "an owner's events are about its own executions")?;
                }
                _ => gaps += 1,
            }
        }
        Err(Halt::broken("a stream of events never ends by itself"))
    };
    tokio::select! {
        heard = until_own => return heard,
        () = case.clock.sleep(case.paced(10_000)) => {}
    }
    holds(gaps > 0, "no news of the owner's own execution, and no gap, in time")
}

/// The convenience layer waits with events and without; either way it returns the end.
async fn waiting_needs_no_events(case: &Case) -> CaseResult {
    let execution = case.launch([case.sleep(300), "exit 6".to_owned()]).await?;
    let waited = wait(case.executor.as_ref(), &execution.handle, &case.owner, case.clock.as_ref()).await?;
    same("the exit code that was waited for", waited.termination().and_then(|end| end.exit_code), Some(6))
}
