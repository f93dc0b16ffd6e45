//! A stretch of a log that is held in memory, and the page that is made of it.

use bytes::Bytes;
use longshore_core::{LogRecord, LogStream};
use std::collections::VecDeque;

use super::cursor::Place;
use crate::mapping::entries::{Entry, Id, Position};

/// The longest record that the contract allows.
const LONGEST_RECORD: usize = 1 << 20;
/// How many bytes of entries one window holds at most; at least one entry, however long.
const MOST: usize = 1 << 20;
/// What an entry takes beside its bytes, about.
const OVERHEAD: usize = 160;

/// All entries after one position, up to another.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    after: Position,
    /// Whatever is not in it lies beyond.
    reaches: Position,
    entries: VecDeque<Entry>,
    weight: usize,
}

impl Window {
    pub(crate) fn new(after: Position, reaches: Position, entries: Vec<Entry>) -> Self {
        let mut window = Self { reaches: after.clone(), after, entries: VecDeque::new(), weight: 0 };
        window.extend(reaches, entries);
        window
    }

    /// What it takes in memory, about.
    pub(crate) const fn weight(&self) -> usize {
        self.weight
    }

    /// Where it ends.
    pub(crate) const fn reaches(&self) -> &Position {
        &self.reaches
    }

    /// True when what follows the position is in it, as far as it goes.
    pub(crate) fn covers(&self, position: &Position) -> bool {
        (&self.after..=&self.reaches).contains(&position)
    }

    /// Goes on with what was read from where it ends. What it can't hold is left out at its end, and is read again.
    pub(crate) fn extend(&mut self, reaches: Position, entries: Vec<Entry>) {
        self.make_room(entries.iter().map(weight).sum());
        for (added, entry) in entries.into_iter().enumerate() {
            if added > 0 && self.weight + weight(&entry) > MOST {
                return;
            }
            self.weight += weight(&entry);
            self.reaches = entry.position.clone();
            self.entries.push_back(entry);
        }
        self.reaches = reaches;
    }

    /// Gives up the oldest entries for what is to come.
    fn make_room(&mut self, coming: usize) {
        while self.weight + coming > MOST
            && let Some(oldest) = self.entries.pop_front()
        {
            self.weight -= weight(&oldest);
            self.after = oldest.position;
        }
    }

    /// The entries after the position.
    pub(crate) fn after(&self, position: &Position) -> impl Iterator<Item = &Entry> {
        let from = self.entries.partition_point(|entry| entry.position <= *position);
        self.entries.range(from..)
    }
}

fn weight(entry: &Entry) -> usize {
    let id = match &entry.position.id {
        Id::Of(id) => id.len(),
        Id::First | Id::Last => 0,
    };
    entry.bytes.len() + id + OVERHEAD
}

/// A page that is being filled from a place on.
#[derive(Debug)]
pub(crate) struct Filling {
    pub(crate) records: Vec<LogRecord>,
    pub(crate) place: Place,
    room: usize,
    cap: u64,
}

impl Filling {
    /// An empty page of about so many bytes, of a log that is cut off at its cap.
    pub(crate) const fn new(place: Place, room: usize, cap: u64) -> Self {
        Self { records: Vec::new(), place, room, cap }
    }

    /// Fills the page until it is full, or the entries are used up.
    pub(crate) fn fill<'a>(&mut self, entries: impl Iterator<Item = &'a Entry>) {
        for entry in entries {
            if self.place.is_cut || !self.take(entry) {
                return;
            }
        }
    }

    /// False when the page is full.
    fn take(&mut self, entry: &Entry) -> bool {
        if !self.records.is_empty() && entry.bytes.len() > self.room {
            return false;
        }
        let left = usize::try_from(self.cap - self.place.tally.total()).unwrap_or(usize::MAX);
        let kept = entry.bytes.slice(..entry.bytes.len().min(left));
        self.place.is_cut = kept.len() < entry.bytes.len();
        self.place.position = entry.position.clone();
        self.place.tally.add(entry.stream, kept.len());
        self.room = self.room.saturating_sub(kept.len());
        self.records.extend(records(entry.stream, entry.position.at, &kept));
        true
    }
}

