//! The operators and functions of conditions, and the types that they take.

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, operators};
use regex::RegexBuilder;

use super::{
    check::{Checker, article},
    names::{self, Slot},
    tree::{Arithmetic, Bool, Double, Given, Int, Order, Pattern, Quantifier, Search, Text, Texts, Typed},
};

/// How large a compiled pattern may be, in bytes.
const PATTERN_LIMIT: usize = 1 << 20;

const FUNCTIONS: [&str; 4] = ["has", "size", "int", "double"];
const METHODS: [&str; 10] =
    ["startsWith", "endsWith", "contains", "matches", "size", "exists", "all", "exists_one", "filter", "map"];

fn order(function: &str) -> Option<Order> {
    Some(match function {
        operators::EQUALS => Order::Equal,
        operators::NOT_EQUALS => Order::NotEqual,
        operators::LESS => Order::Less,
        operators::LESS_EQUALS => Order::AtMost,
        operators::GREATER => Order::Greater,
        operators::GREATER_EQUALS => Order::AtLeast,
        _ => return None,
    })
}

fn arithmetic(function: &str) -> Option<Arithmetic> {
    Some(match function {
        operators::ADD => Arithmetic::Add,
        operators::SUBSTRACT => Arithmetic::Subtract,
        operators::MULTIPLY => Arithmetic::Multiply,
        operators::DIVIDE => Arithmetic::Divide,
        operators::MODULO => Arithmetic::Modulo,
        _ => return None,
    })
}

/// The operator as it is written.
fn written(function: &str) -> String {
    match function {
        operators::IN => "in".to_owned(),
        operators::CONDITIONAL => "? :".to_owned(),
        operators::INDEX => "[]".to_owned(),
        other => other.trim_matches('_').to_owned(),
    }
}

