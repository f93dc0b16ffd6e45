//! What is stored of a job, and what is refused of one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::{
    ByteSize, ContainerJob, Cpu, EnvVar, ErrorKind, ExecutionHandle, ExecutionHost, Harvest, HostFacts, ImageSource,
    JobId, JobOverrides, JobTemplate, LabelValue, LaunchRequest, LaunchToken, Mount, MountSource, Network, Plan,
    Resources, SecretBinding, SecretReference, Signal, Tmpfs, Violation,
};
use serde_json::json;
use std::{collections::BTreeMap, time::Duration};

fn least() -> JobTemplate {
    JobTemplate::builder().name("least".parse().unwrap()).image("alpine:3".parse::<ImageSource>().unwrap()).build()
}

/// A template with every field set.
fn full() -> serde_json::Value {
    json!({
        "name": "full", "image": "registry.example:5000/team/tool:1", "pull_policy": "always",
        "registry_credentials": { "username": "me", "password": "env:REGISTRY_TOKEN" },
        "platform": "linux/amd64", "entrypoint": ["/bin/tool"], "command": ["run"], "args": ["--fast", "a b"],
        "env": [{ "name": "A", "value": "1\n2" }],
        "secrets": [{ "name": "key", "reference": "file:/etc/key" }, { "name": "TOKEN", "reference": "env:TOKEN", "delivery": "env" }],
        "working_directory": "/srv", "user": "1000:1000", "network": "backend", "network_aliases": ["tool"],
        "mounts": [{ "source": { "bind": "/data" }, "target": "/data", "read_only": true }, { "source": { "volume": "cache" }, "target": "/cache" }],
        "tmpfs": [{ "target": "/scratch", "size": 1_048_576 }],
        "labels": { "team": "red" },
        "resources": {
            "memory": 536_870_912, "cpu": "500m",
            "gpu": { "count": 1, "vendor": "nvidia", "model": "nvidia-l4", "minimum_memory": 1_073_741_824 },
            "ephemeral_storage": 1_073_741_824, "pids": 100
        },
        "start_timeout": "1m", "run_timeout": "2h", "expected_duration": "5m", "stop_signal": "SIGINT", "stop_grace": "10s",
        "security": "hardened", "log_cap": 1_048_576, "executor_options": { "docker": { "init": true } }
    })
}

#[test]
fn what_is_absent_is_left_out() {
    let stored = serde_json::to_value(least()).unwrap();
    assert_eq!(stored, json!({ "name": "least", "image": "alpine:3" }));
}

#[test]
fn a_full_template_round_trips_to_the_byte() {
    let template: JobTemplate = serde_json::from_value(full()).unwrap();
    template.check().unwrap();
    assert_eq!(serde_json::to_value(&template).unwrap(), full());
    let text = serde_json::to_string(&template).unwrap();
    assert_eq!(serde_json::to_string(&serde_json::from_str::<JobTemplate>(&text).unwrap()).unwrap(), text);
}

