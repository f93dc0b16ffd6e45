//! The checked tree says what the interpreter of the `cel` crate says, which evaluates the same text by itself.

use cel::{Context, Program, Value};
use longshore_core::rules::Condition;
use proptest::prelude::*;
use std::collections::HashMap;

use crate::{holds, job};

/// Boolean expressions over names that both sides know, with numbers small enough to be exact as doubles.
fn booleans() -> BoxedStrategy<String> {
    let comparisons = prop_oneof![
        (ints(), order(), ints()).prop_map(|(a, order, b)| format!("({a} {order} {b})")),
        (doubles(), order(), doubles()).prop_map(|(a, order, b)| format!("({a} {order} {b})")),
        (texts(), order(), texts()).prop_map(|(a, order, b)| format!("({a} {order} {b})")),
        (texts(), search(), texts()).prop_map(|(a, search, b)| format!("{a}.{search}({b})")),
        (texts(), lists()).prop_map(|(item, list)| format!("({item} in {list})")),
        texts().prop_map(|key| format!("({key} in labels)")),
        (lists(), quantifier(), texts()).prop_map(|(list, quantifier, b)| format!("{list}.{quantifier}(x, x == {b})")),
        (lists(), texts()).prop_map(|(list, b)| format!("({b} in {list}.filter(x, x != {b}))")),
        (lists(), texts()).prop_map(|(list, b)| format!("({b} in {list}.map(x, x + 'a'))")),
        prop::sample::select(vec!["true", "false", "has(labels.team)", "has(labels.color)"]).prop_map(str::to_owned),
    ];
    comparisons
        .prop_recursive(3, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|a| format!("!{a}")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} && {b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} || {b})")),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} == {b})")),
                (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            ]
        })
        .boxed()
}

fn order() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="])
}

fn search() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["startsWith", "endsWith", "contains"])
}

fn quantifier() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["exists", "all", "exists_one"])
}

fn ints() -> BoxedStrategy<String> {
    let leaves = prop_oneof![
        (-20_i32..20).prop_map(|number| format!("({number})")),
        prop::sample::select(vec!["hour", "resources.gpus", "size(user.groups)", "size(labels)", "size(user.name)"])
            .prop_map(str::to_owned),
    ];
    leaves
        .prop_recursive(2, 8, 2, |inner| {
            let operation = prop::sample::select(vec!["+", "-", "*", "/", "%"]);
            (inner.clone(), operation, inner).prop_map(|(a, operation, b)| format!("({a} {operation} {b})"))
        })
        .boxed()
}

fn doubles() -> BoxedStrategy<String> {
    let leaves = prop_oneof![
        prop::sample::select(vec!["0.5", "2.0", "-1.25", "resources.cpu", "1.5"]).prop_map(str::to_owned),
        ints().prop_map(|int| format!("double({int})")),
    ];
    leaves
        .prop_recursive(2, 6, 2, |inner| {
            let operation = prop::sample::select(vec!["+", "-", "*"]);
            (inner.clone(), operation, inner).prop_map(|(a, operation, b)| format!("({a} {operation} {b})"))
        })
        .boxed()
}

fn texts() -> BoxedStrategy<String> {
    let leaves = prop::sample::select(vec![
        "''",
        "'a'",
        "'blue'",
        "'premium'",
        "user.name",
        "labels.team",
        "labels.color",
        "template.name",
    ]);
    let leaves = leaves.prop_map(str::to_owned);
    leaves.prop_recursive(1, 4, 2, |inner| (inner.clone(), inner).prop_map(|(a, b)| format!("({a} + {b})"))).boxed()
}

fn lists() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("user.groups".to_owned()),
        prop::collection::vec(texts(), 1..3).prop_map(|texts| format!("[{}]", texts.join(", "))),
    ]
}

/// What the interpreter says; none where it can't say anything.
fn interpreted(text: &str) -> Option<bool> {
    let job = job();
    let mut context = Context::default();
    let map = |pairs: Vec<(&str, Value)>| {
        let pairs: HashMap<String, Value> = pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        Value::from(pairs)
    };
    let groups: Vec<Value> =
        job.created_by.iter().flat_map(|user| &user.groups).map(|group| group.as_str().into()).collect();
    let labels = job.template.labels.iter().map(|(key, value)| (key.as_str(), Value::from(value.as_str()))).collect();
    context.add_variable_from_value("hour", 14_i64);
    context.add_variable_from_value("resources", map(vec![("gpus", 2_i64.into()), ("cpu", 1.5.into())]));
    context.add_variable_from_value("user", map(vec![("name", "ann".into()), ("groups", Value::from(groups))]));
    context.add_variable_from_value("labels", map(labels));
    context.add_variable_from_value("template", map(vec![("name", job.template.name.as_str().into())]));
    match Program::compile(text).unwrap().execute(&context) {
        Ok(Value::Bool(value)) => Some(value),
        Ok(other) => panic!("{text}: {other:?}"),
        Err(_) => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn it_says_the_same(text in booleans()) {
        let Ok(condition) = Condition::parse(&text, &[]) else { return Err(TestCaseError::reject("too deep")) };
        prop_assert_eq!(holds(&condition, &job(), Ok(0.0)).ok(), interpreted(&text), "{}", text);
    }
}
