//! A small world of hosts, and jobs written as text.

use longshore_core::{
    Capabilities, Capability, ContainerJob, Error, ErrorKind, ExecutionHost, HostFacts, HostSettings, JobId,
    JobTemplate, LaunchIdempotency, Plan, PreferredExecutor, Principal, Timestamp,
    route::{CircuitState, Condition, RouteRequest, RoutedHost, RoutingSnapshot, Rule, Target},
    testing::MockContainerExecutor,
};
use std::sync::Arc;

/// A Wednesday, 14:30 UTC.
pub(crate) fn now() -> Timestamp {
    "2026-07-15T14:30:00Z".parse().unwrap()
}

/// A host of which its executor knows that it has so much memory and runs these platforms.
pub(crate) fn host(host: ExecutionHost, memory: &str, platforms: &[&str]) -> RoutedHost {
    let facts = HostFacts::builder()
        .discovered_at(now())
        .engine("engine 1")
        .memory(memory.parse().unwrap())
        .platforms(platforms.iter().map(|platform| platform.parse().unwrap()).collect())
        .build();
    RoutedHost::new(host.clone(), Arc::new(executor(&host, Some(facts))))
}

/// A host that has not been reached yet.
pub(crate) fn unreached(host: &ExecutionHost) -> RoutedHost {
    RoutedHost::new(host.clone(), Arc::new(executor(host, None)))
}

pub(crate) fn executor(host: &ExecutionHost, facts: Option<HostFacts>) -> MockContainerExecutor {
    let mut executor = bare_executor(host, facts.clone());
    let (name, kind) = (host.name.clone(), host.executor_type.clone());
    executor.expect_plan().returning(move |job| {
        let Some(facts) = &facts else { return Err(Error::new(ErrorKind::Unavailable, "nothing is known of it yet")) };
        let template = job.template();
        if let (Some(asked), Some(most)) = (template.resources.memory, facts.memory)
            && asked > most
        {
            return Err(Error::new(ErrorKind::Unsupported, format!("{asked} of memory is more than it has, {most}")));
        }
        let maker = planner(&name, &kind);
        Ok(Plan::granting(job, &maker, HostSettings::new(1, serde_json::Value::Null)))
    });
    executor
}

/// The same, which plans nothing yet.
pub(crate) fn bare_executor(host: &ExecutionHost, facts: Option<HostFacts>) -> MockContainerExecutor {
    let mut executor = MockContainerExecutor::new();
    let (name, kind, facts) = (host.name.clone(), host.executor_type.clone(), facts.map(Arc::new));
    executor.expect_executor_type().return_const(kind.clone());
    executor.expect_host().return_const(name.clone());
    let all = [Capability::RegistryImages, Capability::Command, Capability::MemoryLimit, Capability::CpuLimit];
    let further = [Capability::Labels, Capability::Environment, Capability::Platform, Capability::Gpu];
    let gpu = kind.as_str() != "docker";
    let declared = all.into_iter().chain(further).filter(|capability| gpu || *capability != Capability::Gpu);
    executor.expect_capabilities().return_const(Capabilities::new(LaunchIdempotency::ByKey, declared));
    executor.expect_facts().return_const(facts);
    executor
}

/// `Plan::granting` asks an executor for its names only.
pub(crate) fn planner(name: &longshore_core::HostName, kind: &longshore_core::ExecutorType) -> MockContainerExecutor {
    let mut executor = MockContainerExecutor::new();
    executor.expect_executor_type().return_const(kind.clone());
    executor.expect_host().return_const(name.clone());
    executor
}

/// A configured host of a kind: `name kind key=value …`.
pub(crate) fn configured(text: &str) -> ExecutionHost {
    let mut words = text.split_whitespace();
    let (name, kind) = (words.next().unwrap().parse().unwrap(), words.next().unwrap().parse().unwrap());
    let mut host = ExecutionHost::builder().name(name).executor_type(kind).build();
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("weight", value) => host.weight = value.parse().unwrap(),
            ("most", value) => host.max_concurrent_jobs = Some(value.parse().unwrap()),
            ("region", value) => host.region = Some(value.parse().unwrap()),
            ("residency", value) => host.residency = Some(value.parse().unwrap()),
            ("disabled", _) => host.enabled = false,
            other => panic!("{other:?}"),
        }
    }
    host
}

