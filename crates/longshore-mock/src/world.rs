//! The provider in memory: what it has, what it remembers, and its clock.

use jiff::Timestamp;
use longshore_core::{
    Capabilities, Clock, JobId, LaunchRequest, LaunchToken, Owner,
    clock::{later, since},
};
use secrecy::SecretSlice;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    changes::{Changes, Listener},
    config::{EventFaults, MockConfig},
    due::Due,
    events::EventLog,
    execution::Execution,
    handles::Reference,
};

/// A provider. All that depends on time is worked out when somebody asks; nothing runs by itself.
pub(crate) struct World {
    config: MockConfig,
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    made_at: Timestamp,
    changes: Changes,
    state: Mutex<State>,
}

/// What a provider has and remembers.
pub(crate) struct State {
    latest: Timestamp,
    next_number: u64,
    executions: BTreeMap<u64, Execution>,
    of_tokens: BTreeSet<(LaunchToken, u64)>,
    /// Before something happens to it next, an execution is as it was brought up to date last.
    due: Due,
    records: BTreeMap<LaunchToken, Record>,
    launches: BTreeMap<LaunchToken, u32>,
    told: BTreeMap<JobId, Told>,
    pulled: BTreeSet<String>,
    secrets: BTreeMap<String, SecretSlice<u8>>,
    faults: EventFaults,
    pub(crate) events: EventLog,
}

/// What is remembered of the latest launch of a token, also when its execution is gone.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) id: String,
    pub(crate) created_at: Timestamp,
    pub(crate) request: Arc<LaunchRequest>,
}

/// How often the launches of a job have met what is scripted for the first of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Told {
    pub(crate) refused: u32,
    pub(crate) lost: u32,
}

impl fmt::Debug for World {
    /// Says nothing of what is inside: programs under way hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("config", &self.config).field("made_at", &self.made_at).finish_non_exhaustive()
    }
}

impl World {
    pub(crate) fn new(config: MockConfig, clock: Arc<dyn Clock>) -> Self {
        let made_at = clock.now();
        let state = State {
            latest: made_at,
            next_number: 1,
            executions: BTreeMap::new(),
            of_tokens: BTreeSet::new(),
            due: Due::default(),
            records: BTreeMap::new(),
            launches: BTreeMap::new(),
            told: BTreeMap::new(),
            pulled: BTreeSet::new(),
            secrets: BTreeMap::new(),
            faults: config.events,
            events: EventLog::default(),
        };
        let capabilities = config.capabilities();
        Self { config, capabilities, clock, made_at, changes: Changes::default(), state: Mutex::new(state) }
    }

    pub(crate) const fn config(&self) -> &MockConfig {
        &self.config
    }

    pub(crate) const fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    /// Looks at what there is now. A clock that steps back does not turn back what has happened.
    pub(crate) fn view<T>(&self, look: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.latest = state.latest.max(self.clock.now());
        let now = state.latest;
        look(&mut state, now)
    }

    /// Changes what there is, and wakes whoever waits for that.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        let changed = self.view(change);
        self.wake();
        changed
    }

    pub(crate) fn wake(&self) {
        self.changes.tell();
    }

    /// Changes from here on.
    pub(crate) fn changes(&self) -> Listener {
        self.changes.listen()
    }

    /// Waits for the time, or for a change that the receiver has not seen. Cancel-safe.
    pub(crate) async fn wait(&self, time: Option<Timestamp>, changes: &mut Listener) {
        let Some(time) = time else {
            return changes.changed().await;
        };
        let pause = since(time, self.view(|_, now| now));
        tokio::select! {
            biased;
            () = self.clock.sleep(pause) => {}
            () = changes.changed() => {}
        }
    }

    /// True while the provider can't be reached by anybody, as scripted.
    pub(crate) fn is_out(&self) -> bool {
        self.view(|_, now| self.outages().any(|(from, to)| from <= now && now < to))
    }

    /// When an outage begins or ends next.
    pub(crate) fn next_outage_edge(&self) -> Option<Timestamp> {
        self.view(|_, now| self.outages().flat_map(|(from, to)| [from, to]).filter(|edge| *edge > now).min())
    }

    fn outages(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.config.outages.iter().map(|outage| (later(self.made_at, outage.from), later(self.made_at, outage.to)))
    }

    pub(crate) fn secret(&self, name: &str) -> Option<SecretSlice<u8>> {
        self.view(|state, _| state.secrets.get(name).cloned())
    }

    pub(crate) fn store_secret(&self, name: String, value: SecretSlice<u8>) {
        self.view(|state, _| state.secrets.insert(name, value));
    }
}

impl State {
    pub(crate) fn new_id(&mut self) -> String {
        let id = id_of(self.next_number);
        self.next_number += 1;
        id
    }

