//! `longshore hosts`: the configured hosts, and whether jobs could run there.

use comfy_table::{ContentArrangement, Table, presets};
use longshore::{
    Clock, ContainerExecutor, Error, ErrorKind, ExecutionHost, ExecutorType, Finding, HostName, Owner, Region,
    Residency, Result, SystemClock, config::Config, suggestion,
};
use serde::Serialize;
use std::{fmt::Write, num::NonZeroU32, time::Duration};

use super::{pauses, print};
use crate::{
    args::{ConfigurationArgs, HostsCommand},
    configuration, hints,
    routing::Routing,
    text::{clean, json_line},
    values,
};

/// A host can't be used.
const UNWELL: u8 = 1;

/// Lists or checks the hosts, and returns the program's exit code.
///
/// # Errors
/// When there is no configuration, or something is wrong with it or with the options.
pub(crate) async fn hosts(command: &HostsCommand) -> Result<u8> {
    match command {
        HostsCommand::List { configuration, json } => {
            let config = configuration::needed(configuration, &configuration::loader())?;
            let rows: Vec<Row> = config.hosts().map(|host| row(&config, host)).collect();
            print(&if *json { json_line(&rows).map_err(super::unwritable)? } else { table(&rows) })?;
            Ok(0)
        }
        HostsCommand::Check { names, configuration, limit, json } => {
            let found = look(names, configuration, values::time(limit)?).await?;
            print(&if *json { json_line(&found).map_err(super::unwritable)? } else { told(&found) })?;
            Ok(if !found.is_empty() && found.iter().all(|look| look.good) { 0 } else { UNWELL })
        }
        HostsCommand::Pause(args) => pauses::pause(args).await,
        HostsCommand::Resume(args) => pauses::resume(args).await,
        HostsCommand::Paused { store, json } => pauses::paused(store, *json).await,
    }
}

/// A configured host, as it is listed: its settings may hold secrets and are left out.
#[derive(Debug, Serialize)]
struct Row {
    name: HostName,
    executor: ExecutorType,
    enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_concurrent_jobs: Option<NonZeroU32>,
    weight: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
    #[serde(skip_serializing_if = "Option::is_none")]
    residency: Option<Residency>,
    /// Where its prices are from.
    price: String,
}

fn row(config: &Config, host: &ExecutionHost) -> Row {
    let price = match config.prices().of(host) {
        Ok(sheet) => sheet.source.clone().unwrap_or_else(|| format!("configured, in {}", sheet.currency)),
        Err(_) => "unknown".to_owned(),
    };
    Row {
        name: host.name.clone(),
        executor: host.executor_type.clone(),
        enabled: host.enabled,
        max_concurrent_jobs: host.max_concurrent_jobs,
        weight: host.weight,
        region: host.region.clone(),
        residency: host.residency.clone(),
        price,
    }
}

fn table(rows: &[Row]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["NAME", "EXECUTOR", "ENABLED", "MAX", "WEIGHT", "REGION", "RESIDENCY", "PRICE"]);
    for row in rows {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        table.add_row([
            row.name.to_string(),
            row.executor.to_string(),
            if row.enabled { "yes" } else { "no" }.to_owned(),
            or_dash(row.max_concurrent_jobs.map(|most| most.to_string())),
            row.weight.to_string(),
            or_dash(row.region.as_ref().map(ToString::to_string)),
            or_dash(row.residency.as_ref().map(ToString::to_string)),
            clean(&row.price),
        ]);
    }
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

/// What a look at a host found.
#[derive(Debug, Serialize)]
struct Look {
    host: HostName,
    executor: ExecutorType,
    good: bool,
    /// How long it took to answer, in milliseconds.
    latency_ms: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    findings: Vec<Finding>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

/// Looks at all hosts at the same time.
async fn look(names: &[String], configuration: &ConfigurationArgs, limit: Duration) -> Result<Vec<Look>> {
    let loader = configuration::loader();
    let config = configuration::needed(configuration, &loader)?;
    let routing = Routing::new(&config, loader.registry(), Owner::new("local")?)?;
    let snapshot = routing.router.snapshot();
    let hosts = snapshot.table().hosts();
    for name in names {
        let known = || hosts.iter().map(|host| host.host.name.as_str());
        if !known().any(|host| host == name) {
            let message = format!("there is no host {name:?}; {}", suggestion(name, known(), "none is configured"));
            return Err(Error::new(ErrorKind::Invalid, message));
        }
    }
    let wanted = hosts.iter().filter(|host| {
        if names.is_empty() { host.host.enabled } else { names.iter().any(|name| *name == host.host.name.as_str()) }
    });
    let looks = wanted.map(|host| look_at(&host.host, host.executor.as_ref(), limit));
    Ok(futures::future::join_all(looks).await)
}

async fn look_at(host: &ExecutionHost, executor: &dyn ContainerExecutor, limit: Duration) -> Look {
    let began = SystemClock.now();
    let health = tokio::select! {
        health = executor.check_health() => health,
        () = SystemClock.sleep(limit) => {
            Err(Error::new(ErrorKind::Timeout, format!("no answer within {limit:?}")).with_operation("check_health"))
        }
    };
    let took = longshore::clock::since(SystemClock.now(), began);
    let asked =
        hints::Asked { executor: host.executor_type.as_str(), never_pulls: false, is_routed: true, is_local: false };
    let (findings, error) = match health {
        Ok(health) => (health.findings, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    Look {
        host: host.name.clone(),
        executor: host.executor_type.clone(),
        good: error.is_none() && findings.iter().all(|finding| finding.good),
        latency_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        findings,
        hint: error.as_ref().and_then(|error| hints::of_error(&asked, error)),
        error: error.map(|error| error.chain()),
    }
}

fn told(looks: &[Look]) -> String {
    let mut text = String::new();
    for look in looks {
        let state = if look.good { "well" } else { "can't be used" };
        let _ = writeln!(text, "{} ({}): {state}, after {} ms", look.host, look.executor, look.latency_ms);
        for finding in &look.findings {
            let mark = if finding.good { "ok" } else { "BAD" };
            let _ = writeln!(text, "  {mark:<3} {}: {}", clean(&finding.subject), clean(&finding.detail));
        }
        if let Some(error) = &look.error {
            let _ = writeln!(text, "  BAD {}", clean(error));
        }
        if let Some(hint) = &look.hint {
            let _ = writeln!(text, "  hint: {}", clean(hint));
        }
    }
    if looks.is_empty() { "no host is enabled\n".to_owned() } else { text }
}
