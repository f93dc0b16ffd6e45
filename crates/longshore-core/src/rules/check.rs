//! From the text of a condition to a checked tree: parsed by the `cel` crate, without its macros, then walked branch by
//! branch against the declared names and types.

use cel::{
    Env,
    common::ast::{Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo},
    parser::ParseErrors,
};
use std::{io, panic::resume_unwind, thread};

use super::{
    bulk::{DEEPEST, bulk, too_deep, whole},
    fault::{Fault, Faults},
    names::{self, HOST_FIELDS, HostField, Slot},
    tree::{Bool, Double, Int, Text, Texts, Typed},
};
use crate::{HostName, nearest};

/// The stack of whoever parses and checks, in bytes; three times what the worst condition takes.
const STACK: usize = 16 << 20;
/// How many faults are told at one time.
const MOST_FAULTS: usize = 20;

/// A condition that is as it should be.
pub(super) struct Checked {
    pub(super) tree: Bool,
    pub(super) costs: bool,
    /// The hosts that it names, each once.
    pub(super) named: Vec<HostName>,
}

pub(super) fn check(source: &str, hosts: &[HostName]) -> Result<Checked, Faults> {
    if bulk(source)?.is_small() {
        return checked(source, hosts);
    }
    with_room(|| checked(source, hosts)).unwrap_or_else(|error| {
        let message = format!("this can't be read now: no thread could be started for it: {error}");
        Err(whole(source, message, "try again when the system has room").into())
    })
}

