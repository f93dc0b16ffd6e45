//! Runs jobs where a configuration sends them: each line on stdin is the name of one of its templates. The file may be
//! edited meanwhile; a bad version is refused, and the one in force stays.
//!
//! ```sh
//! printf 'hello\ntrain\n' | cargo run --example routed
//! cargo run --example routed -- /etc/longshore/longshore.toml
//! ```
#![expect(clippy::print_stderr, clippy::print_stdout, reason = "a program speaks to its user")]

use longshore::{
    CapturedLogs, Clock, Error, ErrorKind, ExecutorContext, Result, Runner, SystemClock,
    config::{Config, DescribedJob, LiveConfig, Loader, Problems},
    route::RouteRequest,
};
use std::{path::PathBuf, process::ExitCode, sync::Arc};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main]
async fn main() -> ExitCode {
    let path = std::env::args().nth(1).map_or_else(|| PathBuf::from("examples/routed.toml"), PathBuf::from);
    let registry = longshore::registry();
    let context = ExecutorContext::new(std::env::temp_dir().join("longshore-routed"));
    let clock = Arc::clone(&context.clock);
    // Variables replace values of the file, and its references lead to them.
    let variables =
        std::env::vars_os().filter_map(|(name, value)| name.into_string().ok().zip(value.into_string().ok()));
    let loader = Loader::new(registry.clone()).with_environment(variables.collect());
    let live = match LiveConfig::open(path, loader, clock, move |host| registry.build(host, &context)).await {
        Ok(live) => live,
        Err(problems) => {
            eprintln!("{}", problems.render(false));
            return ExitCode::FAILURE;
        }
    };
    let done = tokio::select! {
        done = run_each_line(&live) => done,
        Err(error) = live.follow(|version| tell(&version)) => {
            Err(Error::new(ErrorKind::Unexpected, "the configuration can't be followed").with_source(error))
        }
    };
    done.map_or_else(
        |error| {
            eprintln!("routed: {}", error.chain());
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

fn tell(version: &Result<Arc<Config>, Problems>) {
    match version {
        Ok(config) => eprintln!("the configuration is in force, with {} hosts", config.hosts().count()),
        Err(problems) => eprintln!("{}\nthe former configuration stays in force", problems.render(false)),
    }
}

async fn run_each_line(live: &LiveConfig) -> Result<()> {
    let mut lines = BufReader::new(stdin()).lines();
    let unread = |error| Error::new(ErrorKind::Unexpected, "stdin can't be read").with_source(error);
    while let Some(name) = lines.next_line().await.map_err(unread)? {
        match live.config().templates().get(name.trim()) {
            Some(template) => run_one(live, DescribedJob::new(template.clone())).await?,
            None => eprintln!("there is no template {name:?}"),
        }
    }
    Ok(())
}

async fn run_one(live: &LiveConfig, job: DescribedJob) -> Result<()> {
    let job = job.into_job(SystemClock.now());
    let route = live.router().route_job(&RouteRequest::new(&job, SystemClock.now()));
    print!("{}", route.decision);
    // A service would wait, and ask again when the decision says so.
    let Some(executor) = route.executor else { return Ok(()) };
    let host = executor.host().clone();
    let logs = CapturedLogs::default();
    match Runner::new(executor).run(&job, &logs).await {
        Ok(outcome) => {
            live.router().succeeded(&host);
            println!("{outcome}: {}", String::from_utf8_lossy(&logs.stdout()).trim_end());
        }
        Err(error) => {
            // A host that refuses or does not answer is left alone for a while.
            live.router().refused(&host, &error, SystemClock.now());
            eprintln!("{}", error.chain());
        }
    }
    Ok(())
}
