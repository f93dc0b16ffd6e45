//! Side-by-side measurements of the Docker executor, each printing the ratio of medians with its 95% interval,
//! as a line for people on stderr and as a line of JSON on stdout.

mod cases;
mod ours;
mod raw;
mod stats;

use cases::{Bench, Finding};
use clap::{Parser, ValueEnum};
use raw::{Raw, Result};

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
}

/// Measures Longshore's Docker executor side by side with the engine's bare API.
#[derive(Debug, Parser)]
struct Options {
    /// What to measure; everything, when nothing is named.
    cases: Vec<Case>,
    /// How many pairs of A and B.
    #[arg(long, default_value_t = 40)]
    pairs: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let socket = raw::socket();
    let image = "longshore-probe:bench".to_owned();
    Raw::connect(&socket).await?.load(longshore_probe::image_archive(&image)).await?;
    let state = tempfile::tempdir()?;
    let bench = Bench { socket, image, executor: ours::executor(state.path())?, pairs: options.pairs };
    let all = [Case::Launch, Case::Width, Case::Logs, Case::Security];
    for case in all.into_iter().filter(|case| options.cases.is_empty() || options.cases.contains(case)) {
        measure(&bench, case).await?;
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