    pub(crate) fn record(&self, token: LaunchToken) -> Option<&Record> {
        self.records.get(&token)
    }

    /// True when the execution is there; whoever asks has brought everything up to date.
    pub(crate) fn has(&self, id: &str) -> bool {
        number_of(id).is_some_and(|number| self.executions.contains_key(&number))
    }

    pub(crate) fn told_of(&mut self, job: JobId) -> &mut Told {
        self.told.entry(job).or_default()
    }

    pub(crate) fn launches(&self, token: LaunchToken) -> u32 {
        self.launches.get(&token).copied().unwrap_or_default()
    }

    pub(crate) fn pull(&mut self, image: String) {
        self.pulled.insert(image);
    }

    pub(crate) fn has_pulled(&self, image: &str) -> bool {
        self.pulled.contains(image)
    }

    pub(crate) fn add(&mut self, execution: Execution, record: Record, now: Timestamp) {
        let token = execution.request.token;
        let Some(number) = number_of(&execution.id) else { return };
        *self.launches.entry(token).or_default() += 1;
        self.records.insert(token, record);
        self.of_tokens.insert((token, number));
        self.executions.insert(number, execution);
        self.refresh(number, now);
    }

    /// Brings an execution up to date and tells its owner what is new; `None` when it is not, or no longer, there.
    fn refresh(&mut self, number: u64, now: Timestamp) -> Option<&mut Execution> {
        if self.executions.get(&number)?.is_forgotten(now) {
            self.forget(number, now);
            return None;
        }
        let execution = self.executions.get_mut(&number)?;
        execution.advance(now);
        for at in execution.untold(now) {
            self.events.tell(&execution.request.owner, execution.request.token, at, &self.faults);
        }
        self.due.set(number, execution.next_change());
        Some(execution)
    }

    fn forget(&mut self, number: u64, now: Timestamp) {
        if let Some(execution) = self.executions.remove(&number) {
            let request = &execution.request;
            self.of_tokens.remove(&(request.token, number));
            self.due.set(number, None);
            self.events.tell(&request.owner, request.token, now, &self.faults);
        }
    }

    /// Brings everything up to date.
    pub(crate) fn refresh_all(&mut self, now: Timestamp) {
        for number in self.due.by(now) {
            self.refresh(number, now);
        }
    }

    /// Everything there is, in the order of its creation, as it was brought up to date last.
    pub(crate) fn executions(&self) -> impl Iterator<Item = &Execution> {
        self.executions.values()
    }

    /// The execution that the reference is of, up to date.
    pub(crate) fn find(&mut self, reference: &Reference, now: Timestamp) -> Option<&mut Execution> {
        let execution = self.refresh(number_of(&reference.id)?, now)?;
        let is_meant = execution.request.token == reference.token
            && reference.created_at.is_none_or(|at| at == execution.script.created_at);
        is_meant.then_some(execution)
    }

    /// Changes the execution, and brings it up to date again.
    pub(crate) fn change(&mut self, reference: &Reference, now: Timestamp, change: impl FnOnce(&mut Execution)) {
        if let Some(execution) = self.find(reference, now) {
            change(execution);
            self.find(reference, now);
        }
    }

    pub(crate) fn remove(&mut self, reference: &Reference, now: Timestamp) {
        if self.find(reference, now).is_some()
            && let Some(number) = number_of(&reference.id)
        {
            self.forget(number, now);
        }
    }

    /// The latest execution of the token that is there.
    pub(crate) fn latest(&mut self, token: LaunchToken, now: Timestamp) -> Option<Reference> {
        self.refresh_all(now);
        let latest = self.of_token(token).last()?;
        Some(Reference { id: latest.id.clone(), token, created_at: Some(latest.script.created_at) })
    }

    /// The executions of the token that are there, in the order of their creation, as they were brought up to date last.
    pub(crate) fn of_token(&self, token: LaunchToken) -> impl DoubleEndedIterator<Item = &Execution> {
        let numbers = self.of_tokens.range((token, 0)..=(token, u64::MAX));
        numbers.filter_map(|(_, number)| self.executions.get(number))
    }

    /// When something happens next to any of the owner's executions.
    pub(crate) fn next_change(&self, owner: &Owner) -> Option<Timestamp> {
        let is_theirs = |number: u64| self.executions.get(&number).is_some_and(|it| it.request.owner == *owner);
        self.due.iter().find(|(_, number)| is_theirs(*number)).map(|(at, _)| at)
    }
}

fn id_of(number: u64) -> String {
    format!("mock-{number}")
}

fn number_of(id: &str) -> Option<u64> {
    let number = id.strip_prefix("mock-")?.parse().ok()?;
    (id_of(number) == id).then_some(number)
}
