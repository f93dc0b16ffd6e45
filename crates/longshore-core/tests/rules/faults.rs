//! What is wrong with conditions: each fault with its place.

use longshore_core::rules::Condition;

use crate::hosts;

/// The faults as `PLACE «TEXT» MESSAGE; HELP`.
fn faults(text: &str) -> Vec<String> {
    let Err(faults) = Condition::parse(text, &hosts()) else { panic!("{text} is fine") };
    let shown = faults.as_slice().iter().map(|fault| {
        let part: String = text.chars().skip(fault.at).take(fault.length).collect();
        let help = fault.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
        format!("{} «{part}» {}{help}", fault.at, fault.message)
    });
    shown.collect()
}

/// Conditions, and what is said of them.
const CASES: &[(&str, &str)] = &[
    (
        "template.memroy_limit > 1",
        "0 «template.memroy_limit» there is no `template.memroy_limit`; did you mean `template.memory_limit`?",
    ),
    ("true || template.memroy_limit > 1", "8 «template.memroy_limit» there is no `template.memroy_limit`"),
    ("false && usr.name == 'a'", "9 «usr» there is no `usr`; did you mean `user`?"),
    ("frobnicate", "0 «frobnicate» there is no `frobnicate`; available: job, template, resources"),
    ("'ä' in user.grops", "7 «user.grops» there is no `user.grops`; did you mean `user.groups`?"),
    ("template", "0 «template» `template` is no value by itself; it has name, image"),
    ("template.name", "0 «template.name» a condition is true or false, and this is a string"),
    ("1 + 2", "0 «1 + 2» a condition is true or false, and this is an int"),
    (
        "template.memory_limit > '8192'",
        "0 «template.memory_limit > '8192'» `>` does not go with int and string; both sides need the same type",
    ),
    ("hour + 1.5 > 2.0", "0 «hour + 1.5» `+` does not go with int and double; make both the same: double(x) or int(x)"),
    ("user.groups == 'a'", "0 «user.groups == 'a'» `==` does not go with list(string) and string"),
    ("user.name in 'ann'", "0 «user.name in 'ann'» `in` does not go with string and string; the right side is a list"),
    ("day == 'mon'", "7 «'mon'» this is never \"mon\"; it is one of monday, tuesday"),
    ("'mon' == day", "0 «'mon'» this is never \"mon\""),
    ("day in ['monday', 'sun']", "18 «'sun'» this is never \"sun\""),
    (
        "template.security == 'strict'",
        "21 «'strict'» this is never \"strict\"; it is one of default, hardened, platform",
    ),
    ("hosts.bog.load > 0.5", "0 «hosts.bog» there is no `hosts[\"bog\"]`; did you mean `big`?"),
    ("hosts['other'].load > 0.5", "there is no `hosts[\"other\"]`; available: big, my-host"),
    (
        "hosts.big.speed > 1",
        "0 «hosts.big.speed» there is no `hosts[\"big\"].speed`; available: running, max, free, load",
    ),
    ("hosts[user.name].load > 0.5", "a host is named by a literal"),
    ("user.groups[0] == 'a'", "lists are not asked by place; use `in` or exists()"),
    ("template.name.beginsWith('a')", "there is no `beginsWith()`; available: startsWith"),
    ("template.name.startswith('a')", "there is no `startswith()`; did you mean `startsWith`?"),
    ("len(env) > 1", "there is no `len()`; available: has, size, int, double"),
    ("template.name.startsWith(1)", "startsWith() does not go with a string and these arguments"),
    ("template.name.matches(user.name)", "matches() takes a literal pattern"),
    ("template.name.matches('(')", "the pattern \"(\" can't be used: unclosed group"),
    ("template.name.matches('(a{1000}){1000}')", "can't be used"),
    ("user.groups.exists(g, env.exists(e, e == g))", "one level of comprehension is the most"),
    ("env.map(g, g + g).map(g, g + g) == env", "one level of comprehension is the most"),
    ("env.map(g, g).filter(g, g == 'a').exists(g, g == 'a')", "one level of comprehension is the most"),
    ("'a' in env.filter(g, g != 'a').filter(g, g != 'b')", "one level of comprehension is the most"),
    ("user.groups.exists()", "exists() takes a name and an expression; write user.groups.exists(g, g == \"a\")"),
    ("true || env.map()", "8 «env.map(» map() takes a name and an expression"),
    ("env.filter(e, true, true) == env", "filter() takes a name and an expression"),
    ("env.map(e, true, e) == env", "map() takes a name and an expression"),
    ("user.groups.exists(g, g)", "exists() wants a bool, and this is a string"),
    ("user.groups.map(g, 1) == []", "map() wants a string, and this is an int"),
    ("[1, 2].exists(n, n == '1')", "0 «[1, 2]» exists() goes through strings, and this is a list(int)"),
    ("user.groups.exists('a', true)", "exists() takes a name and an expression"),
    ("user.groups.exists(g)", "exists() takes a name and an expression"),
    ("hour in []", "8 «[» an empty list holds nothing"),
    ("hour in [1, 'a']", "a list holds strings or numbers, and this one int and string"),
    ("hour > 1u", "unsigned numbers are not used here; leave out the `u`"),
    ("b'a' == b'a'", "there are no bytes here"),
    ("labels == null", "nothing is null here"),
    ("{'a': 1} == {'a': 1}", "maps are not made in conditions"),
    ("has(user)", "has() takes a field"),
    ("has(labels)", "has() takes a field"),
    ("has(template.memroy)", "there is no `template.memroy`"),
    ("template.name.first == 'a'", "a string has no field `first`"),
    ("estimated_costs > 1.0", "did you mean `estimated_cost`?"),
    ("", "0 «» the condition is empty; write `true` for every job"),
    ("   ", "the condition is empty"),
    ("hour >", "this can't be read: "),
    ("'ä' == 'ö' hour", "11 «h» this can't be read: "),
    ("\n'ä' ==\n 'ö' hour", "13 «h» this can't be read: "),
    ("hour > 1 hour", "9 «h» this can't be read: "),
    ("(hour > 1", "this can't be read: "),
    ("'open", "this can't be read: "),
    ("hour = 1", "this can't be read: "),
    ("a; b", "this can't be read: "),
    ("user.name in [?'ann']", "this can't be read: unsupported syntax '?'"),
    ("labels.?team == 'a'", "this can't be read: unsupported syntax '.?'"),
    ("labels[?'team'] == 'a'", "this can't be read: unsupported syntax '[?'"),
    ("labels.`team` == 'a'", "7 «`» this can't be read: names are not quoted"),
    ("user.name == 'a\\q'", "13 «'» this can't be read: this string does not end as it should"),
    ("user.name == 'a\n'", "13 «'» this can't be read: this string does not end as it should"),
    ("user.name == '''a'", "13 «'» this can't be read: this string does not end as it should"),
    ("user.name == x'a'", "14 «'» this can't be read: a string stands right behind a word"),
];