/// A job: `name key=value …`, and what it is bound to.
pub(crate) fn job(text: &str) -> (ContainerJob, Option<Target>) {
    let mut words = text.split_whitespace();
    let template =
        JobTemplate::builder().name(words.next().unwrap().parse().unwrap()).image("tool:1".parse().unwrap()).build();
    let mut job = ContainerJob::builder().id(JobId::new(now())).template(template).created_at(now()).build();
    let mut bound = None;
    for word in words {
        let (key, value) = word.split_once('=').unwrap();
        let template = &mut job.template;
        let wish =
            |required| Some(PreferredExecutor::builder().host(value.parse().unwrap()).required(required).build());
        match key {
            "memory" => template.resources.memory = Some(value.parse().unwrap()),
            "cpu" => template.resources.cpu = Some(value.parse().unwrap()),
            "gpus" => {
                let count = value.parse().unwrap();
                template.resources.gpu = Some(longshore_core::GpuRequest::builder().count(count).build());
            }
            "platform" => template.platform = Some(value.parse().unwrap()),
            "region" => template.placement.regions = value.split(',').map(|name| name.parse().unwrap()).collect(),
            "residency" => template.placement.residency = Some(value.parse().unwrap()),
            "takes" => template.expected_duration = Some(std::time::Duration::from_secs(value.parse().unwrap())),
            "user" => {
                let (name, groups) = value.split_once(':').unwrap_or((value, ""));
                let groups = groups.split(',').filter(|group| !group.is_empty()).map(str::to_owned).collect();
                job.created_by = Some(Principal::builder().name(name).groups(groups).build());
            }
            "prefers" => job.preferred_executor = wish(false),
            "requires" => job.preferred_executor = wish(true),
            "host" => bound = Some(Target::Host(value.parse().unwrap())),
            "executor" => bound = Some(Target::Executor(value.parse().unwrap())),
            label => {
                let label = label.strip_prefix('+').unwrap_or_else(|| panic!("{label}"));
                let value = longshore_core::LabelValue::new(value).unwrap();
                template.labels.insert(label.parse().unwrap(), value);
            }
        }
    }
    (job, bound)
}

/// What is true now: `running=HOST:N open=HOST overdue=HOST cooling=HOST cooled=HOST paused=HOST`.
pub(crate) fn with_state(mut snapshot: RoutingSnapshot, text: &str) -> RoutingSnapshot {
    let until: Timestamp = "2026-07-15T14:35:00Z".parse().unwrap();
    for word in text.split_whitespace() {
        let (key, value) = word.split_once('=').unwrap();
        let (name, count) = value.split_once(':').unwrap_or((value, "0"));
        let why = || "it refused".to_owned();
        snapshot = snapshot.with(&name.parse().unwrap(), |state| match key {
            "running" => state.running = count.parse().unwrap(),
            "open" => state.circuit = CircuitState::Open { until, why: why() },
            "overdue" => state.circuit = CircuitState::Open { until: now(), why: why() },
            "cooling" => state.circuit = CircuitState::CoolingDown { until, why: why() },
            "cooled" => state.circuit = CircuitState::CoolingDown { until: now(), why: why() },
            "paused" => state.paused = Some("maintenance".to_owned()),
            other => panic!("{other}"),
        });
    }
    snapshot
}

/// A rule: `name priority? spill? target`, its condition and its reason.
pub(crate) fn rule(text: &str, condition: Condition, reason: &str) -> Rule {
    let mut words = text.split_whitespace();
    let name = words.next().unwrap().parse().unwrap();
    let mut rule = Rule::new(name, condition, Target::Anywhere, reason);
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("priority", value) => rule = rule.with_priority(value.parse().unwrap()),
            ("spill", _) => rule = rule.spilling(true),
            ("host", value) => rule.target = Target::Host(value.parse().unwrap()),
            ("executor", value) => rule.target = Target::Executor(value.parse().unwrap()),
            other => panic!("{other:?}"),
        }
    }
    rule
}

/// The decision in a line: `chosen HOST: REASON`, `not now[ until TIME]: …` or `never: …`.
pub(crate) fn decided(snapshot: &RoutingSnapshot, text: &str) -> String {
    use longshore_core::route::RouteOutcome;
    let (job, bound) = job(text);
    let mut request = RouteRequest::new(&job, now());
    request.bound = bound;
    let route = snapshot.route(&request);
    assert_eq!(route.executor.is_some(), route.decision.host().is_some());
    match &route.decision.outcome {
        RouteOutcome::Chosen { host, reason, .. } => format!("chosen {host}: {reason}"),
        RouteOutcome::NotNow { reason, ask_again_at: Some(at) } => format!("not now until {at}: {reason}"),
        RouteOutcome::NotNow { reason, .. } => format!("not now: {reason}"),
        RouteOutcome::Never { .. } => format!("never: {}", route.decision.error().unwrap().message()),
        other => format!("{other:?}"),
    }
}
