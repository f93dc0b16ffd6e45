//! The evaluation of a checked condition. What its types could not exclude is a [`Trouble`]: a label that is not there, a
//! division by zero, a cost that is not known. As in CEL, `false && trouble` is false and `true || trouble` is true.

use std::{borrow::Cow, cmp::Ordering, fmt};

use super::{
    context::Scope,
    names::HostField,
    tree::{Arithmetic, Bool, Double, Given, Int, Order, Quantifier, Search, Text, Texts},
};

/// What kept a condition from being evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    NoLabel(String),
    NoHost(String),
    DivisionByZero,
    Overflow,
    TooLong,
    CostUnknown(String),
}

/// How long a text may become that a condition joins, in bytes.
const LONGEST_TEXT: usize = 1 << 16;

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLabel(key) => write!(f, "the job has no label {key:?}; ask first with `{key:?} in labels && …`"),
            Self::NoHost(name) => write!(f, "there is no host {name}"),
            Self::DivisionByZero => f.write_str("a division by zero"),
            Self::Overflow => f.write_str("a number is too large"),
            Self::TooLong => write!(f, "a joined text is longer than {LONGEST_TEXT} bytes; compare its parts apart"),
            Self::CostUnknown(why) => write!(f, "estimated_cost is not known: {why}"),
        }
    }
}

type Answer<T> = Result<T, Trouble>;

/// Where an expression is evaluated: the scope, and the element of the comprehension around it.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) scope: &'a Scope<'a>,
    pub(super) element: &'a str,
}

impl Bool {
    pub(super) fn eval(&self, at: At<'_>) -> Answer<bool> {
        Ok(match self {
            Self::Is(value) => *value,
            Self::Not(inner) => !inner.eval(at)?,
            Self::And(sides) => return either(sides, at, false),
            Self::Or(sides) => return either(sides, at, true),
            Self::If(parts) => return if parts[0].eval(at)? { parts[1].eval(at) } else { parts[2].eval(at) },
            Self::AreEqual(sides) => sides[0].eval(at)? == sides[1].eval(at)?,
            Self::Ints(order, sides) => order.holds(Some(sides[0].eval(at)?.cmp(&sides[1].eval(at)?))),
            Self::Doubles(order, sides) => order.holds(sides[0].eval(at)?.partial_cmp(&sides[1].eval(at)?)),
            Self::Texts(order, sides) => order.holds(Some(sides[0].eval(at)?.cmp(&sides[1].eval(at)?))),
            Self::InTexts(parts) => parts.1.has(&parts.0.eval(at)?, at)?,
            Self::InInts(parts) => any(&parts.1, |item| Ok(item.eval(at)? == parts.0.eval(at)?))?,
            Self::InDoubles(parts) => {
                let same = |a: f64, b: f64| a.partial_cmp(&b) == Some(Ordering::Equal);
                any(&parts.1, |item| Ok(same(item.eval(at)?, parts.0.eval(at)?)))?
            }
            Self::InLabels(key) => at.scope.job.label(&key.eval(at)?).is_some(),
            Self::IsGiven(given) => given.eval(at),
            Self::Search(search, sides) => search.finds(&sides[0].eval(at)?, &sides[1].eval(at)?),
            Self::Matches(parts) => parts.1.0.is_match(&parts.0.eval(at)?),
            Self::Quantified(quantifier, parts) => quantifier.holds(&parts.0, &parts.1, at)?,
        })
    }
}

/// `&&` and `||`: the side that decides by itself wins over the trouble of the other.
fn either(sides: &[Bool; 2], at: At<'_>, decisive: bool) -> Answer<bool> {
    let first = sides[0].eval(at);
    if first == Ok(decisive) {
        return first;
    }
    match (first, sides[1].eval(at)) {
        (_, Ok(second)) if second == decisive => Ok(decisive),
        (Err(trouble), _) | (_, Err(trouble)) => Err(trouble),
        (Ok(_), Ok(second)) => Ok(second),
    }
}

/// Whether the question holds of any item. As in CEL a list is made whole before anything is asked of it, so trouble with
/// one item is trouble with all.
fn any<T>(items: &[T], question: impl Fn(&T) -> Answer<bool>) -> Answer<bool> {
    items.iter().try_fold(false, |found, item| Ok(question(item)? || found))
}

