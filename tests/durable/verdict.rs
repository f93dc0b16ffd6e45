//! What must hold when everything has come to rest.

use longshore::{
    JobId, JobStatus, LogCompleteness, LogQuery, LogStream,
    store::{AttemptRecord, JobRecord, LogReference, LogStore},
};

use crate::{jobs::Kind, world::World};

/// What may have happened to the jobs themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Nothing: only those who look after them died.
    None,
    /// They may have been killed by their engine.
    Killed,
}

impl World {
    /// Nothing was lost, nothing ran twice, what is stored is true, and nothing is left anywhere.
    pub(crate) async fn judge(&self, trouble: Trouble) {
        for (id, kind) in self.jobs() {
            let (job, attempts) = (self.job(id).await, self.attempts(id).await);
            self.judge_history(&job, &attempts).await;
            let outcomes: Vec<_> = attempts.iter().map(|attempt| &attempt.outcome).collect();
            let story = format!("{kind:?}: {job:#?}\n{outcomes:#?}\n{:#?}", self.store.events(id).await);
            let is_over = job.status.is_terminal() && attempts.iter().all(|attempt| !attempt.state.is_open());
            assert!(is_over, "{story}");
            let starts = self.ledger.starts(id);
            // Of a lost job nobody knows whether its last attempt ran.
            let ran = usize::try_from(job.runs).unwrap() + usize::from(job.status == JobStatus::Lost);
            assert!(starts <= ran && starts <= kind.runs(), "{starts} runs have begun: {story}");
            if is_as_expected(&job, kind) {
                assert_eq!((starts, self.ledger.ends(id)), (kind.runs(), kind.runs()), "{story}");
                self.judge_logs(id, kind, &attempts, trouble).await;
            } else {
                assert!(trouble == Trouble::Killed && is_killed(&job), "{story}");
            }
        }
        assert_eq!(self.store.check().await.unwrap(), Vec::<String>::new());
        self.judge_leftovers().await;
    }

    /// There is one end, and nothing comes after it.
    async fn judge_history(&self, job: &JobRecord, attempts: &[AttemptRecord]) {
        let events = self.store.events(job.id()).await.unwrap();
        let end = events.iter().rposition(|event| event.kind == "ended").unwrap();
        let after = events.iter().skip(end + 1);
        for event in after {
            assert!(["closed", "noted"].contains(&event.kind.as_str()), "{events:#?}");
        }
        for attempt in attempts {
            let number = attempt.token().attempt();
            for kind in ["claimed", "launched", "started", "ended"] {
                let told = events.iter().filter(|event| event.attempt == Some(number) && event.kind == kind).count();
                assert!(told <= 1, "attempt {number} was {kind} {told} times: {events:#?}");
            }
        }
    }

    /// The log of each attempt that ran, to the byte. What a job writes while its engine is dead, the engine loses, and then
    /// the log is not called complete.
    async fn judge_logs(&self, id: JobId, kind: Kind, attempts: &[AttemptRecord], trouble: Trouble) {
        let (stdout, stderr) = kind.output(id);
        let ran: Vec<_> = attempts.iter().filter(|attempt| attempt.launched_at.is_some()).collect();
        assert_eq!(ran.len(), kind.runs());
        for attempt in ran {
            let outcome = attempt.outcome.as_ref().unwrap();
            let (out, err) = self.read_log(outcome.log.as_ref().unwrap()).await;
            let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
            let is_whole = (out.as_str(), err.as_str()) == (stdout.as_str(), stderr.as_str());
            let is_a_beginning = stdout.starts_with(&out) && stderr.starts_with(&err);
            let is_called_lossy =
                matches!(outcome.logs.as_ref().map(|logs| &logs.completeness), Some(LogCompleteness::Lossy { .. }));
            assert!(
                is_whole || (trouble == Trouble::Killed && is_a_beginning && is_called_lossy),
                "{kind:?}: {out}{err}\n{:?}",
                outcome.logs
            );
        }
    }

    async fn read_log(&self, reference: &LogReference) -> (Vec<u8>, Vec<u8>) {
        let logs = LogStore::local(&self.assignment.logs).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut query = LogQuery::from_start();
        loop {
            let page = logs.read(reference, &query).await.unwrap();
            for record in &page.records {
                let stream = if record.stream == LogStream::Stderr { &mut err } else { &mut out };
                stream.extend_from_slice(&record.bytes);
            }
            if page.ended.is_some() {
                return (out, err);
            }
            query = LogQuery::after(page.next);
        }
    }

    /// Nothing is left where jobs ran.
    async fn judge_leftovers(&self) {
        let router = self.assignment.router();
        let executor = router.get_executor(&self.assignment.host.name).unwrap();
        let owned = executor.list_owned(&self.assignment.owner).await.unwrap();
        assert!(owned.is_empty(), "{owned:#?}");
    }
}

fn is_as_expected(job: &JobRecord, kind: Kind) -> bool {
    (job.status, job.exit_code) == (kind.status(), Some(kind.exit_code()))
        && usize::try_from(job.runs) == Ok(kind.runs())
}

/// It was killed from outside, or what became of it is not known, and the record says so.
fn is_killed(job: &JobRecord) -> bool {
    match job.status {
        JobStatus::Lost => true,
        JobStatus::Failed => job.exit_code.is_none_or(|code| code > 128),
        _ => false,
    }
}
