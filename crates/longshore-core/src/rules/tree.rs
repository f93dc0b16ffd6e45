//! A checked condition: a tree in which every type fits and every name is a slot.

use regex::Regex;

use super::names::{DoubleSlot, HostField, IntSlot, TextSlot, TextsSlot};
use crate::HostName;

/// Any checked expression.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Typed {
    Bool(Bool),
    Int(Int),
    Double(Double),
    Text(Text),
    Texts(Texts),
    Ints(Vec<Int>),
    Doubles(Vec<Double>),
    Labels,
    Hosts,
    Host(HostName),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Bool {
    Is(bool),
    Not(Box<Bool>),
    And(Box<[Bool; 2]>),
    Or(Box<[Bool; 2]>),
    If(Box<[Bool; 3]>),
    AreEqual(Box<[Bool; 2]>),
    Ints(Order, Box<[Int; 2]>),
    Doubles(Order, Box<[Double; 2]>),
    Texts(Order, Box<[Text; 2]>),
    InTexts(Box<(Text, Texts)>),
    InInts(Box<(Int, Vec<Int>)>),
    InDoubles(Box<(Double, Vec<Double>)>),
    InLabels(Box<Text>),
    IsGiven(Given),
    Search(Search, Box<[Text; 2]>),
    Matches(Box<(Text, Pattern)>),
    Quantified(Quantifier, Box<(Texts, Bool)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Int {
    Is(i64),
    Of(IntSlot),
    OfHost(HostName, HostField),
    Negated(Box<Int>),
    Arithmetic(Arithmetic, Box<[Int; 2]>),
    If(Box<(Bool, Int, Int)>),
    LengthOfText(Box<Text>),
    LengthOfTexts(Box<Texts>),
    LengthOfLabels,
    Truncated(Box<Double>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Double {
    Is(f64),
    Of(DoubleSlot),
    OfHost(HostName),
    Cost,
    Negated(Box<Double>),
    Arithmetic(Arithmetic, Box<[Double; 2]>),
    If(Box<(Bool, Double, Double)>),
    OfInt(Box<Int>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Text {
    Is(String),
    Of(TextSlot),
    Label(Box<Text>),
    /// The variable of the comprehension around it: there is never more than one.
    Element,
    Joined(Box<[Text; 2]>),
    If(Box<(Bool, Text, Text)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Texts {
    Are(Vec<Text>),
    Of(TextsSlot),
    LabelKeys,
    Filtered(Box<(Texts, Bool)>),
    Mapped(Box<(Texts, Text)>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    NotEqual,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Search {
    StartsWith,
    EndsWith,
    Contains,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Exists,
    All,
    ExistsOne,
}

/// What `has()` asks for.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    Label(String),
    Int(IntSlot),
    Double(DoubleSlot),
    Text(TextSlot),
    /// It is always there.
    Always,
}

/// A regular expression that was compiled once, and is the same as another with the same text.
#[derive(Debug, Clone)]
pub(super) struct Pattern(pub(super) Regex);

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl Typed {
    /// The type, as CEL names it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Double(_) => "double",
            Self::Text(_) => "string",
            Self::Texts(_) => "list(string)",
            Self::Ints(_) => "list(int)",
            Self::Doubles(_) => "list(double)",
            Self::Labels => "map(string, string)",
            Self::Hosts => "map(string, host)",
            Self::Host(_) => "host",
        }
    }
}
