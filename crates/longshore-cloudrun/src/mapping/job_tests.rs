use super::*;
use jiff::Timestamp;
use longshore_core::{ContainerJob, Cpu, EnvVar, GpuRequest, JobId, Mount, Plan, Tmpfs};
use std::{num::NonZeroU32, time::Duration};

use crate::mapping::identity::{Metadata, marks};

fn frozen() -> Frozen {
    Frozen {
        project: "my-project".to_owned(),
        region: "europe-west1".to_owned(),
        timeout_seconds: 3720,
        service_account: None,
        vpc: None,
        execution_environment: None,
        accelerator: None,
    }
}

/// A request as it comes out of storage.
fn request_with(template: JobTemplate, frozen: &Frozen) -> LaunchRequest {
    let created_at = Timestamp::from_second(1_710_408_403).unwrap();
    let mut job = ContainerJob::new(template.clone(), created_at);
    job.id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b".parse::<JobId>().unwrap();
    let plan: Plan = serde_json::from_value(json!({
        "executor_type": "cloudrun",
        "host": "kit-host",
        "template": template,
        "grants": [],
        "host_settings": { "version": 1, "settings": frozen },
    }))
    .unwrap();
    LaunchRequest::new(&job, 1, plan, "kit".parse().unwrap(), created_at, Duration::from_secs(300))
}

fn template() -> JobTemplate {
    let image: ImageSource = "europe-docker.pkg.dev/my-project/jobs/probe:1".parse().unwrap();
    JobTemplate::builder().name("kit".parse().unwrap()).image(image).build()
}

/// The least request.
pub(crate) fn request() -> LaunchRequest {
    request_with(template(), &frozen())
}

fn sent(request: &LaunchRequest) -> Value {
    job(request, &marks(request, &Metadata::of(request, ByteSize::from_mib(64)))).unwrap()
}

#[test]
fn the_least_job_is_run_once_and_says_whose_it_is() {
    let labels = json!({
        "longshore-attempt": "1",
        "longshore-host": "kit-host",
        "longshore-job": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "longshore-owner": "kit",
    });
    let annotations = json!({
        "longshore.dev/metadata": r#"{"created_at":"2024-03-14T09:26:43Z","deadline":"2024-03-14T09:31:43Z","log_cap":67108864}"#,
    });
    let expected = json!({
        "labels": labels,
        "annotations": annotations,
        "client": "longshore",
        "clientVersion": env!("CARGO_PKG_VERSION"),
        "startExecutionToken": "run",
        "template": {
            "labels": labels,
            "annotations": annotations,
            "taskCount": 1,
            "parallelism": 1,
            "template": {
                "containers": [{
                    "image": "europe-docker.pkg.dev/my-project/jobs/probe:1",
                    "resources": { "limits": { "cpu": "1", "memory": "512Mi" } },
                }],
                "maxRetries": 0,
                "timeout": "3720s",
            },
        },
    });
    assert_eq!(sent(&request()), expected);
    let name = request().token.to_string();
    assert!(name.len() <= 49 && name.len() + 1 + EXECUTION_TOKEN.len() < 63);
}

#[test]
fn everything_that_a_job_asks_for_is_sent() {
    let mut template = template();
    template.entrypoint = Some(vec!["/bin/sh".to_owned(), "-c".to_owned()]);
    template.command = Some(vec!["exec \"$0\"".to_owned()]);
    template.args = vec!["two  blanks".to_owned(), String::new()];
    template.env = vec![EnvVar::new("A", "b=c\nd").unwrap()];
    template.secrets = vec![
        SecretBinding::env("TOKEN".parse().unwrap(), "provider:api-token".parse().unwrap()),
        SecretBinding::file("key".parse().unwrap(), "provider:projects/other/secrets/key:7".parse().unwrap()),
    ];
    template.working_directory = Some("/work".to_owned());
    template.mounts = vec![Mount::new(MountSource::Volume("my-bucket".parse().unwrap()), "/data").read_only()];
    template.tmpfs = vec![Tmpfs::new("/scratch", ByteSize::from_bytes(1)), Tmpfs::new("/more", None)];
    template.resources.cpu = Cpu::from_millis(4000);
    template.resources.memory = Some(ByteSize::from_mib(16384));
    template.resources.gpu = Some(GpuRequest::builder().count(NonZeroU32::MIN).build());
    let frozen = Frozen {
        service_account: Some("jobs@my-project.iam.gserviceaccount.com".to_owned()),
        vpc: Some(Vpc {
            network: Some("n".to_owned()),
            tags: vec!["t".to_owned()],
            egress: Egress::AllTraffic,
            ..Vpc::default()
        }),
        execution_environment: Some(ExecutionEnvironment::Gen2),
        accelerator: Some("nvidia-l4".to_owned()),
        ..frozen()
    };
    let expected = json!({
        "containers": [{
            "image": "europe-docker.pkg.dev/my-project/jobs/probe:1",
            "command": ["/bin/sh", "-c"],
            "args": ["exec \"$0\"", "two  blanks", ""],
            "env": [
                { "name": "A", "value": "b=c\nd" },
                { "name": "TOKEN", "valueSource": { "secretKeyRef": { "secret": "api-token", "version": "latest" } } },
            ],
            "workingDir": "/work",
            "volumeMounts": [
                { "name": "secret-0", "mountPath": "/run/secrets" },
                { "name": "bucket-0", "mountPath": "/data" },
                { "name": "scratch-0", "mountPath": "/scratch" },
                { "name": "scratch-1", "mountPath": "/more" },
            ],
            "resources": { "limits": { "cpu": "4", "memory": "16384Mi", "nvidia.com/gpu": "1" } },
        }],
        "maxRetries": 0,
        "timeout": "3720s",
        "volumes": [
            { "name": "secret-0", "secret": { "secret": "projects/other/secrets/key", "items": [{ "path": "key", "version": "7" }] } },
            { "name": "bucket-0", "gcs": { "bucket": "my-bucket", "readOnly": true } },
            { "name": "scratch-0", "emptyDir": { "medium": "MEMORY", "sizeLimit": "1Mi" } },
            { "name": "scratch-1", "emptyDir": { "medium": "MEMORY" } },
        ],
        "serviceAccount": "jobs@my-project.iam.gserviceaccount.com",
        "vpcAccess": { "networkInterfaces": [{ "network": "n", "tags": ["t"] }], "egress": "ALL_TRAFFIC" },
        "executionEnvironment": "EXECUTION_ENVIRONMENT_GEN2",
        "nodeSelector": { "accelerator": "nvidia-l4" },
        "gpuZonalRedundancyDisabled": true,
    });
    assert_eq!(sent(&request_with(template, &frozen))["template"]["template"], expected);
}

#[test]
fn a_connector_takes_the_place_of_a_network() {
    let connector = "projects/p/locations/r/connectors/c".to_owned();
    let vpc = Vpc { connector: Some(connector.clone()), ..Vpc::default() };
    assert_eq!(vpc_access(&vpc), json!({ "connector": connector, "egress": "PRIVATE_RANGES_ONLY" }));
}

#[test]
fn settings_of_a_newer_version_are_not_guessed_at() {
    let mut request = request();
    request.plan.host_settings.version = 2;
    let error = job(&request, &Marks::default()).unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("version 2"), "{error}");
}
