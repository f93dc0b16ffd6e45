//! Whatever is written, reading ends without a panic, with a configuration or with problems that have places.

use longshore_config::Place;
use proptest::prelude::*;
use std::path::Path;

use crate::support::loader;

const NAMES: [&str; 3] = ["a.toml", "a.yaml", "a.json"];

/// A good beginning, from which mutations go wrong in more interesting ways than noise does.
const GOOD: [&str; 3] = [
    "[hosts.home]\nexecutor = \"docker\"\nmax_concurrent_jobs = 2\nallow = { volumes = [\"a\"] }\nprice = { currency = \"EUR\", cost_per_hour = 1 }\n\
     [hosts.home.executor_config]\nlog_cap = \"${X:-1m}\"\n[routing]\ndefault = \"home\"\nexchange_rates = { EUR = \"1 USD\" }\n\
     [[routing.rules]]\ncondition = \"template.memory_limit > 8192 && 'x' in user.groups\"\nhost = \"home\"\n\
     [[routing.tests]]\njob = { template = \"t\" }\nexpect = { host = \"home\" }\n[budgets.b]\nperiod = \"day\"\nhard = \"1 USD\"\n[templates.t]\nimage = \"i\"\n",
    "hosts:\n  home:\n    executor: docker\n    executor_config: {log_cap: 1m}\nrouting:\n  rules:\n    - condition: hour > 3\n      host: home\ntemplates: {t: {image: i, env: {A: 1}}}\n",
    "{\"hosts\": {\"home\": {\"executor\": \"docker\", \"weight\": 3}}, \"routing\": {\"rules\": [{\"condition\": \"day == 'monday'\", \"executor\": \"docker\"}]}}",
];

fn survives(name: &str, text: &str) {
    match loader(&[("X", "2m")]).parse(Path::new(name), text) {
        Ok(config) => {
            let _ = config.shown();
            let _ = config.warnings().render(true);
            if let Ok(table) = config.table(crate::support::make) {
                let _ = config.run_tests(&table.into());
            }
        }
        Err(problems) => {
            assert!(problems.has_errors(), "{text:?}");
            let _ = (problems.render(false), problems.to_string());
            for problem in problems.as_slice() {
                if let Place::File { line, column, bytes, .. } = &problem.place {
                    assert!(*line >= 1 && *column >= 1, "{problem:?}");
                    assert!(bytes.end <= text.len() && text.get(bytes.clone()).is_some(), "{problem:?} in {text:?}");
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn noise_is_survived(text in "\\PC{0,200}", which in 0_usize..3) {
        survives(NAMES[which], &text);
    }

    #[test]
    fn syntax_is_survived(
        words in proptest::collection::vec(
            prop_oneof![
                Just("[hosts.a]\n"), Just("[[routing.rules]]\n"), Just("hosts:\n"), Just("  "), Just("- "), Just("{"), Just("}"),
                Just("["), Just("]"), Just("\""), Just("'"), Just("\"\"\""), Just(": "), Just(" = "), Just("condition"), Just("executor"),
                Just("true"), Just("docker"), Just("&a "), Just("*a"), Just("|\n"), Just(">\n"), Just("\n"), Just("é"), Just("${"), Just("\\u{0}"), Just("#"),
                Just("1e999"), Just("-"), Just("0x"), Just("2026-01-01T00:00:00Z"), Just(","),
            ],
            0..40,
        ),
        which in 0_usize..3,
    ) {
        survives(NAMES[which], &words.concat());
    }

    #[test]
    fn mutations_are_survived(
        which in 0_usize..3,
        cuts in proptest::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "\\PC{0,6}"), 1..4),
    ) {
        let mut text: Vec<char> = GOOD[which].chars().collect();
        for (at, length, with) in cuts {
            let at = at.index(text.len() + 1);
            let length = length.index(text.len() - at + 1).min(12);
            text.splice(at..at + length, with.chars());
        }
        survives(NAMES[which], &text.into_iter().collect::<String>());
    }
}

#[test]
fn the_good_beginnings_are_good() {
    for (name, text) in NAMES.iter().zip(GOOD) {
        let problems =
            loader(&[]).parse(Path::new(name), text).map_or_else(|problems| problems.to_string(), |_| String::new());
        assert_eq!(problems, "");
    }
}
