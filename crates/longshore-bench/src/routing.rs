//! The router: how long a decision takes, what it costs in instructions, and how both grow with the rules.

use cel::{Context, Program};
use longshore::{
    Clock, ContainerJob, ExecutionHost, ExecutorContext, JobTemplate, SystemClock,
    config::Loader,
    route::{Condition, RouteRequest, RoutedHost, Router, RoutingTable, Rule, Target},
};
use serde_json::json;
use std::{
    fmt::Write,
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use crate::{
    cases::{Finding, Samples},
    raw::{Failure, Result},
};

const HOSTS: usize = 50;

/// The conditions of the rules, none of which holds for the job.
fn condition(nth: usize) -> String {
    match nth % 5 {
        0 => format!("template.memory_limit > {}", 8192 + nth),
        1 => format!("\"group-{nth}\" in user.groups && resources.cpu > 2.0"),
        2 => format!("template.name.startsWith(\"batch-{nth}\") || template.name.endsWith(\"-{nth}x\")"),
        3 => format!("\"team\" in labels && labels.team == \"team-{nth}\""),
        _ => format!("(hour >= 24 || user.name == \"nobody-{nth}\") && resources.gpus > {nth}"),
    }
}

/// A router over 50 hosts with as many rules, of which the last sends the job to any of the hosts.
pub(crate) async fn router(rules: usize) -> Result<Router> {
    let registry = longshore::registry();
    let context = ExecutorContext::new("/nonexistent");
    let mut hosts = Vec::new();
    for nth in 0..HOSTS {
        let host = ExecutionHost::builder()
            .name(format!("host-{nth}").parse()?)
            .executor_type("mock".parse()?)
            .weight(u32::try_from(nth % 7 + 1)?)
            .build();
        let executor = registry.build(&host, &context)?;
        executor.discover().await?;
        hosts.push(RoutedHost::new(host, executor));
    }
    let names: Vec<_> = hosts.iter().map(|host| host.host.name.clone()).collect();
    let rule = |nth: usize| -> Result<Rule> {
        let text = if nth + 1 == rules { "template.name == \"tool\"".to_owned() } else { condition(nth) };
        let condition = Condition::cel(&text, &names)?;
        Ok(Rule::new(format!("rule-{nth}").parse()?, condition, Target::Executor("mock".parse()?), text))
    };
    let rules = (0..rules).map(rule).collect::<Result<Vec<_>>>()?;
    Ok(Router::new(RoutingTable::builder().hosts(hosts).rules(rules).build()?))
}

/// A new job of always the same template, as jobs usually come.
fn job() -> Result<ContainerJob> {
    let template = JobTemplate::builder().name("tool".parse()?).image("tool:1".parse()?).build();
    let mut job = ContainerJob::new(template, SystemClock.now());
    job.template.labels.insert("team".parse()?, longshore::LabelValue::new("blue")?);
    Ok(job)
}

/// One decision, its explanation included.
#[inline(never)]
pub(crate) fn decide(router: &Router, job: &ContainerJob) -> usize {
    let route = router.route_job(&RouteRequest::new(job, job.created_at));
    black_box(&route.decision).stages.len()
}

/// Microseconds of each of so many decisions.
fn decisions(router: &Router, count: usize) -> Result<Vec<f64>> {
    let jobs = (0..count).map(|_| job()).collect::<Result<Vec<_>>>()?;
    let timed = jobs.iter().map(|job| {
        let began = Instant::now();
        black_box(decide(router, job));
        began.elapsed().as_secs_f64() * 1e6
    });
    Ok(timed.collect())
}

/// The value below which 99 of 100 lie.
fn p99(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() * 99 / 100).min(values.len() - 1)]
}

/// How long a decision takes at the 99th percentile, and its instructions.
pub(crate) async fn latencies(say: impl Fn(&str), out: impl Fn(&serde_json::Value) -> Result<()>) -> Result<()> {
    for (rules, target) in [(100, 150.0), (1000, 1000.0)] {
        let router = router(rules).await?;
        let cold = decisions(&router, 1)?[0];
        let mut values = decisions(&router, 20_000)?;
        let (p99, instructions) = (p99(&mut values), instructions(rules));
        let median = values[values.len() / 2];
        let counted =
            instructions.map_or_else(|| "not counted: no valgrind".to_owned(), |count| format!("{count} instructions"));
        say(&format!(
            "a decision, {rules} rules, {HOSTS} hosts: p99 {p99:.1} µs (at most {target}), median {median:.1} µs, first of a template {cold:.0} µs, {counted}"
        ));
        out(&json!({
            "case": "decision", "rules": rules, "hosts": HOSTS, "unit": "us", "p99": p99, "median": median,
            "cold": cold, "instructions": instructions, "target": target,
        }))?;
    }
    let text = configuration(1000);
    let mut times: Vec<f64> = (0..20).map(|_| load(&text)).collect::<Result<_>>()?;
    times.sort_by(f64::total_cmp);
    say(&format!("loading 1000 rules: median {:.1} ms, slowest {:.1} ms (at most 200)", times[10], times[19]));
    out(&json!({ "case": "load", "rules": 1000, "unit": "ms", "median": times[10], "slowest": times[19] }))
}

