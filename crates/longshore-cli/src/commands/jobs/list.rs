//! `longshore jobs list`.

use comfy_table::{ContentArrangement, Table, presets};
use longshore::store::{JobQuery, JobRecord};
use longshore::{Clock, JobStatus, LabelKey, LabelValue, Result, SystemClock, Timestamp, clock::since};
use std::time::Duration;

use crate::{
    args::ListArgs,
    commands::{print, unwritable},
    database::Database,
    job_id,
    reader::Reader,
    text::{clean, json_line},
    values,
};

pub(super) async fn list(args: &ListArgs) -> Result<u8> {
    // Mistakes are told before anything is opened.
    query(args, SystemClock.now())?;
    let database = Database::open(&args.store).await?;
    let now = database.store.now().await?;
    let mut query = query(args, now)?;
    if let Some(after) = &args.after {
        query.after = Some(job_id::find(database.store.as_ref(), after).await?);
    }
    let jobs = database.store.jobs(&query).await?;
    print(&if args.json { json_line(&jobs).map_err(unwritable)? } else { table(&jobs, now) })?;
    Ok(0)
}

fn query(args: &ListArgs, now: Timestamp) -> Result<JobQuery> {
    let mut reader = Reader::default();
    let statuses: Vec<JobStatus> = reader.each("--status", &args.status, values::status);
    let labels: Vec<(LabelKey, LabelValue)> = reader.each("--label", &args.label, values::label);
    let host = reader.one("--host", args.host.as_deref());
    let executor = reader.one("--executor", args.executor.as_deref());
    let since = reader.read("--since", args.since.as_deref(), |text| values::moment(text, now));
    let limit = reader.read("--limit", Some(&args.limit), values::count);
    reader.finish()?;
    Ok(JobQuery::builder()
        .statuses(statuses)
        .maybe_host(host)
        .maybe_executor(executor)
        .maybe_template(args.template.clone())
        .maybe_user(args.user.clone())
        .labels(labels.into_iter().collect())
        .maybe_since(since)
        .limit(limit.map_or(JobQuery::PAGE, |limit| limit.get() as usize))
        .build())
}

fn table(jobs: &[JobRecord], now: Timestamp) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["ID", "NAME", "STATUS", "EXIT", "HOST", "AGE", "TOOK", "REASON"]);
    for job in jobs {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let took = job.finished_at.map(|at| since(at, job.submitted_at));
        table.add_row([
            job.id().to_string(),
            job.name().to_string(),
            job.status.to_string(),
            or_dash(job.exit_code.map(|code| code.to_string())),
            or_dash(job.host.as_ref().map(ToString::to_string)),
            brief(since(now, job.submitted_at)),
            or_dash(took.map(brief)),
            job.reason.as_deref().map(clean).unwrap_or_default(),
        ]);
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// A duration in its largest unit or two, as people read it in a table.
pub(super) fn brief(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0 => format!("{}ms", duration.as_millis()),
        1..=59 => format!("{seconds}s"),
        60..=3599 => format!("{}m {}s", seconds / 60, seconds % 60),
        3600..=86_399 => format!("{}h {}m", seconds / 3600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_brief() {
        for (millis, expected) in [
            (0, "0ms"),
            (999, "999ms"),
            (1_999, "1s"),
            (61_000, "1m 1s"),
            (3_660_000, "1h 1m"),
            (90_000_000, "1d 1h"),
            (8_640_000_000, "100d 0h"),
        ] {
            assert_eq!(brief(Duration::from_millis(millis)), expected);
        }
    }
}
