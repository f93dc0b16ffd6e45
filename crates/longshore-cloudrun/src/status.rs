//! How executions stand: a few by name, many by one list for all.

use futures::{StreamExt, stream};
use longshore_core::{
    Clock, Error, ErrorKind, ExecutionHandle, ExecutionStatus, LaunchToken, Result, Termination, Timestamp,
    clock::since,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    client::Api,
    gather::Gather,
    mapping::{
        answers::Execution,
        identity::Metadata,
        state::{Creation, creation, finished_at, live_status, needs_its_task, termination},
    },
    notes::Notes,
};

/// Up to so many are asked for by name.
const FEW: usize = 4;
/// So many questions by name are on their way at once.
const AT_ONCE: usize = 8;
/// A list is asked for at most so often: those who ask meanwhile share the next one.
const BETWEEN_LISTS: Duration = Duration::from_secs(1);
/// How long a task may be later than its execution's end before the end is told without it.
const LATE_TASK: Duration = Duration::from_secs(60);
/// For how long after its launch an execution may be missing from the answers.
const NEW: Duration = Duration::from_secs(120);
/// How many ends are remembered, so that none is asked for twice.
const REMEMBERED: usize = 4096;

/// One execution, by the names that the API knows it by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Named {
    pub(crate) token: LaunchToken,
    pub(crate) execution: String,
    /// When its launch was asked for.
    pub(crate) created_at: Timestamp,
}

impl Named {
    pub(crate) fn of(handle: &ExecutionHandle) -> Result<Self> {
        let created_at = Metadata::of_handle(handle)?.created_at;
        Ok(Self { token: handle.token, execution: handle.external_execution_id.clone(), created_at })
    }

    pub(crate) fn job(&self) -> String {
        self.token.to_string()
    }
}

/// Asks how executions stand.
#[derive(Debug)]
pub(crate) struct Statuses {
    api: Arc<Api>,
    clock: Arc<dyn Clock>,
    notes: Notes,
    questions: Gather<Named, ExecutionStatus>,
    ended: Mutex<Ended>,
}

impl Statuses {
    pub(crate) fn new(api: Arc<Api>, clock: Arc<dyn Clock>, notes: Notes) -> Self {
        Self { api, clock, notes, questions: Gather::default(), ended: Mutex::default() }
    }

    /// How one execution stands, asked together with all that are asked about at the same time.
    pub(crate) async fn of(&self, named: &Named) -> Result<ExecutionStatus> {
        self.questions.ask(named.clone(), |round| self.round(round)).await
    }

    /// How many executions stand, in their order.
    pub(crate) async fn of_all(&self, named: &[Named]) -> Vec<Result<ExecutionStatus>> {
        self.round(named.to_vec()).await
    }

    /// Forgets what is remembered of an execution.
    pub(crate) fn forget(&self, named: &Named) {
        self.ended().of.remove(&named.execution);
    }

