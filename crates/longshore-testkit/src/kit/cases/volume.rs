//! Much output: quick, long, and beyond the cap.

use longshore_core::{ByteSize, LogCompleteness};

use crate::kit::{
    case::Case,
    failure::{CaseResult, Halt, holds, same, same_bytes},
    steps::Finished,
    workload,
};

cases! { "volume":
    a_hundred_thousand_quick_lines,
    one_line_of_8_mib_comes_in_bounded_records,
    both_streams_at_full_speed,
    a_log_beyond_its_cap_is_cut_off_there,
    a_log_of_exactly_its_cap_is_complete,
    one_byte_beyond_the_cap_is_told,
    the_cap_holds_for_both_streams_together,
}

async fn a_hundred_thousand_quick_lines(case: &Case) -> CaseResult {
    let work = workload::lines(100_000, 60)?;
    let log = case.run([work.instruction]).await?.log;
    same_bytes("a hundred thousand lines", &log.stdout, &work.output)?;
    case.complete(&log.completeness()?)
}

async fn one_line_of_8_mib_comes_in_bounded_records(case: &Case) -> CaseResult {
    let work = workload::bytes(8 << 20)?;
    holds(!work.output.contains(&b'\n'), "the kit's long line has no line break")?;
    let log = case.run([work.instruction, "print".to_owned(), "print after it".to_owned()]).await?.log;
    let expected = [work.output.as_slice(), b"\nafter it\n"].concat();
    same_bytes("the long line and what follows", &log.stdout, &expected)?;
    holds(
        log.records.len() >= 8,
        format!("a line of 8 MiB comes in pieces of at most 1; found {}", log.records.len()),
    )?;
    case.complete(&log.completeness()?)
}

async fn both_streams_at_full_speed(case: &Case) -> CaseResult {
    let (out, err) = (workload::lines(20_000, 50)?, workload::error_lines(20_000, 50)?);
    let log = case.run([out.instruction, err.instruction]).await?.log;
    same("how much there is in all", log.len(), out.output.len() + err.output.len())?;
    if case.has(longshore_core::Capability::SeparateStreams) {
        same_bytes("stdout", &log.stdout, &out.output)?;
        same_bytes("stderr", &log.stderr, &err.output)?;
    }
    Ok(())
}

const CAP: u64 = 300_000;
/// A line that divides the cap.
const LINE: u64 = 80;

/// Runs the instructions under the cap, to their end.
async fn capped(case: &Case, script: Vec<String>) -> CaseResult<(Finished, ByteSize)> {
    let cap = ByteSize::from_bytes(CAP).ok_or_else(|| Halt::broken("the kit's cap is above zero"))?;
    let mut template = case.template(script);
    template.log_cap = Some(cap);
    let execution = case.launch_template(template).await?;
    Ok((case.finish(execution).await?, cap))
}

async fn a_log_beyond_its_cap_is_cut_off_there(case: &Case) -> CaseResult {
    let work = workload::lines(20_000, 100)?;
    let (finished, cap) = capped(case, vec![work.instruction, "exit 3".to_owned()]).await?;
    finished.exited(3)?;
    same("how complete the log is", finished.log.completeness()?, LogCompleteness::Truncated { cap })?;
    let kept = usize::try_from(CAP).map_err(|_| Halt::broken("the kit's cap fits"))?;
    same_bytes("what is kept", &finished.log.stdout, &work.output[..kept])
}

async fn a_log_of_exactly_its_cap_is_complete(case: &Case) -> CaseResult {
    let work = workload::lines(CAP / LINE, LINE)?;
    same("the length of what is written", work.output.len() as u64, CAP)?;
    let (finished, _) = capped(case, vec![work.instruction]).await?;
    same_bytes("what is kept", &finished.log.stdout, &work.output)?;
    case.complete(&finished.log.completeness()?)
}

async fn one_byte_beyond_the_cap_is_told(case: &Case) -> CaseResult {
    let work = workload::bytes(CAP + 1)?;
    let (finished, cap) = capped(case, vec![work.instruction]).await?;
    same("how complete the log is", finished.log.completeness()?, LogCompleteness::Truncated { cap })?;
    same("how much is kept", finished.log.len() as u64, CAP)
}

async fn the_cap_holds_for_both_streams_together(case: &Case) -> CaseResult {
    let (out, err) = (workload::lines(2_500, 80)?, workload::error_lines(2_500, 80)?);
    let (finished, cap) = capped(case, vec![out.instruction, err.instruction]).await?;
    same("how complete the log is", finished.log.completeness()?, LogCompleteness::Truncated { cap })?;
    same("how much is kept in all", finished.log.len() as u64, CAP)
}
