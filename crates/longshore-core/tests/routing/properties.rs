//! What holds for every decision.

use longshore_core::{
    ContainerJob, ExecutionHost, JobId,
    route::{Policy, RejectionKind, Route, RouteRequest, RoutedHost, RoutingSnapshot, RoutingTable, Target, Verdict},
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeMap, sync::Arc};

use crate::world::{self, configured, now, rule, with_state};

const KINDS: [&str; 3] = ["docker", "fargate", "cloudrun"];
const REGIONS: [&str; 3] = ["north", "south", "west"];

/// A host, and what is true of it.
#[derive(Debug, Clone)]
struct Place {
    host: ExecutionHost,
    memory: u32,
    state: String,
}

#[derive(Debug, Clone)]
struct World {
    places: Vec<Place>,
    rules: Vec<(String, Target, i64, bool)>,
    default: Target,
    fallback: Target,
    policy: Policy,
}

impl World {
    fn hosts(&self) -> Vec<RoutedHost> {
        let host = |place: &Place| world::host(place.host.clone(), &format!("{}g", place.memory), &[]);
        self.places.iter().map(host).collect()
    }

    /// The world as a snapshot; none when a target has no host left.
    fn snapshot(&self) -> Option<RoutingSnapshot> {
        let condition = |text: &str| {
            let condition = longshore_core::rules::Condition::parse(text, &[]);
            longshore_core::route::Condition::Cel(condition.unwrap())
        };
        let rules = self.rules.iter().enumerate().map(|(at, (text, target, priority, spill))| {
            let mut rule = rule(&format!("r{at}"), condition(text), "a rule").with_priority(*priority).spilling(*spill);
            rule.target = target.clone();
            rule
        });
        let table = RoutingTable::builder()
            .hosts(self.hosts())
            .rules(rules.collect())
            .default(self.default.clone())
            .fallback(vec![self.fallback.clone()])
            .policy(self.policy)
            .build();
        let state: Vec<&str> = self.places.iter().map(|place| place.state.as_str()).collect();
        Some(with_state(RoutingSnapshot::new(Arc::new(table.ok()?)), &state.join(" ")))
    }
}

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KINDS[..])
}

fn place(at: usize) -> impl Strategy<Value = Place> {
    let state = prop::sample::select(&["", "running=H:1", "running=H:9", "open=H", "cooling=H", "paused=H"][..]);
    let disabled = prop::sample::select(&["", "", "", "disabled"][..]);
    (kind(), 0..4_u32, prop::sample::select(&REGIONS[..]), 1..64_u32, state, disabled).prop_map(
        move |(kind, weight, region, memory, state, disabled)| {
            let text = format!("h{at} {kind} weight={weight} region={region} most=5 {disabled}");
            Place { host: configured(&text), memory, state: state.replace('H', &format!("h{at}")) }
        },
    )
}

fn target(hosts: usize) -> impl Strategy<Value = Target> {
    prop_oneof![
        (0..hosts).prop_map(|at| Target::Host(format!("h{at}").parse().unwrap())),
        kind().prop_map(|kind| Target::Executor(kind.parse().unwrap())),
    ]
}

fn worlds() -> impl Strategy<Value = World> {
    let conditions = ["template.memory_limit > 4096", "'a' in user.groups", "template.name.startsWith('b')", "true"];
    let rule = (prop::sample::select(conditions.to_vec()), target(9), -1..2_i64, any::<bool>());
    let policy = prop::sample::select(vec![Policy::Weighted, Policy::Cheapest, Policy::LeastLoaded]);
    let places: Vec<_> = (0..9).map(place).collect();
    (places, vec(rule, 0..5), kind(), kind(), policy).prop_map(|(places, rules, default, fallback, policy)| World {
        places,
        rules: rules
            .into_iter()
            .map(|(text, target, priority, spill)| (text.to_owned(), target, priority, spill))
            .collect(),
        default: Target::Executor(default.parse().unwrap()),
        fallback: Target::Executor(fallback.parse().unwrap()),
        policy,
    })
}

