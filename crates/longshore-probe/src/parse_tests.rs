use super::*;

/// An instruction for each verb, and forms that mean the same.
const FORMS: [(&str, &[&str]); 26] = [
    ("print hello there", &["print hello there"]),
    ("eprint ", &["eprint"]),
    ("put  two  spaces ", &["put  two  spaces "]),
    ("eput é\n", &["eput é\n"]),
    ("lines 10 9", &["lines 10"]),
    ("elines 10 20000", &["elines 10 20000"]),
    ("bytes 5 x", &["bytes 5"]),
    ("random 5 18446744073709551615", &["random 5 18446744073709551615"]),
    ("tick 3 1s", &["tick 3 1000ms"]),
    ("sleep 1m", &["sleep 60s"]),
    ("forever", &["forever"]),
    ("exit 255", &["exit 255"]),
    ("raise KILL", &["raise SIGKILL", "raise 9"]),
    ("allocate 64m", &["allocate 67108864", "allocate 64M"]),
    ("spin 250ms", &["spin 250ms"]),
    ("ignore TERM", &["ignore sigterm", "ignore 15"]),
    ("catch USR1 9 0ms", &["catch USR1 9", "catch 10 9 0h"]),
    ("env PATH", &["env PATH"]),
    ("envs", &["envs"]),
    ("read /etc/passwd", &["read /etc/passwd"]),
    ("write /tmp/a one line", &["write /tmp/a one line"]),
    ("append b ", &["append b"]),
    ("pwd", &["pwd"]),
    ("id", &["id"]),
    ("hostname", &["hostname"]),
    ("children 4 2s", &["children 4 2s"]),
];

#[test]
fn every_instruction_is_read_back_from_its_text() {
    for (written, forms) in FORMS {
        let instruction = super::instruction(written).unwrap();
        assert_eq!(instruction.to_string(), written);
        for form in forms {
            assert_eq!(super::instruction(form), Ok(instruction.clone()), "{form}");
        }
    }
}

#[test]
fn every_verb_is_tried_and_in_the_table() {
    let table = include_str!("language.md");
    for (verb, (form, _)) in VERBS.iter().zip(FORMS) {
        assert_eq!(form.split(' ').next(), Some(verb.name));
        assert!(table.contains(&format!("\n| `{}` | ", verb.usage)), "{}", verb.usage);
    }
}

#[test]
fn what_breaks_a_rule_is_refused() {
    for (text, rule) in [
        ("", "there is no verb \"\""),
        ("Print x", "there is no verb \"Print\""),
        (" print x", "there is no verb \"\""),
        ("print\tx", "there is no verb"),
        ("lines", "N must be a whole number"),
        ("lines ten", "N must be a whole number from 0 to 18446744073709551615, found \"ten\""),
        ("lines 10  9", "it takes one argument or two"),
        ("lines 5 1", "room for the last number and the newline, 2 bytes"),
        ("lines 100000000", "room for the last number and the newline, 10 bytes"),
        ("lines 10000000000 10000000000", "N times WIDTH"),
        ("bytes 5 xy", "CHAR must be one visible ASCII character"),
        ("bytes 5 é", "CHAR must be one visible ASCII character"),
        ("bytes -5", "N must be"),
        ("random 5", "it takes two arguments"),
        ("tick 3", "it takes two arguments"),
        ("sleep 5", "DURATION must be a number and its unit"),
        ("sleep 5 s", "the number of DURATION must be a whole number"),
        ("forever young", "it takes no argument"),
        ("exit", "CODE must be a whole number from 0 to 255, found \"\""),
        ("exit 256", "CODE must be"),
        ("raise 0", "SIGNAL must be a signal's name"),
        ("ignore KILL", "no process can ignore or catch KILL"),
        ("catch STOP 3", "no process can ignore or catch STOP"),
        ("catch TERM", "it takes two arguments or three"),
        ("allocate 1t", "SIZE must be a number of bytes"),
        ("env", "NAME must be given"),
        ("env A B", "NAME must be given and hold no space"),
        ("read a b", "PATH must be given and hold no space"),
        ("write", "PATH must be given"),
        ("children 4294967296 1s", "N must be a whole number from 0 to 4294967295"),
    ] {
        let refusal = super::instruction(text).expect_err(text);
        assert!(refusal.contains(rule), "{text}: {refusal}");
    }
}
