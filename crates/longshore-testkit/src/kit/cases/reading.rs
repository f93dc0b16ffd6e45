//! Reading a log: resumed, slowly, not at all, by many, and while it is written.

use longshore_core::{ErrorKind, LogCursor, LogQuery};

use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, refused, same, same_bytes},
    log::Reader,
    workload,
};

cases! { "reading":
    page_by_page_by_many_programs,
    a_cursor_may_be_used_again,
    what_comes_later_is_read_from_the_cursor,
    the_end_may_be_asked_for_again,
    a_cursor_that_nobody_gave_is_refused,
    the_cursor_of_another_log_is_refused,
    a_running_program_is_heard,
    a_log_that_has_not_begun_is_empty,
    a_slow_reader_misses_nothing,
    a_frozen_reader_does_not_freeze_the_job,
    two_readers_at_once_read_the_same,
}

async fn page_by_page_by_many_programs(case: &Case) -> CaseResult {
    let work = workload::lines(300, 80)?;
    let finished = case.run([work.instruction]).await?;
    let programs = [case.restarted().await?, case.restarted().await?, case.restarted().await?];
    for page_bytes in [1, 64, 1_000, 7_777] {
        let mut reader = Reader::of(&finished.execution.handle).in_pages_of(page_bytes);
        let mut pages = 0;
        while reader.ended.is_none() {
            reader.read(programs[pages % programs.len()].as_ref()).await?;
            pages += 1;
            holds(pages < 10_000, format!("a log of 300 lines ends, also in pages of {page_bytes} bytes"))?;
        }
        same_bytes("the log, put together from its pages", &reader.into_log().stdout, &work.output)?;
    }
    Ok(())
}

async fn a_cursor_may_be_used_again(case: &Case) -> CaseResult {
    let work = workload::lines(200, 50)?;
    let finished = case.run([work.instruction]).await?;
    let mut reader = Reader::of(&finished.execution.handle).in_pages_of(3_000);
    reader.read(case.executor.as_ref()).await?;
    let middle = reader.cursor.clone().ok_or_else(|| Halt::broken("every page gives the place of the next"))?;
    let begun = reader.log.stdout.clone();
    for _ in 0..3 {
        let rest = Reader::of(&finished.execution.handle).from(middle.clone());
        let rest = case.rest_on(case.restarted().await?.as_ref(), rest).await?;
        let whole = [begun.as_slice(), &rest.stdout].concat();
        same_bytes("the beginning and the rest", &whole, &work.output)?;
    }
    Ok(())
}

/// The reader is at the end of what there is, goes away, and comes back when the job has written more.
async fn what_comes_later_is_read_from_the_cursor(case: &Case) -> CaseResult {
    let script = ["print before".to_owned(), case.sleep(700), "print after".to_owned()];
    let execution = case.launch(script).await?;
    let mut reader = Reader::of(&execution.handle);
    case.until("the first line comes", async || {
        reader.read(case.executor.as_ref()).await?;
        Ok((!reader.log.stdout.is_empty()).then_some(()))
    })
    .await?;
    let place = reader.cursor.clone().ok_or_else(|| Halt::broken("every page gives the place of the next"))?;
    case.end(&execution).await?;
    let rest = Reader::of(&execution.handle).from(place);
    let rest = case.rest_on(case.restarted().await?.as_ref(), rest).await?;
    let whole = [reader.log.stdout.as_slice(), &rest.stdout].concat();
    same_bytes("what came before and after", &whole, b"before\nafter\n")
}

async fn the_end_may_be_asked_for_again(case: &Case) -> CaseResult {
    let finished = case.run(["print the end"]).await?;
    let mut reader = Reader::of(&finished.execution.handle);
    while reader.ended.is_none() {
        reader.read(case.executor.as_ref()).await?;
    }
    for _ in 0..3 {
        let program = case.restarted().await?;
        reader.read(program.as_ref()).await?;
        holds(reader.ended.is_some(), "a log that has ended stays ended")?;
    }
    same_bytes("the log", &reader.into_log().stdout, b"the end\n")
}