#[test]
fn each_fault_has_its_place_and_its_way_out() {
    for (text, expected) in CASES {
        let found = faults(text);
        assert!(found.iter().any(|fault| fault.contains(expected)), "{text}\n expected {expected}\n found {found:#?}");
    }
}

#[test]
fn all_faults_are_told_at_once_in_the_order_of_the_text() {
    let found = faults("template.nam == 'a' || (usr.name == 'b' && day == 'mon' && true) || hour > 'x'");
    let starts: Vec<&str> = found.iter().map(|fault| fault.split(' ').next().unwrap()).collect();
    assert_eq!(starts, ["0", "24", "50", "68"], "{found:#?}");
}

#[test]
fn what_is_too_large_is_refused_before_it_costs_anything() {
    let long = format!("hour > {}", "1".repeat(20_000));
    assert!(faults(&long)[0].contains("a condition has at most 16384 bytes, and this one has 20007"));
    for (open, close) in [("(", ")"), ("[", "]"), ("!(", ")"), ("hour > 1 ? true : (", ")")] {
        let deep = format!("{}true{}", open.repeat(100), close.repeat(100));
        assert!(faults(&deep)[0].contains("nested too deeply"), "{open}: {:?}", faults(&deep));
    }
    let chain = format!("{}true", "hour > 1 ? true : ".repeat(60));
    assert!(faults(&chain)[0].contains("nested too deeply"), "{:?}", faults(&chain));
    let strings = |between: &str| format!("{}''", format!("''{between}").repeat(600));
    for wide in
        [vec!["true"; 300].join("&&"), strings("in"), strings(" in "), format!("labels{} == ''", "[0]".repeat(600))]
    {
        assert!(faults(&wide)[0].contains("at most 400 characters of operators"), "{:?}", faults(&wide));
    }
}

#[test]
fn what_stands_in_strings_and_comments_is_no_operator() {
    let images: Vec<String> = (0..200).map(|n| format!("'registry.example.com/team/tool-{n}:1.2.3-rc.1'")).collect();
    let load = [
        format!("template.image in [{}]", images.join(", ")),
        format!("user.name != '{}'", "([{?".repeat(40)),
        format!("user.name != r'{}'", "\\d+".repeat(300)),
        format!("user.name != \"\"\"{}\"\"\"", "\n'+".repeat(300)),
        format!("user.name != '{}'", "\\'+\\x41\\u00e4\\U000000e4\\101\\n".repeat(200)),
        format!("user.name != '' // {}\n && hour > 1", "+(".repeat(600)),
        format!("{}true", "hour > 20 ? false : ".repeat(15)),
        format!("{}true", "(hour > 20 ? true : false) && ".repeat(60)),
    ];
    for text in load {
        let found = Condition::parse(&text, &hosts());
        assert!(found.is_ok(), "{text}: {}", found.unwrap_err());
    }
    let hidden = format!("'\\'{}'", "+1".repeat(600));
    assert!(Condition::parse(&hidden, &hosts()).is_err());
}

#[test]
fn patterns_of_ordinary_size_load() {
    for pattern in [r"^\w+-\w+-\w+-\w+$", r"\w{20}", "^(eu|us)-[a-z]{2,20}$"] {
        let text = format!("template.name.matches(r'{pattern}')");
        assert!(Condition::parse(&text, &[]).is_ok(), "{text}: {:?}", Condition::parse(&text, &[]));
    }
}

#[test]
fn a_condition_knows_the_hosts_that_it_names() {
    let text = "hosts.big.load > 0.5 || hosts['my-host'].free > 1 && hosts.big.running > 1";
    let condition = Condition::parse(text, &hosts()).unwrap();
    assert_eq!(condition.hosts(), hosts());
    assert_eq!(Condition::parse("hour > 1", &hosts()).unwrap().hosts(), []);
}