/// Reads, checks and builds a configuration; in milliseconds.
fn load(text: &str) -> Result<f64> {
    let began = Instant::now();
    let loader = Loader::new(longshore::registry());
    let config =
        loader.parse(Path::new("longshore.toml"), text).map_err(|problems| Failure::from(problems.to_string()))?;
    let context = ExecutorContext::new("/nonexistent");
    black_box(config.table(|host| loader.registry().build(host, &context)).map_err(|problems| problems.to_string())?);
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn configuration(rules: usize) -> String {
    let mut text = String::new();
    for nth in 0..HOSTS {
        let _ = writeln!(text, "[hosts.host-{nth}]\nexecutor = \"mock\"");
    }
    for nth in 0..rules {
        let _ = writeln!(text, "[[routing.rules]]\ncondition = '{}'\nexecutor = \"mock\"", condition(nth));
    }
    text
}

/// Ten times as many rules, in turn: the cost is linear.
pub(crate) async fn growth(pairs: usize) -> Result<Finding> {
    let (many, few) = (router(1000).await?, router(100).await?);
    let mut samples = Samples::default();
    for pair in 0..pairs {
        let one = |many_rules: bool| sum(decisions(if many_rules { &many } else { &few }, 200));
        let (first, second) = (one(pair % 2 == 0)?, one(pair % 2 == 1)?);
        samples.add(pair, first, second);
    }
    Ok(samples.finding("200 decisions", ("1000 rules", "100 rules"), "µs", "at most 10"))
}

/// The decision against a bare loop of the `cel` crate's own interpreter over the same conditions, without hosts.
pub(crate) async fn interpreter(pairs: usize) -> Result<Finding> {
    let router = router(100).await?;
    let programs = (0..99).map(|nth| Program::compile(&condition(nth))).collect::<std::result::Result<Vec<_>, _>>()?;
    let mut samples = Samples::default();
    for pair in 0..pairs {
        let one = |ours: bool| if ours { sum(decisions(&router, 200)) } else { bare(&programs, 200) };
        let (first, second) = (one(pair % 2 == 0)?, one(pair % 2 == 1)?);
        samples.add(pair, first, second);
    }
    Ok(samples.finding("200 decisions", ("longshore", "conditions alone, by the cel interpreter"), "µs", "at most 1"))
}

fn bare(programs: &[Program], count: usize) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..count {
        let mut context = Context::default();
        context.add_variable("template", json!({ "memory_limit": 0, "name": "tool" }))?;
        context.add_variable("resources", json!({ "cpu": 0.0, "gpus": 0 }))?;
        context.add_variable("user", json!({ "name": "", "groups": [] }))?;
        context.add_variable("labels", json!({ "team": "blue" }))?;
        context.add_variable("hour", 12_i64)?;
        for program in programs {
            black_box(program.execute(&context)?);
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1e6)
}

/// Decisions while somebody publishes new snapshots all the time, against decisions alone.
pub(crate) async fn contention(pairs: usize) -> Result<Finding> {
    let router = Arc::new(router(100).await?);
    let mut samples = Samples::default();
    for pair in 0..pairs {
        let one = |disturbed: bool| {
            let stop = Arc::new(AtomicBool::new(!disturbed));
            let writer = std::thread::spawn({
                let (router, stop) = (Arc::clone(&router), Arc::clone(&stop));
                move || {
                    let Ok(host) = "host-1".parse() else { return };
                    while !stop.load(Ordering::Relaxed) {
                        router.update_host(&host, |state| state.running ^= 1);
                    }
                }
            });
            let took = sum(decisions(&router, 1000));
            stop.store(true, Ordering::Relaxed);
            writer.join().map_err(|_| Failure::from("the writer has failed"))?;
            took
        };
        let (first, second) = (one(pair % 2 == 0)?, one(pair % 2 == 1)?);
        samples.add(pair, first, second);
    }
    Ok(samples.finding("1000 decisions", ("beside a busy writer", "alone"), "µs", "at most 2"))
}

fn sum(values: Result<Vec<f64>>) -> Result<f64> {
    values.map(|values| values.iter().sum())
}

/// How many instructions a decision takes, counted by Callgrind (<https://valgrind.org/docs/manual/cl-manual.html>), where
/// there is `valgrind`.
fn instructions(rules: usize) -> Option<u64> {
    let counted = |decisions: usize| -> Option<u64> {
        let folder = tempfile::tempdir().ok()?;
        let counted = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
            .arg(format!("--toggle-collect={TOGGLE}"))
            .arg(std::env::current_exe().ok()?)
            .args(["--count", &decisions.to_string(), "--rules", &rules.to_string()])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let told = String::from_utf8_lossy(&counted.stderr).into_owned();
        told.lines().find_map(|line| line.split("Collected :").nth(1)?.trim().parse().ok())
    };
    // The first decisions make the plans; the difference is that of the later ones.
    Some(counted(101)?.checked_sub(counted(1)?)? / 100)
}

/// The function whose instructions are counted, as Callgrind matches names.
const TOGGLE: &str = "*routing::decide*";

/// What is run under Callgrind.
pub(crate) async fn count(rules: usize, decisions: usize) -> Result<()> {
    let router = router(rules).await?;
    for _ in 0..decisions {
        black_box(decide(&router, &job()?));
    }
    Ok(())
}
