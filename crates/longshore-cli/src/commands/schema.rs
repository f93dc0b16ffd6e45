//! `longshore schema [NAME]`: the JSON Schemas of what Longshore stores and prints.

use longshore::{Error, ErrorKind, ExecutorRegistry, Result};
use schemars::{Schema, schema_for};

use super::{
    cleanup::CleanupResult,
    db::{DatabaseReport, ImportReport},
    pauses::Resumed,
    submit::SubmitReport,
};
use crate::RunReport;

type MakeSchema = fn() -> Schema;

const SCHEMAS: [(&str, &str, MakeSchema); 25] = [
    ("job", "one requested run", || schema_for!(longshore::ContainerJob)),
    ("template", "the reusable description of a job", || schema_for!(longshore::JobTemplate)),
    ("host", "a configured place to run", || schema_for!(longshore::ExecutionHost)),
    ("allow", "what the operator of a host allows to jobs", || schema_for!(longshore::Allow)),
    ("facts", "what an executor has found out about its host", || schema_for!(longshore::HostFacts)),
    ("capabilities", "what an executor can do", || schema_for!(longshore::Capabilities)),
    ("plan", "asked, granted, dropped: what `run --dry-run --json` prints", || schema_for!(longshore::Plan)),
    ("request", "everything that is sent to launch an attempt", || schema_for!(longshore::LaunchRequest)),
    ("handle", "what finds an execution again", || schema_for!(longshore::ExecutionHandle)),
    ("status", "what the provider says of an execution", || schema_for!(longshore::ExecutionStatus)),
    ("log", "a part of a log", || schema_for!(longshore::LogPage)),
    ("harvest", "the final truth of an execution", || schema_for!(longshore::Harvest)),
    ("decision", "where a job goes and why: what `route --json` prints", || {
        schema_for!(longshore::route::RouteDecision)
    }),
    ("job-file", "a file that describes a job, for --file", longshore::config::job_schema),
    ("submitted", "what became of a submission: what `submit --json` prints", || schema_for!(SubmitReport)),
    ("job-record", "a job as it is kept: what `jobs list --json` prints a list of", || {
        schema_for!(longshore::store::JobRecord)
    }),
    ("job-archive", "all that is kept of a job: `jobs show --json`, and a line of `db export`", || {
        schema_for!(longshore::store::JobArchive)
    }),
    ("log-record", "a piece of output: a line of `jobs logs --json`", || schema_for!(longshore::LogRecord)),
    ("pause", "a pause of a host: what `hosts pause --json` and `hosts paused --json` print a list of", || {
        schema_for!(longshore::store::Pause)
    }),
    ("resumed", "what became of a pause: what `hosts resume --json` prints a list of", || schema_for!(Resumed)),
    ("saved-template", "a template that is kept: what `templates list --json` prints a list of", || {
        schema_for!(longshore::store::SavedTemplate)
    }),
    ("cleanup", "what was removed: what `cleanup --json` prints", || schema_for!(CleanupResult)),
    ("database", "what a database holds: what `db migrate --json` prints", || schema_for!(DatabaseReport)),
    ("import", "what was taken in: what `db import --json` prints", || schema_for!(ImportReport)),
    ("outcome", "the result of a run: what `run --json` prints", || schema_for!(RunReport)),
];

/// The schema of that name, or the list of names.
///
/// # Errors
/// `Invalid` for a name that there is not, naming those that there are.
pub(crate) fn text(name: Option<&str>) -> Result<String> {
    let registry = longshore::registry();
    let Some(name) = name else { return Ok(list(&registry)) };
    let schema = find(name, &registry).ok_or_else(|| {
        let names: Vec<String> = names(&registry).into_iter().map(|(name, _)| name).collect();
        Error::new(ErrorKind::Invalid, format!("there is no schema {name:?}; available: {}", names.join(", ")))
    })?;
    let unwritable = |error| Error::new(ErrorKind::Unexpected, "the schema can't be written").with_source(error);
    Ok(serde_json::to_string_pretty(&schema).map_err(unwritable)? + "\n")
}

fn find(name: &str, registry: &ExecutorRegistry) -> Option<Schema> {
    if let Some((_, _, make)) = SCHEMAS.iter().find(|(known, _, _)| *known == name) {
        return Some(make());
    }
    let (kind, part) = name.rsplit_once('-')?;
    let kind = registry.kinds().find(|known| known.executor_type.as_str() == kind)?;
    match part {
        "config" => Some((kind.config_schema)()),
        "options" => Some((kind.options_schema)()),
        _ => None,
    }
}

/// Every name, with what it is the schema of.
fn names(registry: &ExecutorRegistry) -> Vec<(String, String)> {
    let own = SCHEMAS.iter().map(|(name, what, _)| ((*name).to_owned(), (*what).to_owned()));
    let of_kinds = registry.kinds().flat_map(|kind| {
        let kind = kind.executor_type.as_str();
        [
            (format!("{kind}-config"), format!("the settings of a host of the {kind} executor")),
            (format!("{kind}-options"), format!("a job's own section for the {kind} executor")),
        ]
    });
    own.chain(of_kinds).collect()
}

fn list(registry: &ExecutorRegistry) -> String {
    let names = names(registry);
    let width = names.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    names.iter().map(|(name, what)| format!("{name:width$}  {what}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_schema() {
        for (name, _) in names(&longshore::registry()) {
            let schema: serde_json::Value = serde_json::from_str(&text(Some(&name)).unwrap()).unwrap();
            assert!(schema.is_object(), "{name}");
        }
        let outcome: serde_json::Value = serde_json::from_str(&text(Some("outcome")).unwrap()).unwrap();
        assert!(outcome["properties"]["longshore_exit_code"].is_object(), "{outcome}");
    }

    #[test]
    fn an_unknown_name_is_answered_with_those_there_are() {
        for name in ["", "Job", "docker-", "-config", "nope-config"] {
            let error = text(Some(name)).unwrap_err().to_string();
            assert!(error.contains("available: job, template"), "{error}");
        }
        assert!(text(None).unwrap().starts_with("job"));
    }
}