impl Checker<'_> {
    pub(super) fn call(&mut self, expression: &IdedExpr, call: &CallExpr) -> Option<Typed> {
        if let Some(target) = &call.target {
            return self.method(expression, call, target);
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            ("has", [argument]) => self.has(expression, argument),
            ("has", _) => self.refuse(expression, "has() takes one field", "write has(labels.team)"),
            (function, arguments) => {
                let typed: Vec<Option<Typed>> = arguments.iter().map(|argument| self.typed(argument)).collect();
                let typed = typed.into_iter().collect::<Option<Vec<Typed>>>()?;
                self.operator(expression, function, arguments, typed)
            }
        }
    }

    fn operator(
        &mut self,
        expression: &IdedExpr,
        function: &str,
        arguments: &[IdedExpr],
        typed: Vec<Typed>,
    ) -> Option<Typed> {
        let kinds: Vec<&str> = typed.iter().map(Typed::kind).collect();
        let kinds = kinds.join(" and ");
        let mut parts = typed.into_iter();
        let built = match (function, parts.next(), parts.next(), parts.next()) {
            (operators::LOGICAL_NOT, Some(Typed::Bool(inner)), None, _) => {
                Some(Typed::Bool(Bool::Not(Box::new(inner))))
            }
            (operators::NEGATE, Some(inner), None, _) => negated(inner),
            (operators::LOGICAL_AND, Some(Typed::Bool(a)), Some(Typed::Bool(b)), None) => {
                Some(Typed::Bool(Bool::And(Box::new([a, b]))))
            }
            (operators::LOGICAL_OR, Some(Typed::Bool(a)), Some(Typed::Bool(b)), None) => {
                Some(Typed::Bool(Bool::Or(Box::new([a, b]))))
            }
            (operators::CONDITIONAL, Some(Typed::Bool(question)), Some(yes), Some(no)) => chosen(question, yes, no),
            (operators::IN, Some(item), Some(list), None) => {
                self.refuse_outside(arguments, &item, &list);
                within(item, list)
            }
            (operators::INDEX, Some(container), Some(key), None) => return self.indexed(expression, container, key),
            ("size", Some(inner), None, _) => sized(inner),
            ("int", Some(Typed::Double(inner)), None, _) => Some(Typed::Int(Int::Truncated(Box::new(inner)))),
            ("double", Some(Typed::Int(inner)), None, _) => Some(Typed::Double(Double::OfInt(Box::new(inner)))),
            (function, Some(a), Some(b), None) => {
                if order(function).is_some() {
                    self.refuse_outside(arguments, &a, &b);
                    self.refuse_outside(arguments, &b, &a);
                }
                compared(function, a, b)
            }
            _ => None,
        };
        if built.is_none() {
            self.misfit(expression, function, &kinds);
        }
        built
    }

    /// Notes that an operator does not go with its types, or that there is no such function.
    fn misfit(&mut self, expression: &IdedExpr, function: &str, kinds: &str) {
        let is_word = function.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !function.starts_with('_');
        if is_word && !FUNCTIONS.contains(&function) {
            return self.unknown(expression, &format!("{function}()"), function, "", &FUNCTIONS);
        }
        let help = match function {
            _ if kinds.contains("int") && kinds.contains("double") => "make both the same: double(x) or int(x)",
            operators::IN => "the right side is a list, such as user.groups, or labels",
            _ => "both sides need the same type",
        };
        let message = format!("`{}` does not go with {kinds}", written(function));
        self.fault(expression, message, Some(help.to_owned()));
    }

    /// A value compared with a word that it can never be.
    fn refuse_outside(&mut self, arguments: &[IdedExpr], value: &Typed, other: &Typed) {
        let Typed::Text(Text::Of(slot)) = value else { return };
        let Some(values) = slot.values() else { return };
        let words: Vec<&str> = match other {
            Typed::Text(Text::Is(word)) => vec![word],
            Typed::Texts(Texts::Are(texts)) => texts.iter().filter_map(Text::literal).collect(),
            _ => return,
        };
        for word in words.into_iter().filter(|word| !values.contains(word)) {
            if let Some(place) = arguments.iter().find_map(|argument| written_as(argument, word)) {
                let help = format!("it is one of {}", values.join(", "));
                self.fault(place, format!("this is never {word:?}"), Some(help));
            }
        }
    }

    fn indexed(&mut self, expression: &IdedExpr, container: Typed, key: Typed) -> Option<Typed> {
        match (container, key) {
            (Typed::Labels, Typed::Text(key)) => Some(Typed::Text(Text::Label(Box::new(key)))),
            (Typed::Hosts, Typed::Text(Text::Is(name))) => self.host(expression, &name),
            (Typed::Hosts, _) => self.refuse(expression, "a host is named by a literal", "write hosts[\"name\"]"),
            (Typed::Texts(_) | Typed::Ints(_) | Typed::Doubles(_), _) => {
                self.refuse(expression, "lists are not asked by place", "use `in` or exists()")
            }
            (container, key) => {
                let message = format!("{} can't be asked for {}", article(container.kind()), article(key.kind()));
                self.refuse(expression, message, "only labels and hosts are asked so")
            }
        }
    }

    /// `has(labels.team)`, `has(template.run_timeout)`.
    fn has(&mut self, expression: &IdedExpr, argument: &IdedExpr) -> Option<Typed> {
        let Expr::Select(select) = &argument.expr else {
            return self.refuse(expression, "has() takes a field", "write has(labels.team)");
        };
        let given = match (self.record(&select.operand), self.typed(argument)?) {
            (Some(root), _) => {
                let slot = names::find(&format!("{root}.{}", select.field)).map(|variable| variable.slot);
                match slot {
                    Some(Slot::Int(slot)) => Given::Int(slot),
                    Some(Slot::Double(slot)) => Given::Double(slot),
                    Some(Slot::Text(slot)) => Given::Text(slot),
                    _ => Given::Always,
                }
            }
            (None, Typed::Text(Text::Label(_))) => Given::Label(select.field.clone()),
            _ => Given::Always,
        };
        Some(Typed::Bool(Bool::IsGiven(given)))
    }

    /// A chain of methods is walked from here, so this has little of its own on the stack.
    fn method(&mut self, expression: &IdedExpr, call: &CallExpr, target: &IdedExpr) -> Option<Typed> {
        let typed = self.typed(target);
        if matches!(call.func_name.as_str(), "exists" | "all" | "exists_one" | "existsOne" | "filter" | "map") {
            self.comprehension(expression, call, target, typed)
        } else {
            self.text_method(expression, call, typed)
        }
    }

    fn comprehension(
        &mut self,
        expression: &IdedExpr,
        call: &CallExpr,
        target: &IdedExpr,
        list: Option<Typed>,
    ) -> Option<Typed> {
        let quantifier = match call.func_name.as_str() {
            "exists" => Some(Quantifier::Exists),
            "all" => Some(Quantifier::All),
            "exists_one" | "existsOne" => Some(Quantifier::ExistsOne),
            _ => None,
        };
        let [IdedExpr { expr: Expr::Ident(variable), .. }, body] = call.args.as_slice() else {
            let message = format!("{}() takes a name and an expression", call.func_name);
            return self.refuse(expression, message, "write user.groups.exists(g, g == \"a\")");
        };
        // Nested, or one upon the result of another, they could make more than a job has.
        if self.variable.is_some() || matches!(list, Some(Typed::Texts(Texts::Filtered(_) | Texts::Mapped(_)))) {
            return self.refuse(expression, "one level of comprehension is the most", "split it into rules");
        }
        self.variable = Some(variable.clone());
        let body = self.typed(body);
        self.variable = None;
        let list = match list? {
            Typed::Texts(texts) => texts,
            Typed::Labels => Texts::LabelKeys,
            other => {
                let message =
                    format!("{}() goes through strings, and this is {}", call.func_name, article(other.kind()));
                return self.refuse(target, message, "it goes with user.groups, env and labels");
            }
        };
        match (quantifier, call.func_name.as_str(), body?) {
            (Some(quantifier), _, Typed::Bool(body)) => {
                Some(Typed::Bool(Bool::Quantified(quantifier, Box::new((list, body)))))
            }
            (None, "filter", Typed::Bool(body)) => Some(Typed::Texts(Texts::Filtered(Box::new((list, body))))),
            (None, "map", Typed::Text(body)) => Some(Typed::Texts(Texts::Mapped(Box::new((list, body))))),
            (_, function, body) => {
                let wanted = if function == "map" { "string" } else { "bool" };
                let message = format!("{function}() wants {}, and this is {}", article(wanted), article(body.kind()));
                self.refuse(expression, message, "rewrite what stands after the comma")
            }
        }
    }

    fn text_method(&mut self, expression: &IdedExpr, call: &CallExpr, text: Option<Typed>) -> Option<Typed> {
        let arguments: Vec<Option<Typed>> = call.args.iter().map(|argument| self.typed(argument)).collect();
        let (text, arguments) = (text?, arguments.into_iter().collect::<Option<Vec<Typed>>>()?);
        let search = match call.func_name.as_str() {
            "startsWith" => Some(Search::StartsWith),
            "endsWith" => Some(Search::EndsWith),
            "contains" => Some(Search::Contains),
            _ => None,
        };
        let kind = text.kind();
        let mut arguments = arguments.into_iter();
        match (call.func_name.as_str(), text, arguments.next(), arguments.next()) {
            (_, Typed::Text(text), Some(Typed::Text(part)), None) if search.is_some() => {
                search.map(|search| Typed::Bool(Bool::Search(search, Box::new([text, part]))))
            }
            ("matches", Typed::Text(text), Some(Typed::Text(pattern)), None) => {
                self.matched(expression, text, &pattern)
            }
            ("size", target, None, None) if sized(target.clone()).is_some() => sized(target),
            (function, ..) if !METHODS.contains(&function) => {
                self.unknown(expression, &format!("{function}()"), function, "", &METHODS);
                None
            }
            (function, ..) => self.refuse(
                expression,
                format!("{function}() does not go with {} and these arguments", article(kind)),
                "it takes a string and a string",
            ),
        }
    }

    fn matched(&mut self, expression: &IdedExpr, text: Text, pattern: &Text) -> Option<Typed> {
        let Some(literal) = pattern.literal() else {
            return self.refuse(expression, "matches() takes a literal pattern", "write it out, or use startsWith()");
        };
        match RegexBuilder::new(literal).size_limit(PATTERN_LIMIT).dfa_size_limit(PATTERN_LIMIT).build() {
            Ok(regex) => Some(Typed::Bool(Bool::Matches(Box::new((text, Pattern(regex)))))),
            Err(error) => {
                let error = error.to_string();
                let reason = error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                self.refuse(expression, format!("the pattern {literal:?} can't be used: {reason}"), "mend the pattern")
            }
        }
    }
}

