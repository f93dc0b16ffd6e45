//! The program's bytes, and nothing but them.

use longshore_core::{Capability, LogCompleteness, LogStream};

use crate::kit::{
    case::Case,
    failure::{CaseResult, holds, same, same_bytes},
    workload,
};

cases! { "output":
    stdout_and_stderr_are_kept_apart,
    binary_output_is_kept_byte_for_byte,
    a_last_line_without_newline_survives,
    line_breaks_and_blanks_are_kept,
    an_empty_log_is_complete,
    every_language_is_kept,
    records_are_stamped_in_order,
    the_output_of_a_short_job_is_there,
}

async fn stdout_and_stderr_are_kept_apart(case: &Case) -> CaseResult {
    let mut script = Vec::new();
    let (mut out, mut err) = (String::new(), String::new());
    for line in 0..20 {
        script.extend([format!("print out {line}"), format!("eprint err {line}")]);
        out.push_str(&format!("out {line}\n"));
        err.push_str(&format!("err {line}\n"));
    }
    let log = case.run(script).await?.log;
    if case.has(Capability::SeparateStreams) {
        same_bytes("stdout", &log.stdout, out.as_bytes())?;
        return same_bytes("stderr", &log.stderr, err.as_bytes());
    }
    same("what is told to be stderr where the two are not kept apart", log.stderr.len(), 0)?;
    let text = log.text();
    let only =
        |word: &str| text.lines().filter(|line| line.starts_with(word)).map(|line| format!("{line}\n")).collect();
    same("the lines of stdout, in their order", only("out"), out)?;
    same("the lines of stderr, in their order", only("err"), err)
}

async fn binary_output_is_kept_byte_for_byte(case: &Case) -> CaseResult {
    let work = workload::random(100_000, 7)?;
    holds((0..=255).all(|byte| work.output.contains(&byte)), "the kit's random bytes have every value")?;
    let log = case.run([work.instruction]).await?.log;
    if case.has(Capability::BinaryLogs) {
        same("how complete the log is", log.completeness()?, LogCompleteness::Complete)?;
        return same_bytes("the binary output", &log.stdout, &work.output);
    }
    let lossy = matches!(log.completeness()?, LogCompleteness::Lossy { .. });
    holds(lossy, format!("a log that may change bytes is called lossy; found {}", log.completeness()?))
}

async fn a_last_line_without_newline_survives(case: &Case) -> CaseResult {
    let log = case.run(["print first", "put last"]).await?.log;
    case.same_output("stdout", &log.stdout, b"first\nlast")?;
    case.complete(&log.completeness()?)
}

async fn line_breaks_and_blanks_are_kept(case: &Case) -> CaseResult {
    let log =
        case.run(["print", "print  indented and trailed  ", "print", "print \ttab", "put \r", "print"]).await?.log;
    same_bytes("stdout", &log.stdout, b"\n indented and trailed  \n\n\ttab\n\r\n")
}

async fn an_empty_log_is_complete(case: &Case) -> CaseResult {
    let finished = case.run(["exit 0"]).await?;
    same("how many records there are", finished.log.records.len(), 0)?;
    case.complete(&finished.log.completeness()?)
}

async fn every_language_is_kept(case: &Case) -> CaseResult {
    let text = "grüße, 你好, שלום, 🚢 and a\u{301}ccents";
    let log = case.run([format!("print {text}")]).await?.log;
    same_bytes("stdout", &log.stdout, format!("{text}\n").as_bytes())
}

async fn records_are_stamped_in_order(case: &Case) -> CaseResult {
    let finished = case.run(["print first".to_owned(), case.sleep(300), "print second".to_owned()]).await?;
    same_bytes("stdout", &finished.log.stdout, b"first\nsecond\n")?;
    if !case.has(Capability::LogTimestamps) {
        return Ok(());
    }
    let stamps: Vec<_> = finished.log.records.iter().map(|record| record.timestamp).collect();
    holds(stamps.iter().all(Option::is_some), format!("every record is stamped; found {stamps:?}"))?;
    holds(stamps.is_sorted(), format!("the stamps are in order; found {stamps:?}"))?;
    same("which stream the records are of", finished.log.records[0].stream, LogStream::Stdout)?;
    let (Some(Some(first)), Some(Some(last))) = (stamps.first(), stamps.last()) else { return Ok(()) };
    let apart = longshore_core::clock::since(*last, *first);
    holds(apart >= case.paced(200), format!("the stamps tell when a line was written; they are {apart:?} apart"))
}

/// So short that it has ended before anybody could have begun to listen.
async fn the_output_of_a_short_job_is_there(case: &Case) -> CaseResult {
    for round in 0..5 {
        let log = case.run([format!("print round {round}")]).await?.log;
        same_bytes("stdout", &log.stdout, format!("round {round}\n").as_bytes())?;
    }
    Ok(())
}
