use super::*;
use longshore_core::{
    ContainerJob, Cpu, EnvVar, ExecutionHost, ExecutorContext, HostFacts, LabelKey, LabelValue, Mount, MountSource,
    Timestamp, Tmpfs,
};
use serde_json::json;
use std::num::NonZeroU32;

use crate::{CloudRunExecutor, ExecutionEnvironment};

/// What a host with these settings plans for a job that was changed so.
fn planned(config: serde_json::Value, change: impl FnOnce(&mut JobTemplate)) -> Result<Plan> {
    let mut settings = json!({ "project": "my-project", "region": "europe-west1" });
    settings.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    let config = CloudRunConfig::from_value(&settings)?;
    let mut host =
        ExecutionHost::builder().name("cloud".parse().unwrap()).executor_type("cloudrun".parse().unwrap()).build();
    host.allow.volumes.insert("bucket".to_owned());
    let executor = CloudRunExecutor::new(&host, config.clone(), &ExecutorContext::new("/nowhere"))?;
    let image = "europe-docker.pkg.dev/my-project/jobs/tool:1".parse::<ImageSource>().unwrap();
    let mut template = JobTemplate::builder().name("tool".parse().unwrap()).image(image).build();
    change(&mut template);
    let job = ContainerJob::new(template, Timestamp::UNIX_EPOCH);
    let facts = HostFacts::builder()
        .discovered_at(Timestamp::UNIX_EPOCH)
        .engine("Cloud Run")
        .platforms(vec!["linux/amd64".parse().unwrap()])
        .build();
    plan(&CheckedJob::new(&job, &executor)?, &executor, (&config, "europe-west1"), &host.allow, &facts)
}

fn by_default(change: impl FnOnce(&mut JobTemplate)) -> Result<Plan> {
    planned(json!({}), change)
}

fn granted(plan: &Plan, field: &str) -> String {
    let grant = plan.grants.iter().find(|grant| grant.field == field).unwrap();
    assert!(grant.asked == grant.granted || grant.reason.is_some(), "{grant:?}");
    grant.granted.clone().unwrap()
}

fn frozen(plan: &Plan) -> Frozen {
    Frozen::of(&plan.host_settings).unwrap()
}

#[test]
fn what_nobody_asked_for_is_said() {
    let plan = by_default(|_| {}).unwrap();
    assert_eq!(granted(&plan, "resources.cpu"), "1000m");
    assert_eq!(granted(&plan, "resources.memory"), "512MiB");
    assert_eq!(granted(&plan, "network"), "private");
    assert_eq!(plan.template.run_timeout, Some(Duration::from_secs(24 * 3600)));
    assert_eq!(frozen(&plan).timeout_seconds, 24 * 3600 + 120);
    assert!(plan.notices.iter().any(|notice| notice.contains("lossy")));
}

#[test]
fn resources_are_rounded_up_and_the_grant_is_shown() {
    let plan = by_default(|it| {
        it.resources.cpu = Cpu::from_millis(250);
        it.resources.memory = Some(ByteSize::from_mib(5000));
    })
    .unwrap();
    assert_eq!(
        (granted(&plan, "resources.cpu").as_str(), granted(&plan, "resources.memory").as_str()),
        ("2000m", "5000MiB")
    );
    let gpu = by_default(|it| it.resources.gpu = Some(GpuRequest::builder().count(NonZeroU32::MIN).build())).unwrap();
    assert_eq!(
        (granted(&gpu, "resources.cpu").as_str(), granted(&gpu, "resources.memory").as_str()),
        ("4000m", "16GiB")
    );
    assert_eq!(frozen(&gpu).accelerator.as_deref(), Some("nvidia-l4"));
}

#[test]
fn a_graphics_processor_is_lent_for_an_hour() {
    let gpu = |it: &mut JobTemplate| it.resources.gpu = Some(GpuRequest::builder().count(NonZeroU32::MIN).build());
    let hour = Duration::from_secs(3600);
    let plan = by_default(gpu).unwrap();
    assert_eq!((plan.template.run_timeout, frozen(&plan).timeout_seconds), (Some(hour), 3600));
    let longer = |it: &mut JobTemplate| {
        gpu(it);
        it.run_timeout = Some(hour + Duration::from_secs(1));
    };
    let error = by_default(longer).unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("run_timeout"), "{error}");
}

#[test]
fn the_providers_own_limit_is_in_whole_seconds() {
    let plan = by_default(|it| it.run_timeout = Some(Duration::from_millis(1500))).unwrap();
    assert_eq!(frozen(&plan).timeout_seconds, 122);
}

