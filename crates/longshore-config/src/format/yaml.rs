//! YAML 1.2: one document, the core schema, no tags; anchors may not make a text larger than it may be.

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::Number;
use std::{
    collections::{HashMap, HashSet},
    ops::Range,
};

use super::{Budget, DEEPEST, Unreadable};
use crate::tree::{Entry, Node, Origin, Value};

pub(super) fn read(text: &str) -> Result<Node, Unreadable> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        bytes: text.char_indices().map(|(at, _)| at).chain([text.len()]).collect(),
        anchors: HashMap::new(),
        budget: Budget::default(),
    };
    let node = reader.document(text)?;
    Ok(node)
}

struct Reader<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    /// The byte at which each character begins: the parser counts characters.
    bytes: Vec<usize>,
    anchors: HashMap<usize, Node>,
    budget: Budget,
}

impl<'a> Reader<'a> {
    fn document(&mut self, text: &str) -> Result<Node, Unreadable> {
        let mut found = None;
        loop {
            let (event, at) = self.next()?;
            match event {
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                Event::StreamEnd => break,
                _ if found.is_some() => return Err(Unreadable::new("there is more than one document", at)),
                event => found = Some(self.value(event, at, DEEPEST)?),
            }
        }
        let empty = || Node::new(Value::Map(Vec::new()), 0..text.len());
        Ok(found.filter(|node| node.value != Value::Null).unwrap_or_else(empty))
    }

    fn next(&mut self) -> Result<(Event<'a>, Range<usize>), Unreadable> {
        match self.parser.next() {
            Some(Ok((event, span))) => Ok((event, self.range(span))),
            Some(Err(error)) => {
                let at = self.byte(error.marker().index());
                Err(Unreadable::new(error.info(), at..at))
            }
            None => Ok((Event::StreamEnd, 0..0)),
        }
    }

    fn range(&self, span: Span) -> Range<usize> {
        self.byte(span.start.index())..self.byte(span.end.index())
    }

    fn byte(&self, character: usize) -> usize {
        let last = self.bytes.last().copied().unwrap_or_default();
        self.bytes.get(character).copied().unwrap_or(last)
    }

    fn value(&mut self, event: Event<'a>, at: Range<usize>, depth: usize) -> Result<Node, Unreadable> {
        let Some(depth) = depth.checked_sub(1) else { return Err(Unreadable::new("this is nested too deeply", at)) };
        self.budget.take(1, at.len(), &at)?;
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style), anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) => (self.list(depth)?, anchor, tag.is_some()),
            Event::MappingStart(anchor, tag) => (self.map(depth)?, anchor, tag.is_some()),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node =
                    node.ok_or_else(|| Unreadable::new("an alias can't stand inside of its own anchor", at.clone()))?;
                let size = Size::of(&node);
                self.budget.take(size.values, size.bytes, &at)?;
                if size.height > depth + 1 {
                    return Err(Unreadable::new("this is nested too deeply", at));
                }
                return Ok(Node::new(node.value, at));
            }
            _ => return Err(Unreadable::new("this can't be read", at)),
        };
        if tag {
            return Err(Unreadable::new("tags such as !!str are not read; quote what is text", at));
        }
        let node = Node::new(value, at);
        if anchor > 0 {
            // Each anchor keeps a copy of all that is below it.
            let size = Size::of(&node);
            self.budget.take(size.values, size.bytes, &node_at(&node))?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, depth: usize) -> Result<Value, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (Event::StreamEnd, at) => return Err(Unreadable::new("the list has no end", at)),
                (event, at) => items.push(self.value(event, at, depth)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Unreadable> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen = HashSet::new();
        loop {
            let (key, key_at) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(key, _, _, None), at) => (key.to_string(), at),
                (_, at) => return Err(Unreadable::new("a key is a word", at)),
            };
            if key == "<<" {
                return Err(Unreadable::new("merge keys are not read; write the keys out", key_at));
            }
            if !seen.insert(key.clone()) {
                return Err(Unreadable::new(format!("the key `{key}` is given twice"), key_at));
            }
            let (event, at) = self.next()?;
            let node = self.value(event, at, depth)?;
            entries.push(Entry { key, key_at, node });
        }
    }
}

/// What a node takes.
#[derive(Clone, Copy)]
struct Size {
    values: usize,
    /// Bytes of text.
    bytes: usize,
    /// Levels of nesting, 1 for a value that holds no others.
    height: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let text = if let Value::Text(text) = &node.value { text.len() } else { 0 };
        let keys: usize = node.entries().iter().map(|entry| entry.key.len()).sum();
        let below = node.entries().iter().map(|entry| &entry.node).chain(node.items()).map(Self::of);
        below.fold(Self { values: 1, bytes: text + keys, height: 1 }, |all, one| Self {
            values: all.values + one.values,
            bytes: all.bytes + one.bytes,
            height: all.height.max(one.height + 1),
        })
    }
}

fn node_at(node: &Node) -> Range<usize> {
    if let Origin::File(at) = &node.origin { at.clone() } else { 0..0 }
}

/// A plain scalar by the core schema (<https://yaml.org/spec/1.2.2/#103-core-schema>); a quoted one is text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let digits = text.trim_start_matches(['-', '+']);
    // Whoever writes a number with zeros before it means its digits: a postal code, a file's mode.
    if digits.len() > 1 && digits.starts_with('0') && digits.chars().all(|c| c.is_ascii_digit()) {
        return Value::Text(text.to_owned());
    }
    if !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') || !digits.ends_with(|c: char| c.is_ascii_digit())
    {
        return Value::Text(text.to_owned());
    }
    let whole = text.parse::<i64>().ok().map(Number::from);
    let number = whole.or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64));
    number.map_or_else(|| Value::Text(text.to_owned()), Value::Number)
}
