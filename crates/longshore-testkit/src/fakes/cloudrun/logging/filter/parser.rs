//! The sense of a filter's words: `NOT` binds most, then `OR`, then `AND`.

use super::{Field, Filter, Operator, lexer::Token};

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
        let field = field(names)?;
        let Some(Token::Operator(operator)) = self.next() else {
            return Err(format!("a comparison is expected behind {}", names.join(".")));
        };
        if !self.take(&Token::Open) {
            let value = self.value()?;
            return Ok(Filter::Compare { field, operator, value });
        }
        let mut values = vec![self.value()?];
        while self.take(&Token::Or) {
            values.push(self.value()?);
        }
        if !self.take(&Token::Close) {
            return Err("a list of values is not closed".to_owned());
        }
        let each = values.into_iter().map(|value| Filter::Compare { field: field.clone(), operator, value });
        Ok(Filter::Or(each.collect()))
    }

    fn value(&mut self) -> Result<String, String> {
        match self.next() {
            Some(Token::Quoted(value)) => Ok(value),
            Some(Token::Path(names)) => Ok(names.join(".")),
            other => Err(format!("a value is expected, found {other:?}")),
        }
    }
}

fn field(names: &[String]) -> Result<Field, String> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    match names.as_slice() {
        ["insertId" | "insert_id"] => Ok(Field::InsertId),
        ["labels", key] => Ok(Field::Label((*key).to_owned())),
        ["logName" | "log_name"] => Ok(Field::LogName),
        ["receiveTimestamp" | "receive_timestamp"] => Ok(Field::ReceiveTimestamp),
        ["resource", "labels", key] => Ok(Field::ResourceLabel((*key).to_owned())),
        ["resource", "type"] => Ok(Field::ResourceType),
        ["severity"] => Ok(Field::Severity),
        ["textPayload" | "text_payload"] => Ok(Field::TextPayload),
        ["jsonPayload" | "json_payload", path @ ..] => {
            Ok(Field::JsonPayload(path.iter().map(|name| (*name).to_owned()).collect()))
        }
        ["timestamp"] => Ok(Field::Timestamp),
        unknown => Err(format!("Field not found: '{}'.", unknown.join("."))),
    }
}