#[test]
fn an_unknown_demand_is_refused_and_never_ignored() {
    for (section, key) in [("", "gpus"), ("resources", "disks"), ("mounts", "propagation")] {
        let mut stored = full();
        match section {
            "" => stored[key] = json!(1),
            "mounts" => stored["mounts"][0][key] = json!("shared"),
            _ => stored[section][key] = json!(1),
        }
        let error = serde_json::from_value::<JobTemplate>(stored).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

#[test]
fn every_broken_rule_is_named_with_its_field() {
    let mut template = least();
    template.env = vec![EnvVar::new("A", "1").unwrap(), EnvVar::new("A", "nul\0").unwrap()];
    template.secrets = vec![
        SecretBinding::file("s".parse().unwrap(), "env:X".parse().unwrap()),
        SecretBinding::file("s".parse().unwrap(), "env:Y".parse().unwrap()),
    ];
    template.mounts = vec![Mount::new(MountSource::Bind("/a/../b".into()), "relative")];
    template.tmpfs = vec![Tmpfs::new("/a//b", None)];
    template.working_directory = Some("here".into());
    template.user = Some("a b".into());
    template.run_timeout = Some(Duration::ZERO);
    template.args = vec!["\0".into()];
    template.entrypoint = Some(vec![String::new()]);
    template.labels = BTreeMap::from([("longshore.owner".parse().unwrap(), LabelValue::new("me").unwrap())]);
    template.network = Some(Network::None);
    template.network_aliases = vec!["alias".parse().unwrap()];
    let violations = template.check().unwrap_err();
    let fields: Vec<&str> = violations.as_slice().iter().map(|violation| violation.field.as_str()).collect();
    for field in [
        "env",
        "secrets",
        "mounts.source",
        "mounts.target",
        "tmpfs.target",
        "working_directory",
        "user",
        "run_timeout",
        "args",
        "entrypoint",
        "labels",
        "network_aliases",
    ] {
        assert!(fields.contains(&field), "{field} in {fields:?}");
    }
    assert_eq!(fields.iter().filter(|field| **field == "env").count(), 2);
}

#[test]
fn names_that_break_their_rule_can_not_be_made() {
    fn refused<T: std::str::FromStr<Err = Violation> + std::fmt::Debug>(texts: &[&str]) {
        for text in texts {
            let violation = text.parse::<T>().unwrap_err();
            assert!(violation.to_string().contains("is not valid: "), "{violation}");
        }
    }
    let long = "x".repeat(300);
    refused::<longshore_core::JobName>(&["", "a/b", "-a", "a b", "a\n", &long]);
    refused::<longshore_core::EnvName>(&["", "A=B", "A\nB", "A B", "Ä", &long]);
    refused::<longshore_core::LabelKey>(&["", "a b", "/a", &long]);
    refused::<longshore_core::HostName>(&["", "A", "-a", "a/b", "..", &long]);
    refused::<longshore_core::Owner>(&["", "a,b", "a=b", &long]);
    refused::<longshore_core::SecretName>(&["", "..", "a/b", ".a", &long]);
    refused::<ByteSize>(&["0", "-1", "lots"]);
    refused::<Cpu>(&["0", "-1"]);
    refused::<Signal>(&["", "SIGNOPE", "0", "65"]);
    refused::<LaunchToken>(&[
        "",
        "ls-1-1",
        "ls-019237a45c1e7f008000000000000001-01",
        "ls-019237A45C1E7F008000000000000001-1",
        "../ls",
    ]);
    refused::<JobId>(&["", "1", "../../etc"]);
    assert!(
        LabelValue::new("a\nb").is_err() && LabelValue::new("x".repeat(1025)).is_err() && LabelValue::new("").is_ok()
    );
}

#[test]
fn a_wrong_secret_reference_is_not_shown() {
    for wrong in ["hunter2", "plain:hunter2", "env:", "env:hun ter2"] {
        let shown = wrong.parse::<SecretReference>().unwrap_err().to_string();
        assert!(!shown.contains("hunter2") && !shown.contains("ter2"), "{shown}");
        let through_serde = serde_json::from_value::<SecretBinding>(json!({ "name": "s", "reference": wrong }))
            .unwrap_err()
            .to_string();
        assert!(!through_serde.contains("hunter2"), "{through_serde}");
    }
}

#[test]
fn overrides_replace_what_they_name_and_nothing_else() {
    let template: JobTemplate = serde_json::from_value(full()).unwrap();
    let mut job = ContainerJob::new(template.clone(), "2026-01-01T00:00:00Z".parse().unwrap());
    assert_eq!(*job.resolved_template(), template);
    job.overrides = Some(
        JobOverrides::builder()
            .args(["--slow".to_owned()])
            .env(vec![EnvVar::new("A", "3").unwrap(), EnvVar::new("B", "4").unwrap()])
            .resources(Resources::builder().memory(ByteSize::from_mib(1)).build())
            .build(),
    );
    let resolved = job.resolved_template().into_owned();
    assert_eq!((resolved.command, resolved.args), (template.command, vec!["--slow".to_owned()]));
    assert_eq!(resolved.env, vec![EnvVar::new("A", "3").unwrap(), EnvVar::new("B", "4").unwrap()]);
    assert_eq!(
        (resolved.resources.memory, resolved.resources.cpu),
        (Some(ByteSize::from_mib(1)), template.resources.cpu)
    );
}

#[test]
fn tokens_are_names_that_every_provider_takes() {
    let id: JobId = "019237a4-5c1e-7f00-8000-000000000001".parse().unwrap();
    let token = LaunchToken::new(id, 12);
    assert_eq!(token.to_string(), "ls-019237a45c1e7f008000000000000001-12");
    assert_eq!(token.to_string().parse::<LaunchToken>().unwrap(), token);
    assert!(LaunchToken::new(id, u32::MAX).to_string().len() <= 49);
}

#[test]
fn ids_sort_by_the_time_of_their_making() {
    let at = |text: &str| JobId::new(text.parse().unwrap());
    assert!(at("2026-01-01T00:00:00Z") < at("2026-01-01T00:00:01Z"));
}

#[test]
fn a_handle_of_another_host_or_a_newer_version_is_refused() {
    let handle: ExecutionHandle = serde_json::from_value(json!({
        "version": 2, "executor_type": "docker", "host": "here", "token": "ls-019237a45c1e7f008000000000000001-1",
        "external_execution_id": "abc", "a_later_field": true
    }))
    .unwrap();
    let (docker, here) = ("docker".parse().unwrap(), "here".parse().unwrap());
    handle.check_owner(&docker, &here, 2).unwrap();
    for refused in [
        handle.check_owner(&"mock".parse().unwrap(), &here, 2),
        handle.check_owner(&docker, &"there".parse().unwrap(), 2),
        handle.check_owner(&docker, &here, 1),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn everything_that_is_stored_has_a_schema() {
    let schemas = [
        schemars::schema_for!(ContainerJob),
        schemars::schema_for!(LaunchRequest),
        schemars::schema_for!(Plan),
        schemars::schema_for!(ExecutionHandle),
        schemars::schema_for!(Harvest),
        schemars::schema_for!(ExecutionHost),
        schemars::schema_for!(HostFacts),
    ];
    for schema in schemas {
        assert!(schema.get("properties").is_some(), "{schema:?}");
    }
    let template = serde_json::to_value(schemars::schema_for!(JobTemplate)).unwrap();
    for key in full().as_object().unwrap().keys() {
        assert!(template["properties"].get(key).is_some(), "{key}");
    }
}