impl Given {
    fn eval(&self, at: At<'_>) -> bool {
        let job = at.scope.job;
        match self {
            Self::Label(key) => job.label(key).is_some(),
            Self::Int(slot) => job.int(*slot) != 0,
            Self::Double(slot) => job.double(*slot) > 0.0,
            Self::Text(slot) => !job.text(*slot).is_empty(),
            Self::Always => true,
        }
    }
}

impl Order {
    fn holds(self, ordering: Option<Ordering>) -> bool {
        match self {
            Self::Equal => ordering == Some(Ordering::Equal),
            Self::NotEqual => ordering != Some(Ordering::Equal),
            Self::Less => ordering == Some(Ordering::Less),
            Self::AtMost => ordering.is_some_and(Ordering::is_le),
            Self::Greater => ordering == Some(Ordering::Greater),
            Self::AtLeast => ordering.is_some_and(Ordering::is_ge),
        }
    }
}

impl Search {
    fn finds(self, text: &str, part: &str) -> bool {
        match self {
            Self::StartsWith => text.starts_with(part),
            Self::EndsWith => text.ends_with(part),
            Self::Contains => text.contains(part),
        }
    }
}

impl Quantifier {
    fn holds(self, list: &Texts, predicate: &Bool, at: At<'_>) -> Answer<bool> {
        let elements = list.eval(at)?;
        let mut answers = elements.iter().map(|element| predicate.eval(At { element, ..at }));
        match self {
            Self::Exists => decided(&mut answers, true),
            Self::All => decided(&mut answers, false),
            Self::ExistsOne => {
                let found: Answer<Vec<bool>> = answers.collect();
                Ok(found?.into_iter().filter(|holds| *holds).count() == 1)
            }
        }
    }
}

/// As `||` (or `&&`) over all answers.
fn decided(answers: &mut dyn Iterator<Item = Answer<bool>>, decisive: bool) -> Answer<bool> {
    let mut trouble = None;
    for answer in answers {
        match answer {
            Ok(answer) if answer == decisive => return Ok(decisive),
            Ok(_) => {}
            Err(found) => trouble = trouble.or(Some(found)),
        }
    }
    trouble.map_or(Ok(!decisive), Err)
}

impl Int {
    pub(super) fn eval(&self, at: At<'_>) -> Answer<i64> {
        Ok(match self {
            Self::Is(value) => *value,
            Self::Of(slot) => at.scope.job.int(*slot),
            Self::OfHost(name, field) => {
                let load = (at.scope.host)(name).ok_or_else(|| Trouble::NoHost(name.to_string()))?;
                let (running, max) = (i64::from(load.running), load.max.map_or(i64::MAX, i64::from));
                match field {
                    HostField::Max => max,
                    HostField::Free => max.saturating_sub(running).max(0),
                    _ => running,
                }
            }
            Self::Negated(inner) => inner.eval(at)?.checked_neg().ok_or(Trouble::Overflow)?,
            Self::Arithmetic(operation, sides) => operation.of_ints(sides[0].eval(at)?, sides[1].eval(at)?)?,
            Self::If(parts) => return if parts.0.eval(at)? { parts.1.eval(at) } else { parts.2.eval(at) },
            Self::LengthOfText(text) => length(text.eval(at)?.chars().count()),
            Self::LengthOfTexts(texts) => length(texts.count(at)?),
            Self::LengthOfLabels => length(at.scope.job.labels.len()),
            Self::Truncated(number) => truncated(number.eval(at)?)?,
        })
    }
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked before")]
fn truncated(number: f64) -> Answer<i64> {
    // The bounds are powers of two, which doubles hold exactly.
    let fits = number > -9_223_372_036_854_775_808.0 && number < 9_223_372_036_854_775_808.0;
    if fits { Ok(number as i64) } else { Err(Trouble::Overflow) }
}

impl Arithmetic {
    fn of_ints(self, a: i64, b: i64) -> Answer<i64> {
        if b == 0 && matches!(self, Self::Divide | Self::Modulo) {
            return Err(Trouble::DivisionByZero);
        }
        let result = match self {
            Self::Add => a.checked_add(b),
            Self::Subtract => a.checked_sub(b),
            Self::Multiply => a.checked_mul(b),
            Self::Divide => a.checked_div(b),
            Self::Modulo => a.checked_rem(b),
        };
        result.ok_or(Trouble::Overflow)
    }