fn jobs() -> impl Strategy<Value = ContainerJob> {
    let name = prop::sample::select(vec!["a", "b"]);
    let memory = prop::sample::select(vec!["", "memory=2g", "memory=8g", "memory=40g"]);
    let region = prop::sample::select(vec!["", "", "region=north", "region=south,west"]);
    let user = prop::sample::select(vec!["", "user=u:a", "user=u:b"]);
    let wish = prop::sample::select(vec!["", "", "prefers=h1", "prefers=h2", "requires=h3", "prefers=docker"]);
    (name, memory, region, user, wish)
        .prop_map(|(name, memory, region, user, wish)| world::job(&format!("{name} {memory} {region} {user} {wish}")).0)
}

fn routed(snapshot: &RoutingSnapshot, job: &ContainerJob) -> Route {
    snapshot.route(&RouteRequest::new(job, now()))
}

fn id(number: u128) -> JobId {
    // The version and variant of a UUID version 7.
    let bits = (number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835) & !(0xf << 76)) | (7 << 76);
    longshore_core::JobId::try_from(uuid::Uuid::from_u128(bits).to_string()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_choice_passes_its_own_filters(world in worlds(), job in jobs()) {
        let Some(snapshot) = world.snapshot() else { return Ok(()) };
        let route = routed(&snapshot, &job);
        let Some(name) = route.decision.host() else { return Ok(()) };
        let place = world.places.iter().find(|place| place.host.name == *name).unwrap();
        let state = snapshot.state(name).unwrap();
        prop_assert!(place.host.enabled);
        prop_assert!(job.template.placement.check(&place.host).is_ok());
        prop_assert!(job.template.resources.memory.is_none_or(|asked| asked.bytes() <= u64::from(place.memory) << 30));
        prop_assert!(state.paused.is_none() && state.running < 5);
        prop_assert!(matches!(state.circuit, longshore_core::route::CircuitState::Closed));
        let plan = route.plan.unwrap();
        prop_assert_eq!(&plan.host, name);
        prop_assert_eq!(&plan.template, &job.template);
        let by_name = matches!(&route.decision.stages.last().unwrap().target, Target::Host(_));
        prop_assert!(place.host.weight > 0 || by_name);
    }

    #[test]
    fn the_same_input_gives_the_same_decision(world in worlds(), job in jobs()) {
        let (Some(one), Some(other)) = (world.snapshot(), world.snapshot()) else { return Ok(()) };
        let first = routed(&one, &job).decision;
        prop_assert_eq!(&first, &routed(&one, &job).decision);
        prop_assert_eq!(&first, &routed(&other, &job).decision);
        let stored = serde_json::to_string(&first).unwrap();
        prop_assert_eq!(first, serde_json::from_str(&stored).unwrap());
    }

    #[test]
    fn a_rejected_host_can_go_without_changing_the_choice(world in worlds(), job in jobs()) {
        let Some(snapshot) = world.snapshot() else { return Ok(()) };
        let decision = routed(&snapshot, &job).decision;
        let Some(chosen) = decision.host() else { return Ok(()) };
        for (rejected, _) in decision.rejections().filter(|(rejected, _)| *rejected != chosen) {
            let mut without = world.clone();
            without.places.retain(|place| place.host.name != *rejected);
            without.rules.retain(|(_, target, _, _)| *target != Target::Host(rejected.clone()));
            let Some(snapshot) = without.snapshot() else { continue };
            let again = routed(&snapshot, &job).decision;
            prop_assert_eq!(again.host(), Some(chosen), "without {}", rejected);
        }
    }

    #[test]
    fn every_candidate_that_is_not_chosen_says_why(world in worlds(), job in jobs()) {
        let Some(snapshot) = world.snapshot() else { return Ok(()) };
        let decision = routed(&snapshot, &job).decision;
        let chosen = decision.stages.iter().flat_map(|stage| &stage.candidates);
        let chosen = chosen.filter(|candidate| candidate.verdict == Verdict::Chosen).count();
        prop_assert_eq!(chosen, usize::from(decision.host().is_some()));
        prop_assert!(decision.rejections().all(|(_, rejection)| !rejection.why.is_empty()));
        let error = decision.error();
        prop_assert_eq!(error.is_none(), decision.host().is_some());
        for (host, rejection) in decision.rejections() {
            let line = format!("{host}: {}", rejection.why);
            let told = error.as_ref().is_none_or(|error| error.message().contains(&line));
            prop_assert!(told, "{line}");
        }
    }
}