/// Does it on a thread with a large stack of its own: the parser takes 150 KiB of stack for each level of nesting in a debug
/// build, which is more than the threads of a runtime have. The parser's caches are a thread's own, so that this is slow.
fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    thread::scope(|scope| {
        let thread = thread::Builder::new().name("condition".to_owned()).stack_size(STACK);
        Ok(thread.spawn_scoped(scope, work)?.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

fn checked(source: &str, hosts: &[HostName]) -> Result<Checked, Faults> {
    let (expression, info) = parsed(source).map_err(|errors| unread(source, &errors))?;
    let mut checker =
        Checker { hosts, info: &info, variable: None, faults: Vec::new(), costs: false, named: Vec::new() };
    let typed = checker.typed(&expression);
    let tree = match typed {
        Some(Typed::Bool(tree)) => Some(tree),
        Some(other) => {
            let message = format!("a condition is true or false, and this is {}", article(other.kind()));
            checker.fault(&expression, message, None);
            None
        }
        None => None,
    };
    let Checker { mut faults, costs, named, .. } = checker;
    if tree.is_none() && faults.is_empty() {
        // Whoever is refused is told something, whatever was overlooked above.
        faults.push(whole(source, "this can't be used as a condition".to_owned(), "rewrite it"));
    }
    faults.sort_by_key(|fault| fault.at);
    faults.truncate(MOST_FAULTS);
    match tree {
        Some(tree) if faults.is_empty() => Ok(Checked { tree, costs, named }),
        _ => Err(Faults(faults)),
    }
}

fn parsed(source: &str) -> Result<(IdedExpr, SourceInfo), ParseErrors> {
    // There are no optional values here, so their syntax (`a.?b`, `[?a]`) is an error at once.
    Env::default().with_optional_support(false).parser().max_recursion_depth(DEEPEST).parse_with_source_info(source)
}

/// What the parser says first: one mistake makes it stumble several times, and the first is the one to mend.
fn unread(source: &str, errors: &ParseErrors) -> Faults {
    // Its columns go astray after characters that are not ASCII, so those are looked at as others.
    let plain: String = source.chars().map(|c| if c.is_ascii() { c } else { 'x' }).collect();
    let again = if source.is_ascii() { None } else { parsed(&plain).err() };
    let places = again.as_ref().unwrap_or(errors);
    let (line, column) = places.errors.first().map_or((1, 1), |error| error.pos);
    let message = errors.errors.first().map_or("", |error| error.msg.lines().next().unwrap_or_default());
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let before = usize::try_from(line - 1).unwrap_or(0);
    let start: usize = source.split_inclusive('\n').take(before).map(|line| line.chars().count()).sum();
    let at = (start + usize::try_from(column - 1).unwrap_or(0)).min(source.chars().count());
    // Such as one `? :` in the other's last part, which the parser alone can tell.
    if message.contains("Recursion limit") {
        return too_deep(at).into();
    }
    Fault { message: format!("this can't be read: {message}"), help: None, at, length: 1 }.into()
}

pub(super) fn article(kind: &str) -> String {
    let article = if kind.starts_with('i') { "an" } else { "a" };
    format!("{article} {kind}")
}

/// Walks a condition and gathers what is wrong.
pub(super) struct Checker<'a> {
    hosts: &'a [HostName],
    info: &'a SourceInfo,
    /// The variable of the comprehension that is being walked.
    pub(super) variable: Option<String>,
    faults: Vec<Fault>,
    costs: bool,
    named: Vec<HostName>,
}

impl Checker<'_> {
    /// The expression with its type; none when something in it is wrong, which has then been noted.
    pub(super) fn typed(&mut self, expression: &IdedExpr) -> Option<Typed> {
        match &expression.expr {
            Expr::Literal(literal) => self.literal(expression, literal),
            Expr::Ident(name) => self.name(expression, name),
            Expr::Select(select) => self.field(expression, select),
            Expr::Call(call) => self.call(expression, call),
            Expr::List(list) => self.list(expression, &list.elements),
            Expr::Map(_) => self.refuse(expression, "maps are not made in conditions", "compare the parts one by one"),
            Expr::Struct(_) => self.refuse(expression, "there are no messages to be made here", "compare values"),
            Expr::Comprehension(_) | Expr::Unspecified => self.refuse(expression, "this can't be read", "rewrite it"),
        }
    }

    /// Notes what is wrong with an expression.
    pub(super) fn fault(&mut self, expression: &IdedExpr, message: impl Into<String>, help: Option<String>) {
        let (start, end) = self.extent(expression);
        self.faults.push(Fault {
            message: message.into(),
            help,
            at: start,
            length: (end + 1).saturating_sub(start).max(1),
        });
    }

    pub(super) fn refuse(&mut self, expression: &IdedExpr, message: impl Into<String>, help: &str) -> Option<Typed> {
        self.fault(expression, message, Some(help.to_owned()));
        None
    }

    /// The first and the last character of an expression.
    fn extent(&self, expression: &IdedExpr) -> (usize, usize) {
        let own = self.info.offset_for(expression.id).unwrap_or_default();
        let own = (self.character(own.0), self.character(own.1));
        let join = |a: (usize, usize), b: (usize, usize)| (a.0.min(b.0), a.1.max(b.1));
        match &expression.expr {
            Expr::Select(select) => {
                let operand = self.extent(&select.operand);
                join(operand, (own.0, own.1.max(operand.1 + 1 + select.field.chars().count())))
            }
            Expr::Call(call) => {
                let parts = call.target.iter().map(AsRef::as_ref).chain(&call.args);
                parts.map(|part| self.extent(part)).fold(own, join)
            }
            Expr::List(list) if !list.elements.is_empty() => {
                let elements = list.elements.iter().map(|element| self.extent(element));
                let (start, end) = elements.fold(own, join);
                (start, end + 1)
            }
            _ => own,
        }
    }

    /// The parser counts in bytes, people in characters.
    fn character(&self, byte: u32) -> usize {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX);
        self.info.source.char_indices().take_while(|(at, _)| *at < byte).count()
    }

    fn literal(&mut self, expression: &IdedExpr, literal: &LiteralValue) -> Option<Typed> {
        match literal {
            LiteralValue::Boolean(value) => Some(Typed::Bool(Bool::Is(*value.inner()))),
            LiteralValue::Int(value) => Some(Typed::Int(Int::Is(*value.inner()))),
            LiteralValue::Double(value) => Some(Typed::Double(Double::Is(*value.inner()))),
            LiteralValue::String(value) => Some(Typed::Text(Text::Is(value.inner().to_owned()))),
            LiteralValue::UInt(_) => self.refuse(expression, "unsigned numbers are not used here", "leave out the `u`"),
            LiteralValue::Bytes(_) => self.refuse(expression, "there are no bytes here", "write a string"),
            LiteralValue::Null => self.refuse(expression, "nothing is null here", "ask with has()"),
        }
    }

    fn name(&mut self, expression: &IdedExpr, name: &str) -> Option<Typed> {
        if self.variable.as_deref() == Some(name) {
            return Some(Typed::Text(Text::Element));
        }
        if let Some(variable) = names::find(name) {
            return Some(self.slot(variable.slot));
        }
        let members: Vec<&str> = names::members(name).collect();
        if members.is_empty() {
            let mut known: Vec<&str> = names::roots().collect();
            known.dedup();
            self.unknown(expression, name, name, "", &known);
        } else {
            self.fault(
                expression,
                format!("`{name}` is no value by itself"),
                Some(format!("it has {}", members.join(", "))),
            );
        }
        None
    }

    /// Notes a name that there is not, and what was most likely meant.
    pub(super) fn unknown(&mut self, expression: &IdedExpr, shown: &str, word: &str, prefix: &str, known: &[&str]) {
        let help = match nearest(word, known.iter().copied()) {
            Some(near) => format!("did you mean `{prefix}{near}`?"),
            None => format!("available: {}", known.join(", ")),
        };
        self.fault(expression, format!("there is no `{shown}`"), Some(help));
    }

    fn slot(&mut self, slot: Slot) -> Typed {
        match slot {
            Slot::Int(slot) => Typed::Int(Int::Of(slot)),
            Slot::Double(slot) => Typed::Double(Double::Of(slot)),
            Slot::Text(slot) => Typed::Text(Text::Of(slot)),
            Slot::Texts(slot) => Typed::Texts(Texts::Of(slot)),
            Slot::Labels => Typed::Labels,
            Slot::Hosts => Typed::Hosts,
            Slot::Cost => {
                self.costs = true;
                Typed::Double(Double::Cost)
            }
        }
    }

    fn field(&mut self, expression: &IdedExpr, select: &SelectExpr) -> Option<Typed> {
        if let Some(root) = self.record(&select.operand) {
            let name = format!("{root}.{}", select.field);
            if let Some(variable) = names::find(&name) {
                return Some(self.slot(variable.slot));
            }
            let members: Vec<&str> = names::members(root).collect();
            self.unknown(expression, &name, &select.field, &format!("{root}."), &members);
            return None;
        }
        match self.typed(&select.operand)? {
            Typed::Labels => Some(Typed::Text(Text::Label(Box::new(Text::Is(select.field.clone()))))),
            Typed::Hosts => self.host(expression, &select.field),
            Typed::Host(name) => self.host_field(expression, name, &select.field),
            other => self.refuse(
                expression,
                format!("{} has no field `{}`", article(other.kind()), select.field),
                "leave it out",
            ),
        }
    }

    /// The record that a name is, such as `template`.
    pub(super) fn record<'e>(&self, expression: &'e IdedExpr) -> Option<&'e str> {
        let Expr::Ident(name) = &expression.expr else { return None };
        let is_record = self.variable.as_ref() != Some(name) && names::members(name).next().is_some();
        is_record.then_some(name)
    }

    /// A configured host.
    pub(super) fn host(&mut self, expression: &IdedExpr, name: &str) -> Option<Typed> {
        if let Some(host) = self.hosts.iter().find(|host| host.as_str() == name) {
            if !self.named.contains(host) {
                self.named.push(host.clone());
            }
            return Some(Typed::Host(host.clone()));
        }
        let known: Vec<String> = self.hosts.iter().map(ToString::to_string).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        self.unknown(expression, &format!("hosts[{name:?}]"), name, "", &known);
        None
    }

    fn host_field(&mut self, expression: &IdedExpr, host: HostName, field: &str) -> Option<Typed> {
        match HOST_FIELDS.iter().find(|(name, _)| *name == field) {
            Some((_, HostField::Load)) => Some(Typed::Double(Double::OfHost(host))),
            Some((_, field)) => Some(Typed::Int(Int::OfHost(host, *field))),
            None => {
                let known: Vec<&str> = HOST_FIELDS.iter().map(|(name, _)| *name).collect();
                self.unknown(expression, &format!("hosts[\"{host}\"].{field}"), field, "", &known);
                None
            }
        }
    }

    fn list(&mut self, expression: &IdedExpr, elements: &[IdedExpr]) -> Option<Typed> {
        // Every element is walked before the first complaint about their types.
        let typed: Vec<Option<Typed>> = elements.iter().map(|element| self.typed(element)).collect();
        let typed: Vec<Typed> = typed.into_iter().collect::<Option<_>>()?;
        let kinds = |wanted: &str| typed.iter().all(|typed| typed.kind() == wanted);
        if typed.is_empty() {
            return self.refuse(expression, "an empty list holds nothing", "leave the comparison out");
        }
        if kinds("string") {
            return Some(Typed::Texts(Texts::Are(typed.into_iter().filter_map(Typed::into_text).collect())));
        }
        if kinds("int") {
            return Some(Typed::Ints(typed.into_iter().filter_map(Typed::into_int).collect()));
        }
        if typed.iter().all(Typed::is_number) {
            return Some(Typed::Doubles(typed.into_iter().filter_map(Typed::into_double).collect()));
        }
        let mut found: Vec<&str> = typed.iter().map(Typed::kind).collect();
        found.dedup();
        let message = format!("a list holds strings or numbers, and this one {}", found.join(" and "));
        self.refuse(expression, message, "compare them apart")
    }
}
