//! The words of a filter.

use super::Operator;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Open,
    Close,
    Minus,
    And,
    Or,
    Not,
    Operator(Operator),
    /// A path's names, or a bare value.
    Path(Vec<String>),
    Quoted(String),
}

const OPERATORS: [(&str, Operator); 7] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
    (":", Operator::Has),
];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, left) = next(rest)?;
        tokens.push(token);
        rest = left.trim_start();
    }
    Ok(tokens)
}

fn next(text: &str) -> Result<(Token, &str), String> {
    for (sign, token) in [("(", Token::Open), (")", Token::Close), ("-", Token::Minus)] {
        if let Some(rest) = text.strip_prefix(sign) {
            return Ok((token, rest));
        }
    }
    if text.starts_with("=~") || text.starts_with("!~") {
        return Err("this fake knows no regular expressions".to_owned());
    }
    for (sign, operator) in OPERATORS {
        if let Some(rest) = text.strip_prefix(sign) {
            return Ok((Token::Operator(operator), rest));
        }
    }
    if let Some(rest) = text.strip_prefix('"') {
        let (quoted, rest) = quoted(rest)?;
        return Ok((Token::Quoted(quoted), rest));
    }
    path(text)
}

/// Reads to the closing quote.
fn quoted(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((place, character)) = characters.next() {
        match character {
            '"' => return Ok((value, &text[place + 1..])),
            '\\' => match characters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, escaped)) => value.push(escaped),
                None => break,
            },
            character => value.push(character),
        }
    }
    Err(format!("a quote is not closed before the end: \"{text}"))
}

/// Reads names with dots between them, any of which may be quoted.
fn path(text: &str) -> Result<(Token, &str), String> {
    let (mut names, mut rest) = (Vec::new(), text);
    loop {
        let (name, left) = match rest.strip_prefix('"') {
            Some(inner) => quoted(inner)?,
            None => bare(rest)?,
        };
        names.push(name);
        match left.strip_prefix('.') {
            Some(after) => rest = after,
            None => return Ok((word(names), left)),
        }
    }
}

fn bare(text: &str) -> Result<(String, &str), String> {
    let known = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '/' | '%' | '@' | '*');
    let end = text.find(|character| !known(character)).unwrap_or(text.len());
    if end == 0 {
        return Err(format!("syntax error at \"{text}\""));
    }
    Ok((text[..end].to_owned(), &text[end..]))
}

fn word(names: Vec<String>) -> Token {
    match names.as_slice() {
        [name] if name == "AND" => Token::And,
        [name] if name == "OR" => Token::Or,
        [name] if name == "NOT" => Token::Not,
        _ => Token::Path(names),
    }
}
