//! The text that is read, and as much of it as may be quoted.

use std::{ops::Range, sync::Arc};

use crate::{problem::Place, secret::REDACTED, tree::Origin};

/// The text of a file.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    text: Arc<str>,
    /// The text with secrets replaced by as many stars.
    pub(crate) shown: Arc<str>,
    /// Where each line begins.
    lines: Arc<[usize]>,
    /// What references have led to, longest first: no message may hold it.
    secrets: Arc<[String]>,
}

/// The shortest text that is looked for in messages: what is shorter is no secret, and stands in many a word.
const SHORTEST_SECRET: usize = 4;

impl Source {
    /// A file of which nothing needs to be hidden yet.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let starts = text.char_indices().filter(|(_, c)| *c == '\n').map(|(at, _)| at + 1);
        let mut source = Self {
            name: replaced(name.to_owned()),
            text: text.into(),
            shown: Arc::from(""),
            lines: std::iter::once(0).chain(starts).collect(),
            secrets: Arc::from([]),
        };
        source.hide(Vec::new());
        source
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Hides these places. What a terminal could take for a command is never shown.
    pub(crate) fn hide(&mut self, mut places: Vec<Range<usize>>) {
        places.sort_by_key(|place| place.start);
        let mut places = places.into_iter().peekable();
        let mut hidden_to = 0;
        let mut shown = String::with_capacity(self.text.len());
        for (at, c) in self.text.char_indices() {
            while let Some(place) = places.next_if(|place| place.start <= at) {
                hidden_to = hidden_to.max(place.end);
            }
            let instead = match c {
                '\n' | '\t' => None,
                '\r' => Some(' '),
                _ if at < hidden_to => Some('*'),
                c if is_harmful(c) => Some('?'),
                _ => None,
            };
            match instead {
                // As many bytes as before, so that places stay where they are.
                Some(instead) => shown.extend(std::iter::repeat_n(instead, c.len_utf8())),
                None => shown.push(c),
            }
        }
        self.shown = shown.into();
    }

    /// Hides all values, line by line: in a text of which nothing more is known, any may be a secret.
    pub(crate) fn hide_values(&mut self) {
        let mut places = Vec::new();
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            let is_header = line.trim_start().starts_with('[') && !line.contains(['=', ':', '"', '\'']);
            let shown = if is_header { line.len() } else { line.find(['=', ':']).map_or(0, |at| at + 1) };
            places.push(start + shown..start + line.len());
            start += line.len();
        }
        self.hide(places);
    }

    /// Keeps these texts out of all messages.
    pub(crate) fn keep_secret(&mut self, mut secrets: Vec<String>) {
        secrets.retain(|secret| secret.len() >= SHORTEST_SECRET);
        let escaped = |secret: &String| {
            let quoted = format!("{secret:?}");
            quoted[1..quoted.len() - 1].to_owned()
        };
        secrets.extend(secrets.iter().map(escaped).collect::<Vec<_>>());
        secrets.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        self.secrets = secrets.into();
    }

    /// The text without what references have led to, without what a terminal could take for a command, and without what
    /// re-orders it.
    pub(crate) fn harmless(&self, mut text: String) -> String {
        for secret in self.secrets.iter() {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), REDACTED);
            }
        }
        replaced(text)
    }

    /// Where something is, for people.
    pub(crate) fn place(&self, origin: &Origin) -> Place {
        let bytes = match origin {
            Origin::File(bytes) => bytes,
            Origin::Whole => return Place::Whole,
            Origin::Variable(name) => return Place::Variable(shortened(replaced(name.clone()))),
        };
        let start = floor(&self.text, bytes.start);
        let end = floor(&self.text, bytes.end).max(start);
        let line = self.lines.partition_point(|begins| *begins <= start);
        let line_start = self.lines[line - 1];
        Place::File { line, column: self.text[line_start..start].chars().count() + 1, bytes: start..end }
    }

    /// The lines that a place is on: where they begin, and the number of the first, from 1.
    pub(crate) fn lines(&self, bytes: &Range<usize>) -> (Range<usize>, usize) {
        let first = self.lines.partition_point(|begins| *begins <= bytes.start);
        let last = self.lines.partition_point(|begins| *begins < bytes.end.max(bytes.start + 1));
        let end = self.lines.get(last).map_or(self.text.len(), |next| next - 1);
        (self.lines[first - 1]..end.max(bytes.end), first)
    }

    /// Where a part of a text is, in characters from `at`: exactly, where the file has the text as it is, and else the
    /// whole of it.
    pub(crate) fn within(&self, origin: &Origin, text: &str, at: usize, length: usize) -> Origin {
        let Origin::File(bytes) = origin else { return origin.clone() };
        let Some(found) = self.text.get(bytes.clone()).and_then(|written| written.find(text)) else {
            return origin.clone();
        };
        let byte = |character| text.char_indices().nth(character).map_or(text.len(), |(byte, _)| byte);
        let start = bytes.start + found;
        Origin::File(start + byte(at)..start + byte(at + length))
    }
}

/// The nearest boundary between characters that is not after it.
fn floor(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

fn shortened(name: String) -> String {
    const SHOWN: usize = 120;
    if name.chars().count() <= SHOWN {
        return name;
    }
    name.chars().take(SHOWN).chain(['…']).collect()
}

fn replaced(text: String) -> String {
    if text.chars().any(is_harmful) {
        return text.chars().map(|c| if is_harmful(c) { '?' } else { c }).collect();
    }
    text
}

/// What a terminal could take for a command, or what shows a text in another order than it is read (UAX #9).
fn is_harmful(c: char) -> bool {
    let re_orders =
        matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !matches!(c, '\n' | '\t')) || re_orders
}
