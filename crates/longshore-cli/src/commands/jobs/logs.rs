//! `longshore jobs logs`: of a job that runs from its host, of one that has ended from where logs are kept, and while it is
//! followed from the one over to the other.

use bytes::Buf;
use futures::StreamExt;
use longshore::store::{AttemptRecord, JobRecord, JobStore, LogReference, NewsStream};
use longshore::{
    Clock, ContainerName, Error, ErrorKind, ExecutionHandle, JobId, LaunchToken, LogCompleteness, LogCursor, LogQuery,
    LogRecord, LogStream, Result, SystemClock, clock::since,
};
use std::{collections::BTreeMap, io, num::NonZeroU32, sync::Arc, time::Duration};
use tokio::sync::OnceCell;

use crate::{
    args::{ConfigurationArgs, LogsArgs},
    commands::notice,
    console,
    database::Database,
    fleet::Fleet,
    job_id,
    machine::Machine,
    output::Output,
    text::json_line,
    values,
};

/// How long one question for more waits at the host.
const WAIT: Duration = Duration::from_secs(20);
/// The pause between questions to a host that can't wait.
const POLL: Duration = Duration::from_millis(500);
/// The pause before a host that does not answer is asked again.
const SILENCE: Duration = Duration::from_secs(2);

pub(super) async fn logs(args: &LogsArgs) -> Result<u8> {
    let attempt: Option<NonZeroU32> = args.attempt.as_deref().map(values::count).transpose()?;
    let database = Database::open(&args.store).await?;
    let job = job_id::find(database.store.as_ref(), &args.id).await?;
    let mut reading = Reading {
        store: Arc::clone(&database.store),
        news: database.store.news().await?,
        database,
        configuration: &args.configuration,
        fleet: OnceCell::new(),
        job,
        follow: args.follow,
        sink: Sink { output: Output::start(false), json: args.json },
    };
    let read = reading.read(attempt).await;
    reading.sink.output.close(false).await;
    match read {
        // A reader that has heard enough is no error.
        Err(error) if is_closed(&error) => Ok(0),
        Err(error) => Err(error),
        Ok(()) => Ok(0),
    }
}

fn is_closed(error: &Error) -> bool {
    let source = std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>());
    source.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// The reading of one job's output.
struct Reading<'a> {
    database: Database,
    store: Arc<dyn JobStore>,
    news: NewsStream,
    configuration: &'a ConfigurationArgs,
    fleet: OnceCell<Fleet>,
    job: JobId,
    follow: bool,
    sink: Sink,
}

/// What was shown of one attempt.
#[derive(Debug, Default)]
struct Shown {
    /// Up to where its host was asked.
    cursor: Option<LogCursor>,
    /// How many bytes of each stream. Each stream has one order, whoever reads it; between two there may be several.
    bytes: BTreeMap<(ContainerName, LogStream), u64>,
    /// Whether its host has been silent, which is told once.
    silent: bool,
}

