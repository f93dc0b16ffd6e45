//! What is wrong is told all at once, each with its place, its rule and the way out.

use crate::support::{loader, make, parse, told};

/// A host to point at, on three lines.
const HOST: &str = "[hosts.home]\nexecutor = \"docker\"\nmax_concurrent_jobs = 2\n";

/// What follows the host from line 4 on, and what is told of it.
const CASES: &[(&str, &[&str])] = &[
    ("", &[]),
    // Keys and types.
    ("[hots.a]", &["4:2 unknown-key there is no key `hots`; did you mean `hosts`?"]),
    (
        "[hosts.b]\nexecutor = \"docker\"\nwieght = 2",
        &["6:1 unknown-key there is no key `hosts.b.wieght`; did you mean `weight`?"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\ncolour = 2",
        &[
            "6:1 unknown-key there is no key `hosts.b.colour`; available: allow, default, enabled, executor, executor_config, labels, max_concurrent_jobs, price, region, residency, weight",
        ],
    ),
    ("[hosts.b]\nweight = 1", &["4:1 missing-key `hosts.b` has no `executor`; set `executor`"]),
    ("[hosts.b]\nexecutor = 1", &["5:12 wrong-type `hosts.b.executor` takes text, and this is a number"]),
    ("[hosts.b]\nexecutor = \"docker\"\nweight = -1", &["6:10 invalid-value `hosts.b.weight` must be at least 0"]),
    (
        "[hosts.b]\nexecutor = \"docker\"\nmax_concurrent_jobs = 0",
        &["6:23 invalid-value `hosts.b.max_concurrent_jobs` must be at least 1"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\nweight = 5000000000",
        &["6:10 invalid-value invalid value: integer `5000000000`, expected u32"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\nenabled = \"no\"",
        &["6:11 wrong-type `hosts.b.enabled` takes true or false, and this is text"],
    ),
    ("hosts = 3", &["4:1 unknown-key there is no key `hosts.home.hosts`"]),
    (
        "[hosts.B]\nexecutor = \"docker\"",
        &["4:8 invalid-value host name \"B\" is not valid: use 1 to 63 lower-case letters"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\nregion = \"a b\"\nresidency = \"\"",
        &["6:10 invalid-value region \"a b\"", "7:13 invalid-value residency \"\""],
    ),
    ("[hosts.b]\nexecutor = \"docker\"\nlabels = { \"a b\" = \"c\" }", &["6:20 invalid-value label key \"a b\""]),
    (
        "[hosts.b]\nexecutor = \"docker\"\nallow = { host_netwrok = true }",
        &["6:11 unknown-key there is no key `hosts.b.allow.host_netwrok`; did you mean `host_network`?"],
    ),
    // Executors, and their own settings.
    (
        "[hosts.b]\nexecutor = \"dokcer\"",
        &[
            "5:12 unknown-executor there is no executor `dokcer` in this program; did you mean `docker`? available: cloudrun, docker, fargate",
        ],
    ),
    (
        "[hosts.b]\nexecutor = \"scaleway\"",
        &[
            "5:12 unknown-executor there is no executor `scaleway` in this program; the feature `scaleway` of longshore adds it; available: cloudrun, docker, fargate",
        ],
    ),
    ("[hosts.b]\nexecutor = \"Docker\"", &["5:12 invalid-value executor"]),
    (
        "[hosts.b]\nexecutor = \"docker\"\nexecutor_config = { log_cpa = 1 }",
        &["6:21 unknown-key there is no key `executor_config.log_cpa`; did you mean `log_cap`?"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\n[hosts.b.executor_config]\nmemory = true",
        &["7:10 wrong-type `executor_config.memory` takes a whole number or text, and this is true or false"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\n[hosts.b.executor_config]\nmemory = \"12 MB\"",
        &["7:10 unusable-host the host `b` can't be used: executor_config.memory: size \"12 MB\""],
    ),
    // Prices.
    (
        "[hosts.b]\nexecutor = \"docker\"\nprice = { cost_per_hour = 1 }",
        &["6:9 missing-key `hosts.b.price` has no `currency`"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\nprice = { currency = \"usd\", cost_per_hour = -1 }",
        &["6:22 invalid-value currency \"usd\"", "6:45 invalid-value"],
    ),
    (
        "[routing.exchange_rates]\nEUR = \"1.1 USD\"\nGBP = \"0 USD\"\neur = \"1 USD\"\nCHF = \"1\"",
        &[
            "6:7 invalid-value one GBP can't be worth nothing",
            "7:1 invalid-value currency \"eur\"",
            "8:7 invalid-value amount \"1\"",
        ],
    ),
    // Defaults and fallbacks.
    ("[routing]\ndefault = \"hmoe\"", &["5:11 unknown-host no host answers to `hmoe`; did you mean `home`?"]),
    ("[routing]\ndefault = \"nowhere\"", &["5:11 unknown-host no host answers to `nowhere`; available: home, docker"]),
    (
        "[routing]\nfallback = [\"docker\", \"x\", \"docker\"]",
        &["5:23 unknown-host no host answers to `x`", "5:28 twin `docker` stands in `fallback` twice"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\ndefault = true\n[hosts.c]\nexecutor = \"docker\"\ndefault = true",
        &["9:11 twin there is one default, and it is already b"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\ndefault = true\n[routing]\ndefault = \"home\"",
        &["6:11 twin there is one default, and it is already routing.default"],
    ),
    (
        "[routing]\npolicy = \"cheapst\"",
        &[
            "5:10 unknown-word `routing.policy` can't be `cheapst`; it takes weighted, cheapest, least-loaded; did you mean `cheapest`?",
        ],
    ),
    // Rules.
    ("[[routing.rules]]\ncondition = \"true\"", &["4:1 missing-key the rule has no target; set `host` or `executor`"]),
    ("[[routing.rules]]\nhost = \"home\"", &["4:1 missing-key `routing.rules[0]` has no `condition`"]),
    (
        "[[routing.rules]]\ncondition = \"true\"\nhost = \"home\"\nexecutor = \"docker\"",
        &["7:12 two-targets a rule has one target"],
    ),
    (
        "[[routing.rules]]\ncondition = \"true\"\nhost = \"hom\"",
        &["6:8 unknown-host there is no host `hom`; did you mean `home`?"],
    ),
    (
        "[[routing.rules]]\ncondition = \"true\"\nexecutor = \"fargate\"",
        &["6:12 unknown-host no host has the executor `fargate`; available: docker"],
    ),
    (
        "[[routing.rules]]\ncondition = \"true\"\nexecutor = \"scaleway\"",
        &[
            "6:12 unknown-executor there is no executor `scaleway` in this program; the feature `scaleway` of longshore adds it",
        ],
    ),
    (
        "[[routing.rules]]\ncondition = \"true\"\nhost = \"home\"\nname = \"a b\"",
        &["7:8 invalid-value rule name \"a b\""],
    ),
    (
        "[[routing.rules]]\nname = \"a\"\ncondition = \"hour > 1\"\nhost = \"home\"\n[[routing.rules]]\nname = \"a\"\ncondition = \"hour > 2\"\nhost = \"home\"",
        &["9:8 twin two rules have the name `a`; rename one"],
    ),
    // Conditions, at their place in the file.
    (
        "[[routing.rules]]\ncondition = \"true || template.memroy_limit > 8192\"\nhost = \"home\"",
        &["5:22 bad-condition there is no `template.memroy_limit`; did you mean `template.memory_limit`?"],
    ),
    (
        "[[routing.rules]]\ncondition = 'usr.name == \"é\" && labels.x > 1'\nhost = \"home\"",
        &["5:14 bad-condition there is no `usr`", "5:33 bad-condition"],
    ),
    (
        "[[routing.rules]]\ncondition = '''\nhour > 1\n  && dya == \"monday\"'''\nhost = \"home\"",
        &["7:6 bad-condition there is no `dya`; did you mean `day`?"],
    ),
    (
        "[[routing.rules]]\ncondition = \"user.name == \\\"a\\\" && hour > 'x'\"\nhost = \"home\"",
        &["5:13 bad-condition `>` does not go with int and string"],
    ),
    (
        "[[routing.rules]]\ncondition = \"hosts.hmoe.running > 1\"\nhost = \"home\"",
        &["5:14 bad-condition there is no `hosts[\"hmoe\"]`; did you mean `home`?"],
    ),
    ("[[routing.rules]]\ncondition = \"hour >\"\nhost = \"home\"", &["5:20 bad-condition this can't be read"]),
    ("[[routing.rules]]\ncondition = \"\"\nhost = \"home\"", &["5:13 bad-condition the condition is empty"]),
    // Rules out of reach.
    (
        "[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"\n[[routing.rules]]\ncondition = \"( hour>1 )\"\nhost = \"home\"",
        &["7:1 shadowed-rule the rule `rule-2` is out of reach: `rule-1` is asked before it and takes the same jobs"],
    ),
    (
        "[[routing.rules]]\ncondition = \"true\"\nhost = \"home\"\n[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"",
        &["7:1 shadowed-rule the rule `rule-2`"],
    ),
    (
        "[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"\n[[routing.rules]]\ncondition = \"true\"\nhost = \"home\"\npriority = 1",
        &["4:1 shadowed-rule the rule `rule-1` is out of reach: `rule-2`"],
    ),
    (
        "[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"\nspill = true\n[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"",
        &[],
    ),
    (
        "[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"\nenabled = false\n[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"",
        &[],
    ),
    (
        "[[routing.rules]]\ncondition = \"labels.a == 'x y'\"\nhost = \"home\"\n[[routing.rules]]\ncondition = \"labels.a == 'xy'\"\nhost = \"home\"",
        &[],
    ),
    // Budgets.
    ("[budgets.a]\nperiod = \"day\"", &["4:1 missing-key the budget `a` has no level"]),
    ("[budgets.a]\nhard = \"1 USD\"", &["4:1 missing-key `budgets.a` has no `period`"]),
    ("[budgets.A]\nperiod = \"day\"\nhard = \"1 USD\"", &["4:10 invalid-value budget name \"A\""]),
    (
        "[budgets.a]\nperiod = \"dya\"\nhard = \"1 USD\"",
        &[
            "5:10 unknown-word `budgets.a.period` can't be `dya`; it takes day, week, month, year, total; did you mean `day`?",
        ],
    ),
    ("[budgets.a]\nperiod = \"day\"\nhard = \"-1 USD\"", &["6:8 invalid-value amount \"-1 USD\""]),
    (
        "[budgets.a]\nperiod = \"day\"\nhard = \"1 USD\"\nwarning = \"2 USD\"",
        &["7:11 level the warning level of 2 USD is above the hard one of 1 USD, and is never told"],
    ),
    (
        "[budgets.a]\nperiod = \"day\"\nhard = \"1 USD\"\ntargets = [\"x\"]",
        &["7:12 unknown-host no host answers to `x`"],
    ),
    (
        "[budgets.a]\nperiod = \"day\"\nhard = \"1 USD\"\ncondition = \"estimated_cost > 1.0\"",
        &["7:13 bad-condition a budget can't depend on `estimated_cost`"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\nprice = { currency = \"EUR\", cost_per_hour = 1 }\n[budgets.a]\nperiod = \"day\"\nhard = \"1 USD\"",
        &["7:1 no-rate there is no rate from EUR to USD; set routing.exchange_rates.EUR"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\nprice = { currency = \"EUR\", cost_per_hour = 1 }\n[budgets.a]\nperiod = \"day\"\nhard = \"1 USD\"\ntargets = [\"home\"]",
        &[],
    ),
    // Templates and tests.
    ("[templates.a]\ncommand = [\"x\"]", &["4:1 missing-key `templates.a` has no `image`"]),
    ("[templates.a]\nimage = \"Bad Image\"", &["5:9 invalid-job image \"Bad Image\""]),
    ("[templates.a]\nimage = \"i\"\nresources = { memory = \"1 lot\" }", &["6:24 invalid-job size \"1 lot\""]),
    (
        "[templates.a]\nimage = \"i\"\nresources = { memroy = 1 }",
        &["6:15 unknown-key there is no key `templates.a.resources.memroy`; did you mean `memory`?"],
    ),
    ("[templates.a]\nimage = \"i\"\nworking_directory = \"b\"", &["6:21 invalid-job working_directory \"b\""]),
    ("[templates.\"a b\"]\nimage = \"i\"", &["4:1 invalid-job job name \"a b\""]),
    (
        "[templates.a]\nimage = \"i\"\n[[routing.tests]]\njob = { template = \"b\" }\nexpect = { host = \"home\" }",
        &["7:20 invalid-job there is no template `b`; available: a"],
    ),
    (
        "[[routing.tests]]\njob = { image = \"i\" }\nexpect = { host = \"home\", outcome = \"never\" }",
        &["6:10 two-targets a test expects one thing"],
    ),
    (
        "[[routing.tests]]\njob = { image = \"i\" }\nexpect = { outcome = \"later\" }",
        &["6:22 unknown-word `routing.tests[0].expect.outcome` can't be `later`; it takes not-now, never"],
    ),
    (
        "[[routing.tests]]\njob = { image = \"i\" }\nexpect = { host = \"x\" }\nfull = [\"y\"]\nspent = { b = \"1 USD\" }",
        &[
            "6:19 unknown-host there is no host `x`",
            "7:9 unknown-host there is no host `y`",
            "8:11 unknown-budget there is no budget `b`; no budget is configured",
        ],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\n[[routing.tests]]\njob = { image = \"i\" }\nexpect = { host = \"b\" }\nfull = [\"b\"]",
        &["9:8 never-full `b` has no max_concurrent_jobs, and so is never full"],
    ),
    ("[[routing.tests]]\njob = { image = \"i\" }\nat = \"soon\"\nexpect = { host = \"home\" }", &["6:6 invalid-value"]),
    (
        "[[routing.tests]]\nname = \"it\"\njob = { image = \"i\" }\nexpect = { outcome = \"never\" }",
        &["7:10 failed-test the routing test `it` failed: expected never, found home (the default)"],
    ),
    // Secrets.
    ("[hosts.b]\nexecutor = \"docker\"\nexecutor_config = { secrets = { password = \"env:X\" } }", &[]),
    (
        "[hosts.b]\nexecutor = \"docker\"\nlabels = { password = \"x\", password_file = \"x\", api-token = \"${NONE:-x}\" }",
        &["6:23 plain-secret `password` is a secret in plain text", "6:61 plain-secret `api-token` is"],
    ),
    // Sections and wishes of jobs.
    (
        "[templates.a]\nimage = \"i\"\nexecutor_options = { docker = { lanch = \"1s\" }, fargat = {}, scaleway = {} }",
        &[
            "6:33 unknown-key there is no key `executor_options.docker.lanch`; did you mean `launch`?",
            "6:49 unknown-executor there is no executor `fargat` in this program; did you mean `fargate`?",
            "6:62 unknown-executor there is no executor `scaleway` in this program; the feature",
        ],
    ),
    (
        "[[routing.tests]]\njob = { image = \"i\", preferred_executor = \"hmoe\" }\nexpect = { host = \"home\" }",
        &["5:43 unknown-host no host answers to `hmoe`; did you mean `home`?"],
    ),
    (
        "[templates.a]\nimage = \"i\"\nenv = { V = 1.10 }",
        &[
            "6:13 wrong-type `templates.a.env.V` takes true or false, a whole number or text, and this is a number; put it in quotes",
        ],
    ),
    (
        "[templates.a]\nimage = \"i\"\nsecrets = [{ name = \"a\" }]",
        &["6:12 missing-key `templates.a.secrets[0]` has no `reference`"],
    ),
    (
        "[hosts.b]\nexecutor = \"docker\"\nprice = { currency = \"USD\" }",
        &["6:9 missing-key the price charges nothing; set `cost_per_hour`"],
    ),
    // Numbers of rules are those of the file.
    (
        "[[routing.rules]]\ncondition = 1\nhost = \"home\"\n[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"\n[[routing.rules]]\ncondition = \"hour > 1\"\nhost = \"home\"",
        &["5:13 wrong-type", "10:1 shadowed-rule the rule `rule-3` is out of reach: `rule-2`"],
    ),
];

#[test]
fn each_problem_is_told_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    let mut wrong = String::new();
    for (text, expected) in CASES {
        std::fs::write(&path, format!("{HOST}{text}\n")).unwrap();
        let told = told(&loader(&[]).check(&path, make).problems);
        let alike = |(told, expected): (&String, &&str)| told.starts_with(expected);
        if told.len() != expected.len() || !told.iter().zip(*expected).all(alike) {
            wrong.push_str(&format!("{text}\n  expected {expected:#?}\n  told {told:#?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn all_problems_are_told_at_once_and_in_the_order_of_the_file() {
    let text = "
[hosts.a]
executor = \"nope\"
[routing]
default = \"b\"
[[routing.rules]]
condition = \"user.nam == 1\"
host = \"c\"
[budgets.x]
period = \"day\"
";
    let problems = parse(text).unwrap_err();
    let codes: Vec<&str> = problems.as_slice().iter().map(|problem| problem.code).collect();
    assert_eq!(codes, ["unknown-executor", "unknown-host", "bad-condition", "unknown-host", "missing-key"]);
}

#[test]
fn very_many_problems_are_cut_off_and_counted() {
    let text: String = (0..500).map(|nth| format!("unknown{nth} = 1\n")).collect();
    let problems = parse(&text).unwrap_err();
    assert_eq!(problems.as_slice().len(), 100);
    assert!(problems.has_errors());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    let hosts: String = (0..150).map(|nth| format!("[hosts.h{nth}]\nexecutor = \"nope\"\n")).collect();
    std::fs::write(&path, hosts).unwrap();
    assert_eq!(loader(&[]).check(&path, make).problems.count(), 150, "each is counted once");
}

#[test]
fn warnings_hide_no_error_and_make_none() {
    let rules = "[[routing.rules]]\ncondition = \"true\"\nhost = \"home\"\n".repeat(150);
    let config = parse(&format!("{HOST}{rules}")).unwrap();
    assert_eq!((config.warnings().as_slice().len(), config.warnings().count()), (100, 149));
    assert!(config.warnings().to_string().ends_with("\n… and 49 more"));
    let bad = "[[routing.rules]]\ncondition = \"hour >\"\nhost = \"nowhere\"\n";
    let problems = parse(&format!("{HOST}{rules}{bad}")).unwrap_err();
    assert_eq!(problems.as_slice().iter().filter(|problem| problem.code != "shadowed-rule").count(), 2);
    let secrets: String = (0..150).map(|nth| format!("T{nth}_TOKEN = \"x\"\n")).collect();
    let config = parse(&format!("{HOST}[templates.t]\nimage = \"i\"\n[templates.t.env]\n{secrets}")).unwrap();
    assert_eq!(config.templates()["t"].env.len(), 150);
}

#[test]
fn a_configuration_without_hosts_says_how_to_add_one() {
    for text in ["", "# nothing\n", "[routing]\n", "[hosts]\n"] {
        let problems = parse(text).unwrap_err();
        assert!(problems.to_string().contains("no host is configured; add one, such as [hosts.home]"), "{problems}");
    }
}

#[test]
fn what_is_shown_holds_no_secret() {
    let texts = [
        "[hosts.a]\nexecutor = \"docker\"\napi_token = \"hunter2\"\n",
        "[hosts.a]\nexecutor = \"docker\"\napi_token = \"hunter2\n",
        "[hosts.a]\nexecutor = \"docker\"\n  \"api-token\" = hunter2\n",
        "[hosts.a]\nexecutor = \"docker\"\nexecutor_config = { token = \"hunter2\", oops }\n",
        "[hosts.a]\ntoken = \"\"\"\nhunter2 \\q\n\"\"\"\n",
        "[[env]]\nname = \"DB_PASSWORD\"\nvalue = \"hunter2\n",
        "[templates.a.env]\nPRIVATE_KEY = \"\"\"\nhunter2=\nhunter2 \\q\n\"\"\"\n",
        "[templates.a.env]\nDATABASE_URL = \"postgres://u:hunter2@db\n",
        "[templates.a]\nimage = \"i\"\nenv = { DATABASE_URL = \"postgres://u:hunter2@db/x\", BAD = 1.5 }\n",
        "[templates.a]\nimage = \"i\"\nargs = [\"--password=hunter2\", 5]\n",
        "[templates.a]\nimage = \"i\"\nargs = [\"--password\", \"hunter2\", 5]\n",
        "[templates.a]\nimage = \"i\"\nenv = { DB_PASSWORD = [\"hunter2\"] }\n",
        "[templates.a]\nimage = 1\nenv = [{ name = \"TOKEN\", value = \"hunter2\", oops = 1 }]\n",
        "[templates.a]\nimage = \"i\"\nsecrets = [{ name = \"token\", reference = \"hunter2\" }]\n",
    ];
    for text in texts {
        let problems = parse(text).unwrap_err();
        let shown = format!("{}\n{problems}\n{problems:?}", problems.render(false));
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[test]
fn a_problem_in_a_very_long_line_is_told_without_the_line() {
    let keys: Vec<String> = (0..2000).map(|nth| format!("\"K{nth}\": 1.5")).collect();
    let text = format!("{{\"templates\": {{\"t\": {{\"image\": \"i\", \"env\": {{{}}}}}}}}}", keys.join(", "));
    let problems = loader(&[]).parse(std::path::Path::new("a.json"), &text).unwrap_err();
    let rendered = problems.render(false);
    assert!(rendered.len() < 40_000 && rendered.contains("a.json:1:"), "{rendered}");
}

#[test]
fn what_is_shown_is_no_command_for_a_terminal() {
    let text = r#"{"hosts": {"a": {"executor": "docker", "\u001b[31m\u202e": 1, "ESCAPE": "\u009b"}}}"#;
    let text = text.replace("ESCAPE", "\u{202e}\u{9b}x");
    let problems = loader(&[]).parse(std::path::Path::new("a.json"), &text).unwrap_err();
    assert_eq!(problems.as_slice().len(), 2, "{problems}");
    let shown = format!("{}\n{problems}\n{problems:?}", problems.render(false));
    assert!(!shown.contains(['\u{1b}', '\u{202e}', '\u{9b}']), "{shown:?}");
    assert!(problems.render(true).contains('\u{1b}'), "colours were asked for");
}

#[test]
fn a_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let read = |name: &str| loader(&[]).read(&folder.path().join(name)).unwrap_err().to_string();
    assert!(read("none.toml").contains("none.toml: the file can't be read: No such file"), "{}", read("none.toml"));
    std::fs::write(folder.path().join("latin.toml"), b"# one\n# \xe9\n").unwrap();
    assert!(read("latin.toml").contains("line 2 is not UTF-8"));
    let file = std::fs::File::create(folder.path().join("large.toml")).unwrap();
    file.set_len(9 << 20).unwrap();
    assert!(read("large.toml").contains("more than 8 MiB"));
    assert!(read("").contains("can't be read"), "a folder");
}