    async fn round(&self, round: Vec<Named>) -> Vec<Result<ExecutionStatus>> {
        let mut different: Vec<&Named> = round.iter().collect();
        different.sort_unstable_by(|a, b| a.execution.cmp(&b.execution));
        different.dedup();
        let listed = if different.len() <= FEW { Ok(HashMap::new()) } else { self.list(&different).await };
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return round.iter().map(|_| Err(error.repeated())).collect(),
        };
        // What a list leaves out may have moved from one of its pages to another: absence is told by name only.
        let mut asks = Vec::with_capacity(different.len());
        for named in &different {
            asks.push(self.by_name(named, listed.get(&named.execution)));
        }
        let answers: Vec<_> = stream::iter(asks).buffered(AT_ONCE).collect().await;
        let answers: HashMap<&Named, Result<ExecutionStatus>> = different.into_iter().zip(answers).collect();
        let answer = |named| match answers.get(named) {
            Some(Ok(status)) => Ok(status.clone()),
            Some(Err(error)) => Err(error.repeated()),
            None => Err(Error::new(ErrorKind::Unexpected, "a round left a question out")),
        };
        round.iter().map(answer).collect()
    }

    /// One list for all that are asked for. It is read for as long as each further page may spare more questions by name
    /// than it costs: a project may have a hundred thousand executions that nobody asks about.
    async fn list(&self, different: &[&Named]) -> Result<HashMap<String, Execution>> {
        let wait = self.ended().until_the_next_list(self.clock.as_ref());
        if !wait.is_zero() {
            self.clock.sleep(wait).await;
        }
        let asked: std::collections::HashSet<&str> = different.iter().map(|it| it.execution.as_str()).collect();
        let keep = |execution: Execution| {
            let name = execution.short_name().to_owned();
            asked.contains(name.as_str()).then_some((name, execution))
        };
        let is_enough = |found: &[(String, Execution)], pages: usize| found.len() + pages >= asked.len();
        Ok(self.api.executions(is_enough, keep).await?.into_iter().collect())
    }

    async fn by_name(&self, named: &Named, listed: Option<&Execution>) -> Result<ExecutionStatus> {
        let asked;
        let execution = match listed {
            Some(listed) => listed,
            None => match self.api.execution(&named.job(), &named.execution).await? {
                Some(found) => {
                    asked = found;
                    &asked
                }
                None => return self.missing(named).await,
            },
        };
        match live_status(execution) {
            Some(status) => Ok(status),
            // An end is told once it is known how.
            None => Ok(self.end(named, execution).await?.map_or_else(
                || ExecutionStatus::Running { started_at: execution.start_time },
                ExecutionStatus::Terminated,
            )),
        }
    }

    /// What Cloud Run does not find by its name: gone, or so new that not every answer knows it.
    async fn missing(&self, named: &Named) -> Result<ExecutionStatus> {
        if since(self.clock.now(), named.created_at) > NEW {
            return Ok(ExecutionStatus::NotFound);
        }
        let job = self.api.job(&named.job()).await?;
        let is_known = job.is_some_and(|job| creation(&job) == Creation::Started(named.execution.clone()));
        Ok(if is_known { ExecutionStatus::Pending } else { ExecutionStatus::NotFound })
    }

    /// How an execution ended, looked at once; `None` while its task does not tell yet.
    async fn end(&self, named: &Named, execution: &Execution) -> Result<Option<Termination>> {
        if let Some(known) = self.ended().of.get(&named.execution) {
            return Ok(Some(known.clone()));
        }
        let task = if needs_its_task(execution) { self.api.task(&named.job(), &named.execution).await? } else { None };
        let told = task.as_ref().is_some_and(|task| task.last_attempt_result.is_some());
        let fresh = finished_at(execution).is_none_or(|at| since(self.clock.now(), at) < LATE_TASK);
        if needs_its_task(execution) && execution.cancelled_count == 0 && !told && fresh {
            return Ok(None);
        }
        let end = termination(execution, task.as_ref(), self.notes.stop_reason(named.token));
        self.ended().remember(&named.execution, end.clone());
        Ok(Some(end))
    }

    fn ended(&self) -> std::sync::MutexGuard<'_, Ended> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The ends that are known, which never change.
#[derive(Debug, Default)]
struct Ended {
    of: HashMap<String, Termination>,
    order: VecDeque<String>,
    listed_at: Option<Timestamp>,
}

impl Ended {
    fn remember(&mut self, execution: &str, end: Termination) {
        while self.order.len() >= REMEMBERED {
            let Some(oldest) = self.order.pop_front() else { break };
            self.of.remove(&oldest);
        }
        if self.of.insert(execution.to_owned(), end).is_none() {
            self.order.push_back(execution.to_owned());
        }
    }

    /// How long to wait before the next list; it counts as asked for.
    fn until_the_next_list(&mut self, clock: &dyn Clock) -> Duration {
        let now = clock.now();
        let wait = self.listed_at.map_or(Duration::ZERO, |at| BETWEEN_LISTS.saturating_sub(since(now, at)));
        self.listed_at = Some(longshore_core::clock::later(now, wait));
        wait
    }
}
