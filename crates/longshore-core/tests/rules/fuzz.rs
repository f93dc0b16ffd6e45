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
    if let Ok(condition) = Condition::parse(text, &hosts()) {
        let _ = holds(&condition, &job(), Ok(1.0));
    }
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
    for part in
        ["!", "-", "(", "[", "{", "a.", "a?", "a?b:", "1+", "true&&", "'", "\\", "in ", "a(", "a[", "\u{0}", "//", "\n"]
    {
        for count in [1, 40, 400, 2000] {
            survives(&part.repeat(count));
            survives(&format!("{}true", part.repeat(count)));
        }
    }
}
