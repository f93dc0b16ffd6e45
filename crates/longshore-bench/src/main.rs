//! Side-by-side measurements of the executors and the router, each printing the ratio of medians with its 95% interval,
//! as a line for people on stderr and as a line of JSON on stdout.

mod cases;
mod cloudrun;
#[path = "../../longshore-store/tests/cluster/mod.rs"]
#[expect(clippy::unwrap_used, dead_code, reason = "shared with the tests of the store, which need more of it")]
mod cluster;
mod durable;
mod embedded;
mod ours;
mod raw;
mod routing;
mod stats;

use cases::{Bench, Finding};
use clap::{Parser, ValueEnum};
use raw::{Raw, Result};

/// The program's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What to measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    /// Launch to cleaned up, against the bare API and `docker run --rm`.
    Launch,
    /// Containers a second at 2, 4 and 8 at a time.
    Width,
    /// Log throughput, and memory while a line of 1 GiB goes by.
    Logs,
    /// The default security profile against the engine's own.
    Security,
    /// The embedded executor against the engine and against runc; needs root.
    Embedded,
    /// The router's decisions; needs no engine.
    Routing,
    /// Calls, bytes and memory of jobs on Cloud Run, against a fake of it; needs no engine.
    Cloudrun,
    /// Durable jobs in SQLite, in PostgreSQL, and over the engine.
    Durable,
}

fn at_least_one() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(1..)
}

/// Measures Longshore's Docker executor side by side with the engine's bare API, its embedded executor with both and with runc, and its router.
#[derive(Debug, Parser)]
struct Options {
    /// What to measure; everything, when nothing is named.
    cases: Vec<Case>,
    /// How many pairs of A and B.
    #[arg(long, default_value_t = 40, value_parser = at_least_one())]
    pairs: usize,
    /// Only decides so often, to be counted by Callgrind.
    #[arg(long, hide = true)]
    count: Option<usize>,
    /// How many jobs one round of `durable` has.
    #[arg(long, default_value_t = 20_000, value_parser = at_least_one())]
    jobs: usize,
    /// How many rounds `durable` has.
    #[arg(long, default_value_t = 5, value_parser = at_least_one())]
    rounds: usize,
    /// How many finished jobs the full store of `durable` has; 0 leaves it out.
    #[arg(long, default_value_t = 1_000_000)]
    history: usize,
    /// Only tells the memory of a dispatcher with many jobs.
    #[arg(long, hide = true)]
    weigh: bool,
    /// With so many rules.
    #[arg(long, hide = true, default_value_t = 100)]
    rules: usize,
    /// Is the fake of Cloud Run for another one of this program.
    #[arg(long, hide = true)]
    serve_cloudrun: bool,
}

fn main() -> Result<()> {
    longshore::embedded::supervise();
    tokio::runtime::Runtime::new()?.block_on(run(Options::parse()))
}

async fn run(options: Options) -> Result<()> {
    if options.serve_cloudrun {
        return cloudrun::serve(out).await;
    }
    if let Some(decisions) = options.count {
        return routing::count(options.rules, decisions).await;
    }
    if options.weigh {
        return out(&serde_json::json!(durable::weigh().await?));
    }
    let all = [
        Case::Launch,
        Case::Width,
        Case::Logs,
        Case::Security,
        Case::Embedded,
        Case::Routing,
        Case::Cloudrun,
        Case::Durable,
    ];
    let wanted: Vec<Case> =
        all.into_iter().filter(|case| options.cases.is_empty() || options.cases.contains(case)).collect();
    if wanted.contains(&Case::Routing) {
        measure_routing(options.pairs).await?;
    }
    if wanted.contains(&Case::Cloudrun) {
        measure_cloudrun().await?;
    }
    if wanted.contains(&Case::Durable) {
        let extent = durable::Extent { jobs: options.jobs, rounds: options.rounds, history: options.history };
        durable::measure(extent, &mut show).await?;
    }
    let without = [Case::Routing, Case::Cloudrun];
    let with_engine: Vec<Case> = wanted.into_iter().filter(|case| !without.contains(case)).collect();
    if with_engine.is_empty() {
        return Ok(());
    }
    let socket = raw::socket();
    let image = "longshore-probe:bench".to_owned();
    Raw::connect(&socket).await?.load(longshore_probe::image_archive(&image)).await?;
    let state = tempfile::tempdir()?;
    let bench = Bench { socket, image, executor: ours::executor("docker", state.path())?, pairs: options.pairs };
    for case in with_engine {
        measure(&bench, case).await?;
    }
    Ok(())
}

async fn measure_routing(pairs: usize) -> Result<()> {
    routing::latencies(say, out).await?;
    print(&routing::growth(pairs).await?)?;
    print(&routing::interpreter(pairs).await?)?;
    print(&routing::contention(pairs).await?)
}

async fn measure_cloudrun() -> Result<()> {
    for cost in cloudrun::costs().await? {
        say(&cost.to_string());
        out(&serde_json::to_value(&cost)?)?;
    }
    Ok(())
}

async fn measure(bench: &Bench, case: Case) -> Result<()> {
    match case {
        Case::Launch => {
            print(&bench.launch().await?)?;
            print(&bench.docker_run().await?)
        }
        Case::Width => {
            for width in [2, 4, 8] {
                print(&bench.width(width).await?)?;
            }
            Ok(())
        }
        Case::Logs => {
            print(&bench.logs().await?)?;
            let grown = bench.memory().await?;
            say(&format!("memory while a line of 1 GiB goes by: {grown:.1} MiB more than before"));
            out(&serde_json::json!({ "case": "memory", "unit": "MiB", "grown": grown }))
        }
        Case::Security => print(&bench.security().await?),
        Case::Embedded => measure_embedded(bench).await,
        Case::Durable => durable::measure_on_engine(bench, &mut show).await,
        Case::Routing | Case::Cloudrun => Ok(()),
    }
}

async fn measure_embedded(bench: &Bench) -> Result<()> {
    let embedded = embedded::Embedded::new(bench.pairs)?;
    print(&embedded.launch(bench).await?)?;
    for width in [2, 4] {
        print(&embedded.width(bench, width).await?)?;
    }
    for width in [2, 4] {
        print(&embedded.against_runc(width).await?)?;
    }
    print(&embedded.logs(bench).await?)?;
    let kibibytes = embedded.supervisor_memory(4).await?;
    say(&format!("private memory of a supervisor: {kibibytes} KiB (at most 2048)"));
    out(&serde_json::json!({ "case": "private memory of a supervisor", "unit": "KiB", "most": kibibytes }))
}

fn show(said: durable::Said) -> Result<()> {
    match said {
        durable::Said::Finding(finding) => print(&finding),
        durable::Said::Figure(figure) => {
            say(&figure.in_words());
            out(&figure.in_json())
        }
    }
}

fn print(finding: &Finding) -> Result<()> {
    let Finding { case, a, b, unit, median_a, median_b, ratio, target, pairs } = finding;
    say(&format!(
        "{case}: {a} {median_a:.1} {unit}, {b} {median_b:.1} {unit}: ratio {:.3} (95%: {:.3} to {:.3}; {target}; {pairs} pairs)",
        ratio.ratio, ratio.low, ratio.high
    ));
    out(&serde_json::to_value(finding)?)
}

#[expect(clippy::print_stderr, reason = "a program's messages to its user")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "a program's result")]
#[expect(clippy::unnecessary_wraps, reason = "the last step of measurements that can fail")]
fn out(line: &serde_json::Value) -> Result<()> {
    println!("{line}");
    Ok(())
}
