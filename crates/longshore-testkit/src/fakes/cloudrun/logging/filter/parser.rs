//! The sense of a filter's words: `NOT` binds most, then `OR`, then `AND`.

use super::{Field, Filter, Moment, Operator, lexer::Token};

pub(super) fn parse(tokens: &[Token]) -> Result<Filter, String> {
    let mut parser = Parser { tokens };
    let filter = parser.all_of()?;
    match parser.tokens.first() {
        None => Ok(filter),
        Some(left) => Err(format!("syntax error at {left:?}")),
    }
}

struct Parser<'a> {
    tokens: &'a [Token],
}

impl Parser<'_> {
    fn take(&mut self, wanted: &Token) -> bool {
        let found = self.tokens.first() == Some(wanted);
        if found {
            self.tokens = &self.tokens[1..];
        }
        found
    }

    fn next(&mut self) -> Option<Token> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(first.clone())
    }

    fn all_of(&mut self) -> Result<Filter, String> {
        let mut parts = Vec::new();
        while self.tokens.first().is_some_and(|token| *token != Token::Close) {
            if !parts.is_empty() {
                // Between two comparisons it may be left out.
                self.take(&Token::And);
            }
            parts.push(self.any_of()?);
        }
        Ok(Filter::And(parts))
    }

    fn any_of(&mut self) -> Result<Filter, String> {
        let first = self.one()?;
        let mut parts = vec![first];
        while self.take(&Token::Or) {
            parts.push(self.one()?);
        }
        Ok(Filter::Or(parts))
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.take(&Token::Not) || self.take(&Token::Minus) {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.take(&Token::Open) {
            let inner = self.all_of()?;
            return if self.take(&Token::Close) { Ok(inner) } else { Err("a parenthesis is not closed".to_owned()) };
        }
        match self.next() {
            Some(Token::Path(names)) if names == ["log_id"] => self.log_id(),
            Some(Token::Path(names)) => self.comparison(&names),
            other => Err(format!("a field is expected, found {other:?}")),
        }
    }

    fn log_id(&mut self) -> Result<Filter, String> {
        let opened = self.take(&Token::Open);
        match (opened, self.next(), self.take(&Token::Close)) {
            (true, Some(Token::Quoted(value)), true) => {
                Ok(Filter::Compare { field: Field::LogId, operator: Operator::Equal, value })
            }
            _ => Err("log_id takes one name in quotes".to_owned()),
        }
    }

    fn comparison(&mut self, names: &[String]) -> Result<Filter, String> {
        let subject = subject(names)?;
        let Some(Token::Operator(operator)) = self.next() else {
            return Err(format!("a comparison is expected behind {}", names.join(".")));
        };
        if !self.take(&Token::Open) {
            return subject.compared(operator, self.value()?);
        }
        let mut each = vec![subject.clone().compared(operator, self.value()?)?];
        while self.take(&Token::Or) {
            each.push(subject.clone().compared(operator, self.value()?)?);
        }
        if !self.take(&Token::Close) {
            return Err("a list of values is not closed".to_owned());
        }
        Ok(Filter::Or(each))
    }

    fn value(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Quoted(value)) => Ok(value),
            Some(Token::Path(names)) => Ok(names.join(".")),
            other => Err(format!("a value is expected, found {other:?}")),
        }
    }
}

/// What a comparison is about.
#[derive(Clone)]
enum Subject {
    Field(Field),
    Moment(Moment),
}

impl Subject {
    fn compared(self, operator: Operator, value: String) -> Result<Filter, String> {
        match self {
            Self::Field(field) => Ok(Filter::Compare { field, operator, value }),
            Self::Moment(moment) => {
                let at = value.parse().map_err(|_| format!("'{value}' is no time."))?;
                Ok(Filter::When { moment, operator, at })
            }
        }
    }
}

fn subject(names: &[String]) -> Result<Subject, String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let field = match names.as_slice() {
        ["timestamp"] => return Ok(Subject::Moment(Moment::Written)),
        ["receiveTimestamp" | "receive_timestamp"] => return Ok(Subject::Moment(Moment::Received)),
        ["insertId" | "insert_id"] => Field::InsertId,
        ["labels", key] => Field::Label((*key).to_owned()),
        ["logName" | "log_name"] => Field::LogName,
        ["resource", "labels", key] => Field::ResourceLabel((*key).to_owned()),
        ["resource", "type"] => Field::ResourceType,
        ["severity"] => Field::Severity,
        ["textPayload" | "text_payload"] => Field::TextPayload,
        ["jsonPayload" | "json_payload", path @ ..] => {
            Field::JsonPayload(path.iter().map(|name| (*name).to_owned()).collect())
        }
        unknown => return Err(format!("Field not found: '{}'.", unknown.join("."))),
    };
    Ok(Subject::Field(field))
}
