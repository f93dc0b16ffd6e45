//! The size of a condition, before the parser sees it: what could keep it long, or nest deeper than its stack.

use super::{
    condition::Condition,
    fault::{Fault, Faults},
};

/// How deep parentheses, lists and calls may be nested.
pub(super) const DEEPEST: u16 = 32;
/// How many operators a condition may have, in characters and `in`s. Each may be a level of recursion for whoever copies,
/// compares, evaluates or drops the condition, all on a stack of 1 MiB if need be (`tests/rules/fuzz.rs`).
pub(super) const MOST_OPERATORS: usize = 400;

const SPLIT: &str = "split it into rules";

/// How large a condition is.
#[derive(Clone, Copy)]
pub(super) struct Bulk {
    depth: usize,
    operators: usize,
}

impl Bulk {
    /// Whether any thread has the stack for it, as for nearly every condition that somebody writes.
    pub(super) const fn is_small(self) -> bool {
        self.depth <= 3 && self.operators <= 60
    }
}

/// Refuses what is too large to be parsed, and says how large the rest is.
pub(super) fn bulk(source: &str) -> Result<Bulk, Faults> {
    if source.trim().is_empty() {
        return Err(whole(source, "the condition is empty".to_owned(), "write `true` for every job").into());
    }
    if source.len() > Condition::LONGEST {
        let message =
            format!("a condition has at most {} bytes, and this one has {}", Condition::LONGEST, source.len());
        return Err(whole(source, message, SPLIT).into());
    }
    let code = code(source)?;
    let operators = operators(&code);
    if operators > MOST_OPERATORS {
        let message = format!("a condition has at most {MOST_OPERATORS} characters of operators");
        return Err(whole(source, message, SPLIT).into());
    }
    let depth = depth(&code).map_err(too_deep)?;
    Ok(Bulk { depth, operators })
}

/// A fault of what is nested too deeply from here on.
pub(super) fn too_deep(at: usize) -> Fault {
    fault(at, 1, "this is nested too deeply".to_owned(), SPLIT)
}

/// A fault of the condition as a whole.
pub(super) fn whole(source: &str, message: String, help: &str) -> Fault {
    fault(0, source.chars().count().max(1), message, help)
}

fn fault(at: usize, length: usize, message: String, help: &str) -> Fault {
    Fault { message, help: Some(help.to_owned()), at, length }
}

/// The characters that are no part of a string or a comment, each with its place; a string is its first quotation mark.
/// Whatever this could see otherwise than the parser's lexer does is refused, so that nothing hides in a string that is
/// none.
fn code(source: &str) -> Result<Vec<(usize, char)>, Fault> {
    let chars: Vec<char> = source.chars().collect();
    let mut code = Vec::with_capacity(chars.len());
    let mut at = 0;
    while let Some(c) = chars.get(at).copied() {
        let is_comment = c == '/' && chars.get(at + 1) == Some(&'/');
        if is_comment {
            at += chars[at..].iter().take_while(|c| **c != '\n').count();
            continue;
        }
        code.push((at, c));
        at = match c {
            '\'' | '"' => string_end(&chars, at)?,
            '`' => return Err(fault(at, 1, unread("names are not quoted"), "leave out the `")),
            _ => at + 1,
        };
    }
    Ok(code)
}

fn unread(why: &str) -> String {
    format!("this can't be read: {why}")
}

const fn is_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Where the string that begins here has ended.
fn string_end(chars: &[char], start: usize) -> Result<usize, Fault> {
    let before: String = chars[..start].iter().rev().take_while(|c| is_of_word(**c)).collect();
    let is_raw = match before.as_str() {
        // Read backwards: b'…', and `in` without a space.
        "" | "b" | "B" | "ni" => false,
        "r" | "R" | "rb" | "Rb" | "rB" | "RB" => true,
        _ => {
            let why = unread("a string stands right behind a word");
            return Err(fault(start, 1, why, "put an operator or a space between them"));
        }
    };
    let open = || fault(start, 1, unread("this string does not end as it should"), "close it, and write \\\\ for a \\");
    closing(chars, start, is_raw).ok_or_else(open)
}

fn closing(chars: &[char], start: usize, is_raw: bool) -> Option<usize> {
    let quotes = [chars[start]; 3];
    let is_long = chars[start..].starts_with(&quotes);
    let close = if is_long { &quotes[..] } else { &quotes[..1] };
    let mut at = start + close.len();
    while let Some(c) = chars.get(at) {
        if chars[at..].starts_with(close) {
            return Some(at + close.len());
        }
        at += match c {
            '\\' if !is_raw => escape(&chars[at + 1..])?,
            '\n' | '\r' if !is_long => return None,
            _ => 1,
        };
    }
    None
}

/// How long the escape is whose backslash stands before these characters.
fn escape(after: &[char]) -> Option<usize> {
    let (first, digits) = after.split_first()?;
    let are_digits = |count: usize, base| {
        let enough = digits.get(..count)?.iter().all(|c| c.is_digit(base));
        enough.then_some(count + 2)
    };
    match first {
        'a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '"' | '\'' | '\\' | '?' | '`' => Some(2),
        'x' | 'X' => are_digits(2, 16),
        'u' => are_digits(4, 16),
        'U' => are_digits(8, 16),
        '0'..='3' => are_digits(2, 8),
        _ => None,
    }
}

fn operators(code: &[(usize, char)]) -> usize {
    let signs = code.iter().filter(|(_, c)| "+-*/%.<>=!&|?:[".contains(*c)).count();
    let text: String = code.iter().map(|(_, c)| c).collect();
    // A number may stand right before: `1in[1]`.
    let is_in = |word: &&str| *word == "in" || (word.starts_with(|c: char| c.is_ascii_digit()) && word.ends_with("in"));
    signs + text.split(|c| !is_of_word(c)).filter(is_in).count()
}

/// How deep the nesting is, or where it is too deep. A `?` is open up to its `:`, or until what is around it closes.
fn depth(code: &[(usize, char)]) -> Result<usize, usize> {
    let mut open = Vec::new();
    let mut deepest = 0;
    for (at, c) in code {
        match c {
            '(' | '[' | '{' | '?' => open.push(*c),
            ')' | ']' | '}' => while open.pop() == Some('?') {},
            ':' if open.last() == Some(&'?') => {
                open.pop();
            }
            _ => {}
        }
        deepest = deepest.max(open.len());
        if deepest > usize::from(DEEPEST) {
            return Err(*at);
        }
    }
    Ok(deepest)
}