    fn of_doubles(self, a: f64, b: f64) -> f64 {
        match self {
            Self::Add => a + b,
            Self::Subtract => a - b,
            Self::Multiply => a * b,
            Self::Divide => a / b,
            Self::Modulo => a % b,
        }
    }
}

impl Double {
    #[expect(clippy::cast_precision_loss, reason = "as CEL converts an int to a double")]
    pub(super) fn eval(&self, at: At<'_>) -> Answer<f64> {
        Ok(match self {
            Self::Is(value) => *value,
            Self::Of(slot) => at.scope.job.double(*slot),
            Self::OfHost(name) => {
                let load = (at.scope.host)(name).ok_or_else(|| Trouble::NoHost(name.to_string()))?;
                load.max.map_or(0.0, |max| f64::from(load.running) / f64::from(max.max(1)))
            }
            Self::Cost => (at.scope.cost)().map_err(Trouble::CostUnknown)?,
            Self::Negated(inner) => -inner.eval(at)?,
            Self::Arithmetic(operation, sides) => operation.of_doubles(sides[0].eval(at)?, sides[1].eval(at)?),
            Self::If(parts) => return if parts.0.eval(at)? { parts.1.eval(at) } else { parts.2.eval(at) },
            Self::OfInt(inner) => inner.eval(at)? as f64,
        })
    }
}

impl Text {
    pub(super) fn eval<'t>(&'t self, at: At<'t>) -> Answer<Cow<'t, str>> {
        Ok(match self {
            Self::Is(text) => Cow::Borrowed(text),
            Self::Of(slot) => Cow::Borrowed(at.scope.job.text(*slot)),
            Self::Label(key) => {
                let key = key.eval(at)?;
                Cow::Borrowed(at.scope.job.label(&key).ok_or_else(|| Trouble::NoLabel(key.into_owned()))?)
            }
            Self::Element => Cow::Borrowed(at.element),
            Self::Joined(sides) => joined(&sides[0].eval(at)?, &sides[1].eval(at)?)?,
            Self::If(parts) => return if parts.0.eval(at)? { parts.1.eval(at) } else { parts.2.eval(at) },
        })
    }
}

fn joined(a: &str, b: &str) -> Answer<Cow<'static, str>> {
    if a.len() + b.len() > LONGEST_TEXT {
        return Err(Trouble::TooLong);
    }
    Ok(Cow::Owned([a, b].concat()))
}

impl Texts {
    fn eval<'t>(&'t self, at: At<'t>) -> Answer<Vec<Cow<'t, str>>> {
        Ok(match self {
            Self::Are(texts) => texts.iter().map(|text| text.eval(at)).collect::<Answer<_>>()?,
            Self::Of(slot) => at.scope.job.texts(*slot),
            Self::LabelKeys => at.scope.job.labels.keys().map(|key| Cow::Borrowed(key.as_str())).collect(),
            Self::Filtered(parts) => {
                let mut kept = Vec::new();
                for element in parts.0.eval(at)? {
                    if parts.1.eval(At { element: &element, ..at })? {
                        kept.push(element);
                    }
                }
                kept
            }
            Self::Mapped(parts) => {
                let mapped = |element: Cow<'_, str>| {
                    let text = parts.1.eval(At { element: &element, ..at })?;
                    Ok(Cow::Owned(text.into_owned()))
                };
                parts.0.eval(at)?.into_iter().map(mapped).collect::<Answer<_>>()?
            }
        })
    }

    fn has(&self, wanted: &str, at: At<'_>) -> Answer<bool> {
        match self {
            Self::Of(slot) => Ok(at.scope.job.has_text(*slot, wanted)),
            Self::Are(texts) => any(texts, |text| Ok(text.eval(at)? == wanted)),
            _ => Ok(self.eval(at)?.iter().any(|text| text == wanted)),
        }
    }

    fn count(&self, at: At<'_>) -> Answer<usize> {
        match self {
            Self::Of(slot) => Ok(at.scope.job.count(*slot)),
            _ => Ok(self.eval(at)?.len()),
        }
    }
}