/// Where the word is written: in this expression, or in the list that it is.
fn written_as<'e>(expression: &'e IdedExpr, word: &str) -> Option<&'e IdedExpr> {
    match &expression.expr {
        Expr::Literal(LiteralValue::String(text)) => (text.inner() == word).then_some(expression),
        Expr::List(list) => list.elements.iter().find_map(|element| written_as(element, word)),
        _ => None,
    }
}

impl Text {
    pub(super) fn literal(&self) -> Option<&str> {
        match self {
            Self::Is(text) => Some(text),
            _ => None,
        }
    }
}

impl Typed {
    pub(super) fn into_text(self) -> Option<Text> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn into_int(self) -> Option<Int> {
        if let Self::Int(int) = self { Some(int) } else { None }
    }

    pub(super) const fn is_number(&self) -> bool {
        matches!(self, Self::Int(_) | Self::Double(_))
    }

    /// A number as a double.
    pub(super) fn into_double(self) -> Option<Double> {
        match self {
            Self::Int(Int::Is(value)) => i32::try_from(value)
                .ok()
                .map(|value| Double::Is(value.into()))
                .or(Some(Double::OfInt(Box::new(Int::Is(value))))),
            Self::Int(int) => Some(Double::OfInt(Box::new(int))),
            Self::Double(double) => Some(double),
            _ => None,
        }
    }
}

