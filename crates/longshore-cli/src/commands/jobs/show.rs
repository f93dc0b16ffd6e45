//! `longshore jobs show`.

use longshore::store::{AttemptRecord, JobArchive, JobEvent, JobRecord, LogReference};
use longshore::{Result, clock::since};
use std::fmt::Write;

use super::list::brief;
use crate::{
    args::ShowArgs,
    commands::{print, unwritable},
    database::Database,
    job_id,
    text::{clean, clean_lines, json_line},
};

pub(super) async fn show(args: &ShowArgs) -> Result<u8> {
    let database = Database::open(&args.store).await?;
    let store = database.store.as_ref();
    let id = job_id::find(store, &args.id).await?;
    let (job, attempts, events) = tokio::try_join!(store.job(id), store.attempts(id), store.events(id))?;
    let archive = JobArchive::new(job, attempts, events);
    print(&if args.json { json_line(&archive).map_err(unwritable)? } else { text(&archive) })?;
    Ok(0)
}

fn text(archive: &JobArchive) -> String {
    let mut text = of_job(&archive.job);
    archive.attempts.iter().for_each(|attempt| text.push_str(&of_attempt(attempt)));
    text.push_str("\nHistory\n");
    archive.events.iter().for_each(|event| text.push_str(&of_event(event)));
    text
}

/// A line of a name and what it stands for.
fn line(text: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = writeln!(text, "{name:<12}{}", clean(&value.to_string()));
}

fn of_job(record: &JobRecord) -> String {
    let (job, mut text) = (record.job(), String::new());
    line(&mut text, "Job", record.id());
    line(&mut text, "Name", record.name());
    line(&mut text, "Status", record.status);
    record.reason.iter().for_each(|reason| line(&mut text, "Reason", reason));
    record.exit_code.iter().for_each(|code| line(&mut text, "Exit code", code));
    line(&mut text, "Image", &job.template.image);
    job.template.command.iter().for_each(|command| line(&mut text, "Command", format!("{command:?}")));
    job.created_by.iter().for_each(|by| line(&mut text, "Asked by", &by.name));
    line(&mut text, "Submitted", format!("{:.3}", record.submitted_at));
    if let Some(at) = record.finished_at {
        line(&mut text, "Finished", format!("{at:.3}, after {}", brief(since(at, record.submitted_at))));
    }
    record.submission.bound.iter().for_each(|bound| line(&mut text, "Bound to", bound));
    if job.priority.get() != 0 {
        line(&mut text, "Priority", job.priority);
    }
    record.submission.retry_of.iter().for_each(|old| line(&mut text, "Retry of", old));
    record.submission.idempotency_key.iter().for_each(|key| line(&mut text, "Key", key));
    if let Some(request) = &record.cancel {
        let why = request.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
        line(&mut text, "Cancelled", format!("by {}{why}", request.by));
    }
    text
}

fn of_attempt(attempt: &AttemptRecord) -> String {
    let mut text = format!("\nAttempt {} on {}\n", attempt.token().attempt(), attempt.host());
    let state = serde_json::to_value(attempt.state).ok();
    state.iter().filter_map(|state| state.as_str()).for_each(|state| line(&mut text, "State", state));
    line(&mut text, "Token", attempt.token());
    attempt.handle.iter().for_each(|handle| line(&mut text, "Execution", &handle.external_execution_id));
    for (name, at) in [("Launched", attempt.launched_at), ("Started", attempt.started_at), ("Ended", attempt.ended_at)]
    {
        at.iter().for_each(|at| line(&mut text, name, format!("{at:.3}")));
    }
    if let Some(outcome) = &attempt.outcome {
        line(&mut text, "Outcome", format!("{}: {}", outcome.status, outcome.reason));
        let said = outcome.termination.as_ref().and_then(|end| end.evidence.provider_message.as_ref());
        said.iter().for_each(|said| line(&mut text, "Evidence", said));
        outcome.usage.iter().for_each(|usage| line(&mut text, "Ran for", brief(usage.wall_time)));
        outcome.cost.iter().filter_map(|cost| cost.cost().ok()).for_each(|cost| line(&mut text, "Cost", cost));
        outcome.logs.iter().for_each(|logs| line(&mut text, "Log", &logs.completeness));
        if let Some(LogReference::Stored { name, bytes, .. }) = &outcome.log {
            line(&mut text, "Kept as", format!("{name} ({bytes} bytes)"));
        }
    }
    let decision = clean_lines(&attempt.decision.to_string());
    decision.lines().filter(|line| !line.is_empty()).for_each(|line| {
        let _ = writeln!(text, "  {line}");
    });
    text
}

fn of_event(event: &JobEvent) -> String {
    let attempt = event.attempt.map(|attempt| format!(" attempt {attempt}")).unwrap_or_default();
    let detail = event.detail.as_deref().map(|detail| format!(": {}", clean(detail))).unwrap_or_default();
    format!("  {:.3}  {}{attempt}{detail} (by {})\n", event.at, clean(&event.kind), clean(&event.by.to_string()))
}