impl Reading<'_> {
    async fn read(&mut self, attempt: Option<NonZeroU32>) -> Result<()> {
        let Some(mut number) = self.first(attempt).await? else { return Ok(()) };
        loop {
            let completeness = self.attempt(number).await?;
            completeness.as_ref().and_then(console::of_log).iter().for_each(|text| notice(text));
            if attempt.is_some() || !self.follow {
                return Ok(());
            }
            let Some(next) = self.next(number).await? else { return Ok(()) };
            notice(&format!("attempt {next} follows"));
            number = next;
        }
    }

    /// The attempt to begin with, once there is one; none for a job that has none and is not waited for.
    async fn first(&mut self, asked: Option<NonZeroU32>) -> Result<Option<u32>> {
        loop {
            let job = self.store.job(self.job).await?;
            let number = asked.map_or(job.attempts, NonZeroU32::get);
            if (1..=job.attempts).contains(&number) {
                return Ok(Some(number));
            }
            if job.status.is_terminal() || !self.follow {
                return no_attempt(&job, asked).map(|()| None);
            }
            self.hear().await?;
        }
    }

    /// The attempt behind this one, once there is one; none when there will be none.
    async fn next(&mut self, number: u32) -> Result<Option<u32>> {
        loop {
            let held = self.store.attempt(LaunchToken::new(self.job, number)).await?;
            if held.job.attempts > number {
                return Ok(Some(number + 1));
            }
            // Without a policy an attempt whose output has ended is the last, even when nobody stores its end.
            let is_last = held.attempt.outcome.is_none() && held.job.job().retry.is_none();
            if held.job.status.is_terminal() || is_last {
                return Ok(None);
            }
            self.hear().await?;
        }
    }

    /// Shows an attempt's output, as far as there is any or, when it is followed, to its end.
    async fn attempt(&mut self, number: u32) -> Result<Option<LogCompleteness>> {
        let token = LaunchToken::new(self.job, number);
        let mut shown = Shown::default();
        loop {
            let attempt = self.store.attempt(token).await?.attempt;
            if let Some(outcome) = &attempt.outcome {
                let Some(reference) = &outcome.log else {
                    notice(&format!("no output is kept of attempt {number}: {}", outcome.reason));
                    return Ok(None);
                };
                return self.kept(reference, &shown).await.map(Some);
            }
            let Some(handle) = &attempt.handle else {
                if !self.follow {
                    notice(&format!("attempt {number} is being launched on {}; it has no output yet", attempt.host()));
                    return Ok(None);
                }
                self.hear().await?;
                continue;
            };
            match self.live(handle, &mut shown).await {
                Ok(completeness) => return Ok(completeness),
                Err(error) => self.bear(error, &attempt, &mut shown).await?,
            }
        }
    }

    /// The host did not give what was asked for: its container may have just been removed, or it can't be reached now.
    async fn bear(&mut self, error: Error, attempt: &AttemptRecord, shown: &mut Shown) -> Result<()> {
        let is_removed = error.kind() == ErrorKind::NotFound && !is_closed(&error);
        if is_removed {
            // What became of it is stored before anything is removed.
            let now = self.store.attempt(attempt.token()).await?.attempt;
            if now.outcome.is_some() {
                return Ok(());
            }
        }
        if !self.follow || !(is_removed || error.is_lost_contact()) {
            return Err(error);
        }
        if !std::mem::replace(&mut shown.silent, true) {
            notice(&format!("{} does not give the output now ({}); asking again", attempt.host(), error.chain()));
        }
        tokio::select! {
            heard = self.hear() => heard,
            () = SystemClock.sleep(SILENCE) => Ok(()),
        }
    }

    /// Shows what the host has of the output; to its end when it is followed.
    async fn live(&self, handle: &ExecutionHandle, shown: &mut Shown) -> Result<Option<LogCompleteness>> {
        let machine = Machine::sharing(&self.database.address);
        let fleet = self.fleet.get_or_try_init(|| Fleet::open(self.configuration, &machine)).await?;
        let executor = fleet.executor(&handle.host).map_err(|missing| {
            let message = format!("the job runs on host {}, which is not among those known here", handle.host);
            Error::new(ErrorKind::Invalid, message).with_source(missing)
        })?;
        loop {
            let query = shown.cursor.clone().map_or_else(LogQuery::from_start, LogQuery::after);
            let query = if self.follow { query.waiting(WAIT) } else { query };
            let asked_at = SystemClock.now();
            let page = executor.get_logs(handle, &query).await?;
            shown.silent = false;
            self.sink.show(&page.records).await?;
            page.records.iter().for_each(|record| shown.add(record));
            let (is_empty, is_stuck) = (page.records.is_empty(), shown.cursor.as_ref() == Some(&page.next));
            shown.cursor = Some(page.next);
            if page.ended.is_some() || (!self.follow && (is_empty || is_stuck)) {
                return Ok(page.ended);
            }
            if is_empty && since(SystemClock.now(), asked_at) < POLL {
                SystemClock.sleep(POLL).await;
            }
        }
    }

    /// Shows what is kept of the output and was not shown yet.
    async fn kept(&self, reference: &LogReference, shown: &Shown) -> Result<LogCompleteness> {
        let logs = match reference {
            LogReference::Stored { .. } => self.database.logs().await?,
            _ => longshore::store::LogStore::in_memory(),
        };
        let mut before = shown.bytes.clone();
        let mut query = LogQuery::from_start();
        loop {
            let page = logs.read(reference, &query).await?;
            let fresh: Vec<LogRecord> =
                page.records.into_iter().filter_map(|record| rest(record, &mut before)).collect();
            self.sink.show(&fresh).await?;
            if let Some(completeness) = page.ended {
                return Ok(completeness);
            }
            query = LogQuery::after(page.next);
        }
    }

    /// Waits until something may have changed.
    async fn hear(&mut self) -> Result<()> {
        let over = || Error::new(ErrorKind::Unavailable, "no news of jobs can be heard any more; follow the job again");
        self.news.next().await.map(drop).ok_or_else(over)
    }
}

