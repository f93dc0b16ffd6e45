//! Bodies: bounded while they are read, and of an error's body what is fit to be shown.

use bytes::{Bytes, BytesMut};
use reqwest::{Response, StatusCode};
use serde_json::Value;
use std::fmt;

/// How many bytes of an error's body are read.
pub(crate) const MOST_OF_AN_ERROR: usize = 64 << 10;
/// How many characters of an error's body are shown.
const SHOWN: usize = 600;

/// An answer that is no refusal.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reply {
    /// The status, of the two hundreds.
    pub status: StatusCode,
    /// The whole body.
    pub body: Bytes,
}

impl Reply {
    pub(crate) const fn new(status: StatusCode, body: Bytes) -> Self {
        Self { status, body }
    }
}

impl fmt::Debug for Reply {
    /// Without the body, in which a secret may stand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply").field("status", &self.status).field("bytes", &self.body.len()).finish()
    }
}

/// The body of a refusal: its beginning as text that is safe to show, and its JSON where it is any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorBody {
    text: String,
    json: Option<Value>,
}

impl ErrorBody {
    /// What was read of a body.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        if is_html(&text) {
            return Self { text: title(&text), json: None };
        }
        Self { text: plain(&text), json: serde_json::from_slice(bytes).ok() }
    }

    /// The beginning of the body on one line, without anything that a terminal would obey; of HTML, its title.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The whole body, where it is JSON.
    #[must_use]
    pub const fn json(&self) -> Option<&Value> {
        self.json.as_ref()
    }

    /// The member at the JSON pointer, where it is text; safe to show.
    #[must_use]
    pub fn words(&self, pointer: &str) -> Option<String> {
        self.json.as_ref()?.pointer(pointer)?.as_str().map(plain).filter(|text| !text.is_empty())
    }
}

fn is_html(text: &str) -> bool {
    let start = text.trim_start().get(..15).unwrap_or_else(|| text.trim_start()).to_ascii_lowercase();
    start.starts_with("<!doctype html") || start.starts_with("<html")
}

fn title(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let found = lower.find("<title>").and_then(|at| {
        let from = at + "<title>".len();
        let length = lower.get(from..)?.find("</title>")?;
        text.get(from..from + length)
    });
    found.map_or_else(|| "a page of HTML".to_owned(), |title| format!("a page of HTML: {}", plain(title)))
}

/// One line without control characters, and without those that change the direction of a text.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len().min(SHOWN));
    for (count, c) in text.trim().chars().enumerate() {
        if count == SHOWN {
            shown.push('…');
            break;
        }
        let is_unsafe = c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
        match (is_unsafe, c) {
            (false, c) => shown.push(c),
            (true, _) if shown.ends_with(' ') => {}
            (true, _) => shown.push(' '),
        }
    }
    shown
}

/// What became of reading a body.
pub(crate) enum Read {
    Whole(Bytes),
    /// More than was allowed; what was read until then.
    TooLong(Bytes),
    /// The connection ended in the middle; what was read until then.
    Cut(Bytes, reqwest::Error),
}

impl Read {
    /// How many bytes were read.
    pub(crate) const fn len(&self) -> usize {
        let (Self::Whole(body) | Self::TooLong(body) | Self::Cut(body, _)) = self;
        body.len()
    }
}

/// Reads a body up to so many bytes.
pub(crate) async fn read(response: &mut Response, most: usize) -> Read {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Read::Whole(body.freeze()),
            Ok(Some(chunk)) if body.len() + chunk.len() > most => {
                body.extend_from_slice(&chunk[..most - body.len()]);
                return Read::TooLong(body.freeze());
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Err(error) => return Read::Cut(body.freeze(), error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_told_as_a_page() {
        let page = "\n<!DOCTYPE html>\n<html lang=en><TITLE>Error 502 (Server Error)!!1</TITLE>\n<p>sorry</p>";
        assert_eq!(ErrorBody::new(page.as_bytes()).text(), "a page of HTML: Error 502 (Server Error)!!1");
        assert_eq!(ErrorBody::new(b"<html>").text(), "a page of HTML");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown() {
        let body = ErrorBody::new("no\x1b[2J\x07\u{202e}\r\nway \u{2066}\x00".as_bytes());
        assert_eq!(body.text(), "no [2J way ");
        assert!(ErrorBody::new(&[b'x'; 100_000]).text().len() < 700);
        assert_eq!(ErrorBody::new(&[0xff, b'a']).text(), "\u{fffd}a");
    }

    #[test]
    fn json_is_read_and_a_part_of_it_is_text() {
        let body = ErrorBody::new(br#"{"error": {"message": "no\nway", "code": 7}}"#);
        assert_eq!(body.words("/error/message").as_deref(), Some("no way"));
        assert_eq!(body.words("/error/code"), None);
        assert_eq!(ErrorBody::new(br#"{"error": {"mess"#).json(), None);
    }

    #[test]
    fn a_reply_does_not_show_its_body() {
        let reply = Reply::new(StatusCode::OK, Bytes::from_static(b"s3cret"));
        assert!(!format!("{reply:?}").contains("s3cret"));
    }
}