async fn a_cursor_that_nobody_gave_is_refused(case: &Case) -> CaseResult {
    let finished = case.run(["print guarded"]).await?;
    for text in ["", "0", "no cursor of anybody", "-1", "99999999999999999999999", "../..", "{}", "🚢"] {
        let query = LogQuery::after(LogCursor::new(text));
        let answer = case.executor.get_logs(&finished.execution.handle, &query).await;
        refused(&format!("the cursor {text:?}"), answer, &[ErrorKind::Invalid])?;
    }
    Ok(())
}

async fn the_cursor_of_another_log_is_refused(case: &Case) -> CaseResult {
    let mine = case.run(["print mine"]).await?;
    let other = case.run(["print other", "print and more"]).await?;
    let page = case.executor.get_logs(&other.execution.handle, &LogQuery::from_start()).await?;
    let answer = case.executor.get_logs(&mine.execution.handle, &LogQuery::after(page.next)).await;
    refused("the cursor of another execution's log", answer, &[ErrorKind::Invalid])?;
    Ok(())
}

async fn a_running_program_is_heard(case: &Case) -> CaseResult {
    let execution = case.launch(["print live".to_owned(), case.keep_running()]).await?;
    case.says(&execution, "live").await?;
    case.still_live(&execution).await?;
    let mut reader = Reader::of(&execution.handle);
    reader.read(case.executor.as_ref()).await?;
    same("whether the log of a running program has ended", reader.ended.is_some(), false)
}

async fn a_log_that_has_not_begun_is_empty(case: &Case) -> CaseResult {
    let execution = case.launch([case.keep_running()]).await?;
    let page = case.executor.get_logs(&execution.handle, &LogQuery::from_start()).await?;
    same("the records of a log that has not begun", page.records, vec![])?;
    same("what is known of its end", page.ended, None)?;
    case.end_now(&execution).await?;
    let rest = case.rest_on(case.executor.as_ref(), Reader::of(&execution.handle).from(page.next)).await?;
    same_bytes("the log in the end", &rest.stdout, b"")
}

async fn a_slow_reader_misses_nothing(case: &Case) -> CaseResult {
    let work = workload::lines(400, 100)?;
    let execution = case.launch([work.instruction, case.sleep(200)]).await?;
    let mut reader = Reader::of(&execution.handle).in_pages_of(4_000);
    while reader.ended.is_none() {
        reader.read(case.executor.as_ref()).await?;
        case.clock.sleep(case.paced(50)).await;
    }
    same_bytes("what the slow reader has", &reader.into_log().stdout, &work.output)
}

/// Somebody opens the log and never reads on, while the job writes far more than any pipe holds.
async fn a_frozen_reader_does_not_freeze_the_job(case: &Case) -> CaseResult {
    let work = workload::lines(80_000, 100)?;
    let execution = case.launch(["print opened".to_owned(), case.sleep(200), work.instruction]).await?;
    let mut frozen = Reader::of(&execution.handle).in_pages_of(1);
    frozen.read(case.executor.as_ref()).await?;
    case.end(&execution).await?;
    let awake = frozen.in_pages_of(LogQuery::PAGE);
    let rest = case.rest_on(case.executor.as_ref(), awake).await?;
    let expected = [b"opened\n".as_slice(), &work.output].concat();
    same_bytes("what is there when the reader wakes up", &rest.stdout, &expected)
}

async fn two_readers_at_once_read_the_same(case: &Case) -> CaseResult {
    let work = workload::lines(2_000, 60)?;
    let execution = case.launch([work.instruction, case.sleep(100)]).await?;
    let other = case.restarted().await?;
    let (first, second, third) = futures::try_join!(
        case.log_on(case.executor.as_ref(), &execution.handle),
        case.log_on(case.executor.as_ref(), &execution.handle),
        case.log_on(other.as_ref(), &execution.handle),
    )?;
    for log in [first, second, third] {
        same_bytes("what each reader has", &log.stdout, &work.output)?;
    }
    Ok(())
}