#[test]
fn what_can_not_be_done_is_refused_with_its_field_and_the_way_out() {
    type Change = fn(&mut JobTemplate);
    let table: [(Change, ErrorKind, &str); 16] = [
        (|it| it.image = "ghcr.io/somebody/tool:1".parse().unwrap(), ErrorKind::Unsupported, "remote repository"),
        (|it| it.resources.cpu = Cpu::from_millis(9000), ErrorKind::Unsupported, "resources.cpu"),
        (|it| it.resources.memory = Some(ByteSize::from_mib(33 << 10)), ErrorKind::Unsupported, "resources.memory"),
        (
            |it| it.resources.gpu = Some(GpuRequest::builder().count(NonZeroU32::new(2).unwrap()).build()),
            ErrorKind::Unsupported,
            "resources.gpu",
        ),
        (
            |it| it.resources.gpu = Some(GpuRequest::builder().count(NonZeroU32::MIN).vendor("amd").build()),
            ErrorKind::Unsupported,
            "resources.gpu",
        ),
        (|it| it.run_timeout = Some(Duration::from_secs(200 * 3600)), ErrorKind::Unsupported, "run_timeout"),
        (|it| it.platform = Some("linux/arm64".parse().unwrap()), ErrorKind::Unsupported, "platform"),
        (|it| it.env.push(EnvVar::new("CLOUD_RUN_JOB", "x").unwrap()), ErrorKind::Invalid, "CLOUD_RUN_JOB"),
        (|it| it.env.push(EnvVar::new("LONG", "x".repeat(40_000)).unwrap()), ErrorKind::Invalid, "LONG"),
        (|it| it.args = vec!["x".to_owned(); 1001], ErrorKind::Invalid, "args"),
        (|it| it.tmpfs.push(Tmpfs::new("/scratch", Some(ByteSize::from_mib(600)))), ErrorKind::Invalid, "tmpfs"),
        (|it| it.tmpfs.push(Tmpfs::new("/proc/x", None)), ErrorKind::Unsupported, "/proc/x"),
        (
            |it| it.mounts.push(Mount::new(MountSource::Volume("other".parse().unwrap()), "/data")),
            ErrorKind::Unsupported,
            "allow.volumes",
        ),
        (|it| it.command = Some(Vec::new()), ErrorKind::Unsupported, "command"),
        (
            |it| drop(it.executor_options.insert("cloudrun".parse().unwrap(), json!({ "service_account": "root@p" }))),
            ErrorKind::Unsupported,
            "executor_config.service_accounts",
        ),
        (
            |it| {
                it.executor_options.insert("cloudrun".parse().unwrap(), json!({ "execution_environment": "gen1" }));
            },
            ErrorKind::Invalid,
            "executor_options.cloudrun.execution_environment",
        ),
    ];
    for (change, kind, named) in table {
        let error = by_default(change).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(named), "{named}: {error}");
    }
}

#[test]
fn a_secret_is_kept_by_the_provider() {
    let secret = |delivery: SecretDelivery, name: &str, reference: &str| {
        let (name, reference) = (name.parse().unwrap(), reference.parse().unwrap());
        match delivery {
            SecretDelivery::File => SecretBinding::file(name, reference),
            _ => SecretBinding::env(name, reference),
        }
    };
    for (secrets, kind, named) in [
        (vec![secret(SecretDelivery::Env, "S", "env:HOME")], ErrorKind::Unsupported, "provider:NAME"),
        (vec![secret(SecretDelivery::Env, "S", "provider:a b")], ErrorKind::Invalid, "secrets.S"),
        (
            vec![secret(SecretDelivery::File, "a", "provider:a"), secret(SecretDelivery::File, "b", "provider:b")],
            ErrorKind::Unsupported,
            "as variables",
        ),
    ] {
        let error = by_default(|it| it.secrets = secrets).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(named), "{named}: {error}");
    }
}

#[test]
fn the_operators_settings_are_frozen_into_the_plan() {
    let config = json!({
        "service_account": "jobs@p", "service_accounts": ["other@p"],
        "vpc": { "network": "n" }, "max_run_time": "1h",
    });
    let chosen = json!({ "service_account": "other@p", "execution_environment": "gen2" });
    let plan = planned(config.clone(), |it| {
        it.executor_options.insert("cloudrun".parse().unwrap(), chosen);
        it.run_timeout = Some(Duration::from_secs(60));
    })
    .unwrap();
    let frozen = frozen(&plan);
    assert_eq!((frozen.service_account.as_deref(), frozen.timeout_seconds), (Some("other@p"), 180));
    assert_eq!(frozen.execution_environment, Some(ExecutionEnvironment::Gen2));
    assert_eq!(frozen.vpc.and_then(|vpc| vpc.network).as_deref(), Some("n"));
}

#[test]
fn labels_are_never_refused() {
    let plan = by_default(|it| {
        it.labels.insert(LabelKey::new("run.googleapis.com/x").unwrap(), LabelValue::new("Ü").unwrap());
    });
    assert!(plan.is_ok(), "{plan:?}");
}