/// How often each host is chosen for `draws` jobs.
fn shares(policy: Policy, hosts: &[&str], draws: u32) -> BTreeMap<String, u32> {
    let hosts = hosts.iter().map(|text| world::host(configured(text), "1g", &[])).collect();
    let table = RoutingTable::builder().hosts(hosts).policy(policy).build().unwrap();
    let snapshot = RoutingSnapshot::new(Arc::new(table));
    let mut job = world::job("a").0;
    let mut shares = BTreeMap::new();
    for number in 0..draws {
        job.id = id(u128::from(number));
        let name = routed(&snapshot, &job).decision.host().unwrap().to_string();
        *shares.entry(name).or_insert(0) += 1;
    }
    shares
}

#[test]
fn weighted_choice_matches_its_weights() {
    let draws = 100_000;
    let shares = shares(
        Policy::Weighted,
        &["one docker weight=1", "two docker weight=2", "never docker weight=0", "seven fargate weight=7"],
        draws,
    );
    assert_eq!(shares.len(), 3, "{shares:?}");
    for (host, weight) in [("one", 0.1), ("two", 0.2), ("seven", 0.7)] {
        let (expected, share) = (weight * f64::from(draws), f64::from(shares[host]));
        // Five standard deviations of a binomial count: about one seed in two million is further off.
        let tolerance = 5.0 * (f64::from(draws) * weight * (1.0 - weight)).sqrt();
        assert!((share - expected).abs() < tolerance, "{host}: {share} for {expected} ± {tolerance}");
    }
}

#[test]
fn equals_are_drawn_by_weight_under_the_other_policies_too() {
    for policy in [Policy::Cheapest, Policy::LeastLoaded] {
        let shares = shares(policy, &["a docker", "b docker", "c docker weight=0"], 2_000);
        assert!(shares["a"] > 850 && shares["b"] > 850 && shares.len() == 2, "{policy:?}: {shares:?}");
    }
}

#[test]
fn the_least_loaded_has_the_fewest_running_jobs_for_its_weight() {
    let hosts = ["a docker weight=1", "b docker weight=4"].map(|text| world::host(configured(text), "1g", &[]));
    let table = RoutingTable::builder().hosts(hosts.to_vec()).policy(Policy::LeastLoaded).build().unwrap();
    let snapshot = RoutingSnapshot::new(Arc::new(table));
    for (state, expected) in [("running=a:1", "b"), ("running=a:1 running=b:3", "b"), ("running=a:1 running=b:5", "a")]
    {
        let decided = world::decided(&with_state(snapshot.clone(), state), "report");
        assert!(decided.starts_with(&format!("chosen {expected}:")), "{state}: {decided}");
    }
}

#[test]
fn the_kinds_that_pass_by_themselves_are_those_that_wait() {
    let temporary = [
        RejectionKind::Unreachable,
        RejectionKind::Paused,
        RejectionKind::CircuitOpen,
        RejectionKind::CoolDown,
        RejectionKind::Full,
    ];
    let permanent =
        [RejectionKind::Disabled, RejectionKind::ByNameOnly, RejectionKind::Place, RejectionKind::Incapable];
    assert!(temporary.iter().all(|kind| kind.is_temporary()));
    assert!(!permanent.iter().any(|kind| kind.is_temporary()));
}
