//! Nothing that can be typed makes a condition panic.

use longshore_core::rules::Condition;
use proptest::prelude::*;

use crate::{holds, hosts, job};

/// Words that conditions are made of.
const WORDS: [&str; 48] = [
    "template.memory_limit",
    "template.name",
    "user.groups",
    "user",
    "labels",
    "labels.team",
    "env",
    "hour",
    "day",
    "estimated_cost",
    "hosts.big.load",
    "hosts",
    "'a'",
    "\"b\"",
    "1",
    "2.5",
    "-1",
    "1u",
    "true",
    "false",
    "null",
    "b'x'",
    "&&",
    "||",
    "!",
    "==",
    "!=",
    "<",
    ">=",
    "+",
    "-",
    "*",
    "/",
    "%",
    "?",
    ":",
    "in",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ".",
    ",",
    ".exists(x, x == 'a')",
    ".matches('a+')",
    "has(labels.team)",
];

fn survives(text: &str) {
    match Condition::parse(text, &hosts()) {
        Ok(condition) => {
            let _ = holds(&condition, &job(), Ok(1.0));
            assert_eq!(condition.clone(), condition);
        }
        Err(faults) => assert!(!faults.as_slice().is_empty(), "{text:?} is refused without a word"),
    }
}

/// As [`survives`], on a stack half as large as any thread of tokio or Rust has by itself.
fn survives_on_a_small_stack(texts: Vec<String>) {
    let check = move || texts.iter().for_each(|text| survives(text));
    std::thread::Builder::new().stack_size(1 << 20).spawn(check).unwrap().join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_text(text in "\\PC{0,80}") {
        survives(&text);
    }

    #[test]
    fn any_words(words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..24)) {
        survives(&words.join(" "));
        survives(&words.concat());
    }

    #[test]
    fn a_condition_with_a_part_changed(at in 0_usize..60, take in 0_usize..4, put in "\\PC{0,3}") {
        let text = "user.groups.exists(g, g.matches('^a')) && (hour % 2 == 0 ? labels['x'] : 'y') in ['y', \"z\"]";
        let changed: String = text.chars().take(at).chain(put.chars()).chain(text.chars().skip(at + take)).collect();
        survives(&changed);
    }
}

#[test]
fn repeated_parts() {
    let mut texts = Vec::new();
    for part in
        ["!", "-", "(", "[", "{", "a.", "a?", "a?b:", "1+", "true&&", "'", "\\", "in ", "a(", "a[", "\u{0}", "//", "\n"]
    {
        for count in [1, 40, 400, 2000] {
            texts.push(part.repeat(count));
            texts.push(format!("{}true", part.repeat(count)));
        }
    }
    survives_on_a_small_stack(texts);
}

/// What is parsed on the caller's own stack, at the limits of that.
#[test]
fn small_conditions_at_their_limits() {
    let mut texts = Vec::new();
    for (part, end) in [("!", "true"), ("-", "1"), ("1+", "1"), ("true&&", "true"), ("a.", "a"), ("'' in ", "''")] {
        for count in [28, 29, 30, 58, 59, 60, 61] {
            let chain = format!("{}{end}", part.repeat(count));
            texts.push(format!("((({chain})))"));
            texts.push(format!("size([[{chain}]]) == 1"));
            texts.push(chain);
        }
    }
    survives_on_a_small_stack(texts);
}

/// Beginnings, parts that are repeated as often as a condition may have operators, and endings; the longest first.
const CHAINS: &[(&str, &str, &str)] = &[
    ("labels", "[0]", ""),
    ("labels", ".a", ""),
    ("labels", ".a()", ""),
    ("''", "in''", ""),
    ("hour", "+hour", " > 1"),
    ("user.name", "+user.name", " == ''"),
    ("true", "==true", ""),
    ("labels", "['a']", " == ''"),
    ("user.name", ".matches('a')", ""),
    ("env", ".filter(x, true)", ""),
    ("''", " in ''", ""),
    ("hour", "*1", " > 1"),
    ("hour", "-1", " > 1"),
    ("true", "<true", ""),
    ("true", "&&true", ""),
    ("true", "||true&&true", ""),
    ("", "!", "true"),
    ("", "! ", "true"),
    ("", "-", "hour > 1"),
    ("", "- ", "hour > 1"),
    ("", "-1-", "hour > 1"),
    ("", "true?true:", "true"),
    ("", "true?", "true"),
    ("", "hour>1?1:", "1 == 1"),
    ("", "false?'a':", "'b' == 'b'"),
    ("hour in [", "1,", "1]"),
    ("size(", "env,", "env)"),
];

/// What encloses something else, and how often it may.
const NESTS: &[(&str, &str, usize)] = &[
    ("(", ")", 31),
    ("!(", ")", 31),
    ("-(", ")", 31),
    ("[", "]", 31),
    ("size(", ")", 31),
    ("double(", ")", 31),
    ("labels[", "]", 31),
    ("'a'.contains(", ")", 31),
    ("env.filter(x, ", ")", 31),
    ("true ? (", ") : true", 15),
    ("true && (", ")", 31),
    ("1 + (", ")", 31),
    ("'a' + (", ")", 31),
];

#[test]
fn what_is_as_long_and_as_deep_as_it_may_be() {
    let mut texts = Vec::new();
    // Up to the most operators, whatever the part counts for; what is refused costs nothing.
    for (before, part, after) in CHAINS {
        let chain = |count| format!("{before}{}{after}", part.repeat(count));
        texts.extend([33, 133, 199, 390, 399, 400].map(chain));
    }
    for (before, part, after) in &CHAINS[..7] {
        for (open, close, deep) in NESTS {
            let around = |chain: &str| format!("{}{chain}{}", open.repeat(*deep), close.repeat(*deep));
            texts.extend([180, 330].map(|count| around(&format!("{before}{}{after}", part.repeat(count)))));
        }
    }
    survives_on_a_small_stack(texts);
}
