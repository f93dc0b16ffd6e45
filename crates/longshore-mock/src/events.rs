//! News of executions, without a task: a stream looks by itself when something is due.

use futures::{StreamExt, stream};
use jiff::Timestamp;
use longshore_core::{EventStream, ExecutionEvent, LaunchToken, Owner, clock::later};
use std::{collections::VecDeque, time::Duration};

use crate::{changes, config::EventFaults, provider::MockProvider};

/// How many events are kept for a listener that is behind; it is told of a gap if it misses more.
const KEPT: usize = 1024;

/// One event, or a gap in which one was lost.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    /// Nobody's, and everybody's: a gap.
    about: Option<(Owner, LaunchToken)>,
    at: Timestamp,
}

/// The latest events of a provider.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    events: VecDeque<Event>,
    /// How many there were before the first that is kept.
    before: u64,
}

/// What a listener finds when it looks.
enum Found {
    Event(ExecutionEvent),
    /// Nothing before this time, or before something changes.
    NothingBefore(Option<Timestamp>),
}

impl EventLog {
    pub(crate) fn tell(&mut self, owner: &Owner, token: LaunchToken, at: Timestamp, faults: &EventFaults) {
        let number = self.end() + 1;
        let is_lost = faults.gap_every.is_some_and(|every| number.is_multiple_of(u64::from(every.get())));
        self.push(Event { about: (!is_lost).then(|| (owner.clone(), token)), at });
    }

    pub(crate) fn tell_gap(&mut self, at: Timestamp) {
        self.push(Event { about: None, at });
    }

    /// How many events there were.
    pub(crate) fn end(&self) -> u64 {
        self.before + self.events.len() as u64
    }

    fn push(&mut self, event: Event) {
        self.events.push_back(event);
        if self.events.len() > KEPT {
            self.events.pop_front();
            self.before += 1;
        }
    }

    /// The next event that the owner may hear by now, from the given place on, which moves behind it.
    fn next(&self, place: &mut u64, owner: &Owner, late: Duration, now: Timestamp) -> Found {
        if *place < self.before {
            *place = self.end();
            return Found::Event(ExecutionEvent::Gap);
        }
        while let Some(event) = usize::try_from(*place - self.before).ok().and_then(|at| self.events.get(at)) {
            let due = later(event.at, late);
            if due > now {
                return Found::NothingBefore(Some(due));
            }
            *place += 1;
            match &event.about {
                None => return Found::Event(ExecutionEvent::Gap),
                Some((theirs, token)) if theirs == owner => {
                    return Found::Event(ExecutionEvent::Changed { token: *token, at: Some(event.at) });
                }
                Some(_) => {}
            }
        }
        Found::NothingBefore(None)
    }
}

/// Somebody who listens to an owner's events.
struct Listener {
    provider: MockProvider,
    owner: Owner,
    place: u64,
    /// What is told a second time.
    again: Option<ExecutionEvent>,
    /// True while the provider can't be reached, and the listener knows.
    is_cut_off: bool,
    changes: changes::Listener,
}

/// The owner's events from now on.
pub(crate) fn listen(provider: &MockProvider, owner: &Owner) -> EventStream {
    let place = provider.world().view(|state, now| {
        state.refresh_all(now);
        state.events.end()
    });
    let listener = Listener {
        changes: provider.world().changes(),
        provider: provider.clone(),
        owner: owner.clone(),
        place,
        again: None,
        is_cut_off: false,
    };
    stream::unfold(listener, |mut listener| async move { Some((listener.next().await, listener)) }).boxed()
}

impl Listener {
    async fn next(&mut self) -> ExecutionEvent {
        loop {
            // Whatever changes from here on wakes the wait below.
            self.changes.mark_unchanged();
            match self.look() {
                Found::Event(event) => return event,
                Found::NothingBefore(time) => self.provider.world().wait(time, &mut self.changes).await,
            }
        }
    }

    fn look(&mut self) -> Found {
        if let Some(again) = self.again.take() {
            return Found::Event(again);
        }
        let reachable = self.provider.is_reachable();
        let next_edge = self.provider.world().next_outage_edge();
        if !reachable {
            let told = std::mem::replace(&mut self.is_cut_off, true);
            return if told { Found::NothingBefore(next_edge) } else { Found::Event(ExecutionEvent::Gap) };
        }
        if std::mem::take(&mut self.is_cut_off) {
            self.place = self.provider.world().view(|state, now| {
                state.refresh_all(now);
                state.events.end()
            });
            return Found::Event(ExecutionEvent::Gap);
        }
        let faults = self.provider.world().config().events;
        let found = self.provider.world().view(|state, now| {
            state.refresh_all(now);
            match state.events.next(&mut self.place, &self.owner, faults.late, now) {
                Found::NothingBefore(due) => {
                    Found::NothingBefore([due, state.next_change(&self.owner), next_edge].into_iter().flatten().min())
                }
                found @ Found::Event(_) => found,
            }
        });
        if let (Found::Event(event @ ExecutionEvent::Changed { .. }), true) = (&found, faults.twice) {
            self.again = Some(event.clone());
        }
        found
    }
}
