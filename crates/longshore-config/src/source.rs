//! The text that is read, and as much of it as may be quoted.

use std::{ops::Range, sync::Arc};

use crate::{
    problem::Place,
    tree::{Origin, is_secret_name},
};

/// The text of a file.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) name: String,
    text: Arc<str>,
    /// The text with secrets replaced by as many stars.
    pub(crate) shown: Arc<str>,
}

impl Source {
    /// A file of which nothing needs to be hidden yet.
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let mut source = Self { name: name.to_owned(), text: text.into(), shown: Arc::from("") };
        source.hide(&[]);
        source
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Hides these places. What a terminal could take for a command is never shown.
    pub(crate) fn hide(&mut self, places: &[&Range<usize>]) {
        let mut shown = String::with_capacity(self.text.len());
        for (at, c) in self.text.char_indices() {
            let instead = match c {
                '\n' | '\t' => None,
                _ if places.iter().any(|place| place.contains(&at)) => Some('*'),
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

    /// Hides what stands behind the names of secrets, line by line: for a text of which nothing more is known.
    pub(crate) fn hide_by_lines(&mut self) {
        let mut places = Vec::new();
        let mut start = 0;
        for line in self.text.split_inclusive('\n') {
            if let Some((key, _)) = line.split_once(['=', ':'])
                && is_secret_name(key.trim_matches(|c: char| !c.is_alphanumeric()))
            {
                places.push(start + key.len() + 1..start + line.trim_end().len());
            }
            start += line.len();
        }
        self.hide(&places.iter().collect::<Vec<_>>());
    }

    /// Where something is, for people.
    pub(crate) fn place(&self, origin: &Origin) -> Place {
        let bytes = match origin {
            Origin::File(bytes) => bytes,
            Origin::Whole => return Place::Whole,
            Origin::Variable(name) => return Place::Variable(name.clone()),
        };
        let start = floor(&self.text, bytes.start);
        let end = floor(&self.text, bytes.end).max(start);
        let before = &self.text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        Place::File { line, column: before[line_start..].chars().count() + 1, bytes: start..end }
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

/// What a terminal could take for a command, or what shows a text in another order than it is read (UAX #9).
pub(crate) fn is_harmful(c: char) -> bool {
    let re_orders =
        matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && !matches!(c, '\n' | '\t')) || re_orders
}
