//! Files of environment variables, in the format of `docker run --env-file`.
//!
//! One variable a line, `NAME=VALUE` or `NAME`; no quotes, no escapes, no continued lines. An error tells the
//! file and the line, and nothing of the text: a stray line may well be a part of a secret.

use longshore::{EnvName, Error, ErrorKind, Result};
use std::{fs::File, io::Read, path::Path};

/// What is too large to be a list of variables.
const MOST_BYTES: u64 = 16 << 20;

/// One line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: EnvName,
    /// Absent when the value is to be taken from our own environment.
    pub(crate) value: Option<String>,
    /// Where it stands, as `FILE:LINE`.
    pub(crate) place: String,
}

/// Reads a file.
///
/// # Errors
/// `Invalid` when it can't be read, or for the first line that breaks a rule.
pub(crate) fn read(path: &Path) -> Result<Vec<Line>> {
    let unreadable = |error: std::io::Error| {
        Error::new(ErrorKind::Invalid, format!("--env-file {} can't be read", path.display())).with_source(error)
    };
    let mut bytes = Vec::new();
    let read =
        File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if read as u64 > MOST_BYTES {
        let message = format!("--env-file {} is larger than 16 MiB; it can't be a list of variables", path.display());
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    parse(&bytes, &path.display().to_string())
}

fn parse(bytes: &[u8], file: &str) -> Result<Vec<Line>> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut lines = Vec::new();
    for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let place = format!("{file}:{}", index + 1);
        let wrong = |rule: &str| Error::new(ErrorKind::Invalid, format!("{place}: {rule}"));
        let line = std::str::from_utf8(line).map_err(|_| wrong("a line must be UTF-8"))?;
        let line = line.strip_suffix('\r').unwrap_or(line).trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        let name =
            EnvName::new(name).map_err(|violation| wrong(&format!("not a variable's name: {}", violation.rule)))?;
        if value.is_some_and(|value| value.contains('\0')) {
            return Err(wrong("a value can't hold a NUL byte"));
        }
        lines.push(Line { name, value: value.map(str::to_owned), place });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, Option<String>)> {
        let lines = parse(text.as_bytes(), "vars").unwrap();
        lines.into_iter().map(|line| (line.name.to_string(), line.value)).collect()
    }

    #[test]
    fn lines_are_taken_as_docker_takes_them() {
        let pair = |name: &str, value: Option<&str>| (name.to_owned(), value.map(str::to_owned));
        let cases = [
            ("A=1\nB=2", vec![pair("A", Some("1")), pair("B", Some("2"))]),
            ("# a comment\n\n  # another\n", vec![]),
            ("  A=1", vec![pair("A", Some("1"))]),
            ("A=\"quoted\" # kept ", vec![pair("A", Some("\"quoted\" # kept "))]),
            ("A=1\r\nB\r\n", vec![pair("A", Some("1")), pair("B", None)]),
            ("A=b=c", vec![pair("A", Some("b=c"))]),
            ("A=", vec![pair("A", Some(""))]),
            ("\u{feff}A=1", vec![pair("A", Some("1"))]),
            ("A=ä$HOME`x`", vec![pair("A", Some("ä$HOME`x`"))]),
        ];
        for (text, expected) in cases {
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn errors_tell_file_and_line_and_nothing_of_the_text() {
        let cases: [(&[u8], &str); 6] = [
            (b"A=1\n=hunter2", "vars:2: not a variable's name"),
            (b"hunter 2=1", "vars:1: not a variable's name"),
            (b"A =hunter2", "vars:1: not a variable's name"),
            (b"\n\nA=hunter2\xff", "vars:3: a line must be UTF-8"),
            (b"A=hunter2\0", "vars:1: a value can't hold a NUL byte"),
            ("hünter=2".as_bytes(), "vars:1: not a variable's name"),
        ];
        for (text, expected) in cases {
            let error = parse(text, "vars").unwrap_err().chain();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("hunter") && !error.contains("hünter"), "{error}");
        }
    }

    #[test]
    fn what_is_no_list_of_variables_is_refused() {
        let missing = read(Path::new("/nonexistent/vars")).unwrap_err().chain();
        assert!(missing.contains("/nonexistent/vars can't be read"), "{missing}");
        let endless = read(Path::new("/dev/zero")).unwrap_err().chain();
        assert!(endless.contains("larger than 16 MiB"), "{endless}");
    }
}
