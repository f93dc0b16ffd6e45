//! What is held of logs in memory, bounded for all together.

use jiff::Timestamp;
use longshore_core::clock::since;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{cursor::Place, fetch::Stretch, window::Window};
use crate::mapping::entries::Position;

/// How much all windows hold together at most.
const MOST: usize = 24 << 20;
/// Of how many logs something is remembered at most.
const MOST_LOGS: usize = 4096;

/// The stretches of logs that are held, and how far each log is counted.
#[derive(Debug, Default)]
pub(super) struct Shelf(Mutex<HashMap<String, Held>>);

#[derive(Debug)]
struct Held {
    window: Option<Arc<Window>>,
    /// How far the log was counted from its beginning without a gap.
    counted: Option<Place>,
    used_at: Timestamp,
    /// When its execution was last seen.
    seen_at: Timestamp,
}

impl Held {
    const fn new(now: Timestamp) -> Self {
        Self { window: None, counted: None, used_at: now, seen_at: now }
    }
}

impl Shelf {
    /// The window that goes on from the position, where there is one.
    pub(super) fn covering(&self, execution: &str, position: &Position, now: Timestamp) -> Option<Arc<Window>> {
        let mut logs = self.lock();
        let held = logs.get_mut(execution)?;
        held.used_at = now;
        held.window.clone().filter(|window| window.covers(position))
    }

    /// The execution was there a moment ago.
    pub(super) fn seen(&self, execution: &str, now: Timestamp) {
        if let Some(held) = self.lock().get_mut(execution) {
            held.seen_at = now;
        }
    }

    /// True when the execution was seen so recently.
    pub(super) fn was_seen(&self, execution: &str, within: Duration, now: Timestamp) -> bool {
        self.lock().get(execution).is_some_and(|held| since(now, held.seen_at) < within)
    }

    /// Keeps what was read after a position, and returns the window that it is in.
    pub(super) fn put(&self, execution: &str, after: Position, stretch: Stretch, now: Timestamp) -> Arc<Window> {
        let mut logs = self.lock();
        let held = logs.entry(execution.to_owned()).or_insert_with(|| Held::new(now));
        held.used_at = now;
        let Stretch { entries, reaches } = stretch;
        let window = match held.window.take() {
            Some(mut window) if *window.reaches() == after => {
                Arc::make_mut(&mut window).extend(reaches, entries);
                window
            }
            _ => Arc::new(Window::new(after, reaches, entries)),
        };
        held.window = Some(Arc::clone(&window));
        make_room(&mut logs, execution);
        window
    }

    /// How far the log is counted.
    pub(super) fn counted(&self, execution: &str) -> Option<Place> {
        self.lock().get(execution)?.counted.clone()
    }

    /// What was read from the beginning on, or from where was counted before, counts.
    pub(super) fn counts(&self, execution: &str, beginning: &Place, from: &Place, to: &Place) {
        let mut logs = self.lock();
        let Some(held) = logs.get_mut(execution) else { return };
        if held.counted.as_ref().unwrap_or(beginning) == from {
            held.counted = Some(to.clone());
        }
    }

    pub(super) fn forget(&self, execution: &str) {
        self.lock().remove(execution);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Gives up what was not used for longest, until all together is small enough.
fn make_room(logs: &mut HashMap<String, Held>, newest: &str) {
    let weight = |held: &Held| held.window.as_ref().map_or(0, |window| window.weight());
    let mut total: usize = logs.values().map(weight).sum();
    while total > MOST || logs.len() > MOST_LOGS {
        let others = logs.iter().filter(|(name, _)| name.as_str() != newest);
        let Some(oldest) = others.min_by_key(|(_, held)| held.used_at).map(|(name, _)| name.clone()) else { return };
        total -= logs.remove(&oldest).as_ref().map_or(0, weight);
    }
}