fn negated(inner: Typed) -> Option<Typed> {
    match inner {
        Typed::Int(inner) => Some(Typed::Int(Int::Negated(Box::new(inner)))),
        Typed::Double(inner) => Some(Typed::Double(Double::Negated(Box::new(inner)))),
        _ => None,
    }
}

fn chosen(question: Bool, yes: Typed, no: Typed) -> Option<Typed> {
    match (yes, no) {
        (Typed::Bool(yes), Typed::Bool(no)) => Some(Typed::Bool(Bool::If(Box::new([question, yes, no])))),
        (Typed::Int(yes), Typed::Int(no)) => Some(Typed::Int(Int::If(Box::new((question, yes, no))))),
        (Typed::Text(yes), Typed::Text(no)) => Some(Typed::Text(Text::If(Box::new((question, yes, no))))),
        (Typed::Double(yes), Typed::Double(no)) => Some(Typed::Double(Double::If(Box::new((question, yes, no))))),
        _ => None,
    }
}

fn within(item: Typed, list: Typed) -> Option<Typed> {
    Some(Typed::Bool(match (item, list) {
        (Typed::Text(key), Typed::Labels) => Bool::InLabels(Box::new(key)),
        (Typed::Text(item), Typed::Texts(list)) => Bool::InTexts(Box::new((item, list))),
        (Typed::Int(item), Typed::Ints(list)) => Bool::InInts(Box::new((item, list))),
        (item, Typed::Ints(list)) if item.is_number() => {
            let list = list.into_iter().map(|int| Double::OfInt(Box::new(int))).collect();
            Bool::InDoubles(Box::new((item.into_double()?, list)))
        }
        (item, Typed::Doubles(list)) if item.is_number() => Bool::InDoubles(Box::new((item.into_double()?, list))),
        _ => return None,
    }))
}

fn sized(inner: Typed) -> Option<Typed> {
    Some(Typed::Int(match inner {
        Typed::Text(text) => Int::LengthOfText(Box::new(text)),
        Typed::Texts(texts) => Int::LengthOfTexts(Box::new(texts)),
        Typed::Labels => Int::LengthOfLabels,
        _ => return None,
    }))
}

fn compared(function: &str, a: Typed, b: Typed) -> Option<Typed> {
    if let Some(operation) = arithmetic(function) {
        return calculated(operation, a, b);
    }
    let order = order(function)?;
    Some(Typed::Bool(match (a, b) {
        (Typed::Int(a), Typed::Int(b)) => Bool::Ints(order, Box::new([a, b])),
        (Typed::Text(a), Typed::Text(b)) => Bool::Texts(order, Box::new([a, b])),
        (Typed::Bool(a), Typed::Bool(b)) if order == Order::Equal => Bool::AreEqual(Box::new([a, b])),
        (Typed::Bool(a), Typed::Bool(b)) if order == Order::NotEqual => {
            Bool::Not(Box::new(Bool::AreEqual(Box::new([a, b]))))
        }
        // CEL compares numbers of different types by their value.
        (a, b) if a.is_number() && b.is_number() => {
            Bool::Doubles(order, Box::new([a.into_double()?, b.into_double()?]))
        }
        _ => return None,
    }))
}

fn calculated(operation: Arithmetic, a: Typed, b: Typed) -> Option<Typed> {
    match (a, b) {
        (Typed::Int(a), Typed::Int(b)) => Some(Typed::Int(Int::Arithmetic(operation, Box::new([a, b])))),
        (Typed::Double(a), Typed::Double(b)) if operation != Arithmetic::Modulo => {
            Some(Typed::Double(Double::Arithmetic(operation, Box::new([a, b]))))
        }
        (Typed::Text(a), Typed::Text(b)) if operation == Arithmetic::Add => {
            Some(Typed::Text(Text::Joined(Box::new([a, b]))))
        }
        _ => None,
    }
}