impl Shown {
    fn add(&mut self, record: &LogRecord) {
        *self.bytes.entry((record.container.clone(), record.stream)).or_default() += record.bytes.len() as u64;
    }
}

/// The part of a record that is behind what was shown of its stream.
fn rest(mut record: LogRecord, before: &mut BTreeMap<(ContainerName, LogStream), u64>) -> Option<LogRecord> {
    if let Some(left) = before.get_mut(&(record.container.clone(), record.stream)) {
        let skipped = usize::try_from(*left).map_or(record.bytes.len(), |left| left.min(record.bytes.len()));
        record.bytes.advance(skipped);
        *left -= skipped as u64;
        if skipped > 0 && record.bytes.is_empty() {
            return None;
        }
    }
    Some(record)
}

/// There is no such attempt.
fn no_attempt(job: &JobRecord, asked: Option<NonZeroU32>) -> Result<()> {
    if let Some(number) = asked {
        let message = format!("job {} has no attempt {number}; it has {} so far", job.id(), job.attempts);
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    let why = job.reason.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
    notice(&format!("job {} is {} and has no output{why}", job.id(), job.status));
    Ok(())
}

/// Where output is shown.
struct Sink {
    output: Output,
    json: bool,
}

impl Sink {
    async fn show(&self, records: &[LogRecord]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let written = if self.json {
            let lines: serde_json::Result<String> = records.iter().map(json_line).collect();
            self.output.result(lines.map_err(crate::commands::unwritable)?).await
        } else {
            self.output.logs(records).await
        };
        written.map_err(|error| Error::new(ErrorKind::Unexpected, "the output can't be written").with_source(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn record(stream: LogStream, bytes: &'static str) -> LogRecord {
        LogRecord::new(stream, None, Bytes::from_static(bytes.as_bytes()))
    }

    #[test]
    fn what_was_shown_is_left_out_to_the_byte_in_each_stream() {
        let mut shown = Shown::default();
        [record(LogStream::Stdout, "one tw"), record(LogStream::Stderr, "err")].iter().for_each(|it| shown.add(it));
        let kept = [
            record(LogStream::Stdout, "one "),
            record(LogStream::Stderr, "error"),
            record(LogStream::Stdout, "two "),
            record(LogStream::Stdout, ""),
            record(LogStream::Stdout, "three"),
        ];
        let mut before = shown.bytes.clone();
        let rest: Vec<_> = kept.into_iter().filter_map(|record| rest(record, &mut before)).collect();
        let told: Vec<_> = rest.iter().map(|it| (it.stream, std::str::from_utf8(&it.bytes).unwrap())).collect();
        let (out, err) = (LogStream::Stdout, LogStream::Stderr);
        assert_eq!(told, [(err, "or"), (out, "o "), (out, ""), (out, "three")]);
    }
}