fn records(stream: LogStream, at: jiff::Timestamp, bytes: &Bytes) -> impl Iterator<Item = LogRecord> {
    let pieces = bytes.chunks(LONGEST_RECORD).map(|piece| bytes.slice_ref(piece));
    pieces.map(move |piece| LogRecord::new(stream, Some(at), piece))
}

/// Counts what a page would hold, without making it.
pub(crate) fn count<'a>(place: &mut Place, cap: u64, entries: impl Iterator<Item = &'a Entry>) {
    for entry in entries {
        if place.is_cut {
            return;
        }
        let left = cap - place.tally.total();
        let kept = (entry.bytes.len() as u64).min(left);
        place.is_cut = kept < entry.bytes.len() as u64;
        place.position = entry.position.clone();
        place.tally.add(entry.stream, usize::try_from(kept).unwrap_or(usize::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn position(at: i64) -> Position {
        Position { at: Timestamp::from_second(at).unwrap(), id: Id::Of("x".to_owned()) }
    }

    fn entry(at: i64, text: &str) -> Entry {
        let stream = if at % 2 == 0 { LogStream::Stderr } else { LogStream::Stdout };
        Entry { position: position(at), stream, bytes: Bytes::from(text.to_owned()) }
    }

    fn window(texts: &[&str]) -> Window {
        let entries = texts.iter().zip(1..).map(|(text, at)| entry(at, text)).collect();
        Window::new(Position::before(Timestamp::UNIX_EPOCH), position(99), entries)
    }

    fn page(window: &Window, place: &Place, room: usize, cap: u64) -> (Vec<String>, Place) {
        let mut filling = Filling::new(place.clone(), room, cap);
        filling.fill(window.after(&place.position));
        let mut counted = place.clone();
        let given = |entry: &&Entry| entry.position <= filling.place.position;
        count(&mut counted, cap, window.after(&place.position).take_while(given));
        assert_eq!(counted, filling.place, "what is counted is what is given");
        let texts = filling.records.iter().map(|it| String::from_utf8_lossy(&it.bytes).into_owned()).collect();
        (texts, filling.place)
    }

    #[test]
    fn pages_put_together_are_the_log_up_to_its_cap() {
        let window = window(&["one\n", "two\n", "three\n", "four\n"]);
        for cap in [1, 4, 5, 14, 18, 19, 20, 100] {
            for room in [0, 1, 5, 8, 100] {
                let mut place = Place::beginning(Timestamp::UNIX_EPOCH);
                let mut read = String::new();
                loop {
                    let (texts, next) = page(&window, &place, room, cap);
                    let before_last: usize = texts.iter().rev().skip(1).map(String::len).sum();
                    assert!(before_last <= room);
                    read.extend(texts.iter().map(String::as_str));
                    if next == place || next.is_cut {
                        assert_eq!(next.is_cut, cap < 19, "cap {cap} room {room}");
                        break;
                    }
                    place = next;
                }
                let expected = "one\ntwo\nthree\nfour\n";
                assert_eq!(
                    read,
                    expected[..expected.len().min(usize::try_from(cap).unwrap())],
                    "cap {cap} room {room}"
                );
            }
        }
    }

    #[test]
    fn a_window_gives_up_its_beginning_and_never_more_than_it_holds() {
        let long = "x".repeat(400 << 10);
        let mut window = window(&[&long, &long]);
        assert!(window.covers(&Position::before(Timestamp::UNIX_EPOCH)) && window.covers(&position(99)));
        window
            .extend(position(199), vec![entry(100, &long), entry(101, "short"), entry(102, &long), entry(103, &long)]);
        assert!(window.weight() <= MOST);
        assert!(!window.covers(&position(1)), "its beginning is gone");
        let held: Vec<i64> = window.after(&position(99)).map(|entry| entry.position.at.as_second()).collect();
        assert_eq!(held, [100, 101, 102]);
        assert_eq!(window.reaches(), &position(102), "what it could not hold is read again");
    }

    #[test]
    fn an_entry_longer_than_a_record_comes_in_pieces() {
        let window = window(&[&"x".repeat((2 << 20) + 1)]);
        let mut filling = Filling::new(Place::beginning(Timestamp::UNIX_EPOCH), 10, u64::MAX);
        filling.fill(window.after(&position(0)));
        assert_eq!(filling.records.iter().map(|it| it.bytes.len()).collect::<Vec<_>>(), [1 << 20, 1 << 20, 1]);
    }
}
