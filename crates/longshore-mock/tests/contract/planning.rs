//! What is granted, rounded, dropped and refused.

use longshore_core::{
    ByteSize, CheckedJob, ContainerExecutor, ContainerJob, Cpu, ErrorKind, JobTemplate, Mount, MountSource, Network,
    Plan, Result, SecretBinding, SecretReference,
};
use serde_json::json;

use crate::support::{Place, SECOND, template};

fn plan(place: &Place, change: impl FnOnce(&mut JobTemplate)) -> Result<Plan> {
    let mut template = template(&["exit 0"]);
    change(&mut template);
    let job = ContainerJob::new(template, place.now());
    place.executor.plan(&CheckedJob::new(&job, place.executor.as_ref())?)
}

/// What was asked and granted in the field.
fn grant<'a>(plan: &'a Plan, field: &str) -> (Option<&'a str>, Option<&'a str>) {
    let grant = plan.grants.iter().find(|grant| grant.field == field).expect(field);
    assert!(grant.asked == grant.granted || grant.reason.is_some(), "{grant:?}");
    (grant.asked.as_deref(), grant.granted.as_deref())
}

#[tokio::test(start_paused = true)]
async fn resources_are_rounded_up_and_limited() {
    let place = Place::new(json!({ "memory": "1g", "memory_step": "256m", "cpu": 2, "cpu_step": "250m" })).await;
    let ask = |mib, millis| {
        plan(&place, |template| {
            template.resources.memory = Some(ByteSize::from_mib(mib));
            template.resources.cpu = Cpu::from_millis(millis);
        })
    };
    let rounded = ask(300, 600).unwrap();
    assert_eq!(grant(&rounded, "resources.memory"), (Some("300MiB"), Some("512MiB")));
    assert_eq!(grant(&rounded, "resources.cpu"), (Some("600m"), Some("750m")));
    assert_eq!(rounded.template.resources.memory, Some(ByteSize::from_mib(512)));
    assert_eq!(rounded.template.resources.cpu, Cpu::from_millis(750));
    let exact = ask(512, 750).unwrap();
    assert_eq!(grant(&exact, "resources.memory"), (Some("512MiB"), Some("512MiB")));
    for (mib, millis, named) in [(1025, 1, "memory"), (1, 2001, "cpu")] {
        let error = ask(mib, millis).unwrap_err();
        assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains(named), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn limits_that_can_not_be_held_to_are_dropped() {
    let place = Place::new(json!({ "limits": false })).await;
    let plan = plan(&place, |template| template.resources.memory = Some(ByteSize::from_mib(300))).unwrap();
    assert_eq!(grant(&plan, "resources.memory"), (Some("300MiB"), None));
    assert_eq!(plan.template.resources.memory, None);
    assert!(plan.grants.iter().all(|grant| grant.field != "resources.pids"), "{:?}", plan.grants);
}

#[tokio::test(start_paused = true)]
async fn what_the_job_can_do_without_is_dropped_and_what_the_host_adds_is_told() {
    let place = Place::new(json!({ "networks": ["jobs"], "log_cap": "2m" })).await;
    let plan = plan(&place, |template| {
        template.network = Some(Network::Named("jobs".parse().unwrap()));
        template.network_aliases.push("me".parse().unwrap());
    })
    .unwrap();
    assert_eq!(grant(&plan, "network_aliases"), (Some("me"), None));
    assert_eq!(plan.template.network_aliases, []);
    assert_eq!(grant(&plan, "log_cap"), (None, Some("2MiB")));
    assert_eq!(plan.template.log_cap, Some(ByteSize::from_mib(2)));
}

#[tokio::test(start_paused = true)]
async fn what_the_host_does_not_have_is_refused_by_name() {
    type Change = fn(&mut JobTemplate);
    let place = Place::new(json!({ "without": ["stop"], "gpu": { "count": 2, "vendor": "nvidia" } })).await;
    let gpu = |value: serde_json::Value| serde_json::from_value(value).ok();
    let refused: [(&str, Change); 5] = [
        ("network", |it| it.network = Some(Network::Named("nobodys".parse().unwrap()))),
        ("mounts", |it| it.mounts.push(Mount::new(MountSource::Bind("/srv".to_owned()), "/mnt"))),
        ("platform", |it| it.platform = "linux/riscv64".parse().ok()),
        ("run_timeout", |it| it.run_timeout = Some(SECOND)),
        ("start_timeout", |it| it.start_timeout = Some(SECOND)),
    ];
    for (field, change) in refused {
        let error = plan(&place, change).unwrap_err();
        assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains(field), "{field}: {error}");
    }
    for (asked, fits) in [
        (json!({ "count": 2 }), true),
        (json!({ "count": 1, "vendor": "nvidia" }), true),
        (json!({ "count": 3 }), false),
        (json!({ "count": 1, "vendor": "amd" }), false),
        (json!({ "count": 1, "minimum_memory": "8g" }), false),
    ] {
        assert_eq!(plan(&place, |it| it.resources.gpu = gpu(asked.clone())).is_ok(), fits, "{asked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_jobs_own_options_are_checked() {
    let place = Place::new(json!({})).await;
    let with = |options| plan(&place, |it| drop(it.executor_options.insert("mock".parse().unwrap(), options)));
    let error = with(json!({ "pendng": "1s" })).unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("pendng"), "{error}");
    with(json!({ "pending": "1s" })).unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_providers_own_secrets_are_delivered_by_token_and_no_others() {
    let place = Place::new(json!({ "launch": { "by-token": { "window": "1h" } } })).await;
    place.provider.store_secret("db", b"canary");
    let with = |reference: &str| {
        let reference: SecretReference = reference.parse().unwrap();
        let mut template = template(&["read /run/secrets/DB", "env URL"]);
        template.secrets.push(SecretBinding::file("DB".parse().unwrap(), reference.clone()));
        template.secrets.push(SecretBinding::env("URL".parse().unwrap(), reference));
        place.request_for(template)
    };
    let error = with("env:HOME").unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("secrets"), "{error}");

    let request = with("provider:db").unwrap();
    assert!(request.plan.notices.iter().any(|notice| notice.contains("URL")), "{:?}", request.plan.notices);
    let handle = place.executor.launch_job(&request).await.unwrap();
    place.sleep(SECOND).await;
    let page = place.executor.get_logs(&handle, &longshore_core::LogQuery::from_start()).await.unwrap();
    let log: Vec<u8> = page.records.iter().flat_map(|record| record.bytes.to_vec()).collect();
    assert_eq!(log, b"canarycanary\n");
    assert!(!format!("{:?} {:?} {handle:?}", place.executor, place.provider).contains("canary"));

    let missing = place.executor.launch_job(&with("provider:nobodys").unwrap()).await.unwrap_err();
    assert!(missing.kind() == ErrorKind::SecretUnavailable && missing.to_string().contains("DB"), "{missing}");
}

#[tokio::test(start_paused = true)]
async fn a_provider_may_keep_its_secrets_in_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"canary").unwrap();
    let place = Place::new(json!({ "secrets": { "db": format!("file:{}", file.path().display()) } })).await;
    let mut template = template(&["env DB"]);
    template.secrets.push(SecretBinding::env("DB".parse().unwrap(), "provider:db".parse().unwrap()));
    let handle = place.executor.launch_job(&place.request_for(template).unwrap()).await.unwrap();
    place.sleep(SECOND).await;
    let page = place.executor.get_logs(&handle, &longshore_core::LogQuery::from_start()).await.unwrap();
    assert_eq!(page.records[0].bytes, "canary\n");
}

#[tokio::test(start_paused = true)]
async fn mounted_folders_hold_their_files() {
    let place = Place::new(json!({ "folders": { "/srv/kit": { "a/b": "mounted" } } })).await;
    let mut template = template(&["read /mnt/a/b", "write /mnt/a/b over"]);
    template.mounts.push(Mount::new(MountSource::Bind("/srv/kit".to_owned()), "/mnt").read_only());
    let handle = place.executor.launch_job(&place.request_for(template).unwrap()).await.unwrap();
    place.sleep(SECOND).await;
    assert_eq!(place.end(&handle).await.exit_code, Some(73));
    assert_eq!(place.executor.harvest_job(&handle).await.unwrap().logs.stdout_bytes, 7);
}
