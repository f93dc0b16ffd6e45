//! What holds for every decision.

use longshore_core::{
    ContainerJob, ExecutionHost, HostName, JobId,
    price::{Estimate, PriceBook, PriceSheet},
    route::{
        Budget, BudgetPeriod, CircuitState, Policy, RejectionKind, Route, RouteOutcome, RouteRequest, RoutedHost,
        RoutingSnapshot, RoutingTable, Target, UnknownPrice, Verdict,
    },
};
use proptest::{collection::vec, prelude::*};
use rust_decimal::Decimal;
use std::{collections::BTreeMap, sync::Arc};

use crate::world::{self, configured, now, rule, with_state};

const KINDS: [&str; 3] = ["docker", "fargate", "cloudrun"];
const REGIONS: [&str; 3] = ["north", "south", "west"];
/// The level of the hard budget, in USD.
const HARD: u32 = 100;

/// A host, and what is true of it.
#[derive(Debug, Clone)]
struct Place {
    host: ExecutionHost,
    memory: u32,
    platforms: Vec<&'static str>,
    /// What a second of a virtual CPU costs there, in USD, where that is known.
    price: Option<u32>,
    state: String,
}

/// A rule: its condition, its target, its priority, whether it lets jobs spill.
type RuleText = (String, Target, i64, bool);

#[derive(Debug, Clone)]
struct World {
    places: Vec<Place>,
    rules: Vec<RuleText>,
    default: Target,
    fallback: Target,
    policy: Policy,
    spent: u32,
    unknown_price: UnknownPrice,
}

impl World {
    fn hosts(&self) -> Vec<RoutedHost> {
        let host = |place: &Place| world::host(place.host.clone(), &format!("{}g", place.memory), &place.platforms);
        self.places.iter().map(host).collect()
    }

    fn prices(&self) -> PriceBook {
        let priced = self.places.iter().filter_map(|place| Some((place.host.name.clone(), place.price?)));
        priced.fold(PriceBook::new(), |book, (name, price)| {
            let sheet = serde_json::json!({ "currency": "USD", "rates": { "vcpu": price, "memory": 0 } });
            book.with(name, serde_json::from_value::<PriceSheet>(sheet).unwrap())
        })
    }

    /// The world as a snapshot; none when a target or a condition has no host left.
    fn snapshot(&self) -> Option<RoutingSnapshot> {
        let names: Vec<HostName> = self.places.iter().map(|place| place.host.name.clone()).collect();
        let condition = |text: &str| longshore_core::rules::Condition::parse(text, &names).ok();
        let rules: Option<Vec<_>> = self
            .rules
            .iter()
            .enumerate()
            .map(|(at, (text, target, priority, spill))| {
                let condition = longshore_core::route::Condition::Cel(condition(text)?);
                let mut rule = rule(&format!("r{at}"), condition, "a rule").with_priority(*priority).spilling(*spill);
                rule.target = target.clone();
                Some(rule)
            })
            .collect();
        let budget = Budget::new("b".parse().unwrap(), BudgetPeriod::Month).hard_at(usd(HARD));
        let table = RoutingTable::builder()
            .hosts(self.hosts())
            .rules(rules?)
            .default(self.default.clone())
            .fallback(vec![self.fallback.clone()])
            .policy(self.policy)
            .prices(self.prices())
            .budgets(vec![budget])
            .unknown_price(self.unknown_price)
            .build();
        let state: Vec<&str> = self.places.iter().map(|place| place.state.as_str()).collect();
        let snapshot = with_state(RoutingSnapshot::new(Arc::new(table.ok()?)), &state.join(" "));
        Some(snapshot.with_spent("b".parse().unwrap(), usd(self.spent)))
    }

    /// The world without a host and without the rules that point at it; none where nobody can say what it would be like.
    fn without(&self, gone: &HostName, job: &ContainerJob) -> Option<Self> {
        // A wish means a kind of executor only where no host of that name exists: without the host that it names it would
        // be another wish.
        if job.preferred_executor.as_ref().is_some_and(|wish| wish.host == *gone) {
            return None;
        }
        // A condition that asks for the host itself can't be asked without it.
        if self.rules.iter().any(|(text, ..)| text.contains(&format!("hosts.{gone}."))) {
            return None;
        }
        let mut without = self.clone();
        without.places.retain(|place| place.host.name != *gone);
        without.rules.retain(|(_, target, ..)| *target != Target::Host(gone.clone()));
        Some(without)
    }
}

fn usd(amount: u32) -> longshore_core::price::Money {
    format!("{amount} USD").parse().unwrap()
}

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KINDS[..])
}

/// A host; the ninth may have the name of a kind of executor.
fn place(at: usize) -> impl Strategy<Value = Place> {
    let states = [
        "",
        "",
        "",
        "",
        "",
        "running=H:1",
        "running=H:2",
        "running=H:5",
        "running=H:9",
        "open=H",
        "overdue=H",
        "cooling=H",
        "cooled=H",
        "paused=H",
    ];
    let disabled = prop::sample::select(&["", "", "", "disabled"][..]);
    let names = if at == 8 { vec!["h8", "docker"] } else { vec![["h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7"][at]] };
    let platforms = vec![vec![], vec!["linux/amd64"], vec!["linux/arm64"], vec!["linux/amd64", "linux/arm64"]];
    let residency = prop::sample::select(&["", "residency=eu", "residency=eu", "residency=ch"][..]);
    let price = prop::option::weighted(0.9, 0..12_u32);
    let what = (kind(), 0..4_u32, prop::sample::select(&REGIONS[..]), residency, disabled, 1..64_u32);
    let how = (prop::sample::select(names), prop::sample::select(platforms), price);
    (what, how, prop::sample::select(states.to_vec())).prop_map(
        move |((kind, weight, region, residency, disabled, memory), (name, platforms, price), state)| {
            let text = format!("{name} {kind} weight={weight} region={region} most=5 {residency} {disabled}");
            Place { host: configured(&text), memory, platforms, price, state: state.replace('H', name) }
        },
    )
}

fn target(hosts: usize) -> impl Strategy<Value = Target> {
    prop_oneof![
        (0..hosts).prop_map(|at| Target::Host(format!("h{at}").parse().unwrap())),
        kind().prop_map(|kind| Target::Executor(kind.parse().unwrap())),
    ]
}

/// Conditions. Those on costs set an upper bound: where nobody takes the job now, it is those who may later that make the
/// cost, and each of them that goes can only raise it, so that no rule begins to hold.
const CONDITIONS: [&str; 8] = [
    "template.memory_limit > 4096",
    "'a' in user.groups",
    "template.name.startsWith('b')",
    "true",
    "estimated_cost < 30.0",
    "estimated_cost <= 80.0 && 'a' in user.groups",
    "hosts.h4.load > 0.5",
    "hosts.h5.free > 1 || hosts.h6.running == 9",
];

fn worlds() -> impl Strategy<Value = World> {
    let rule = (prop::sample::select(&CONDITIONS[..]), target(8), -1..2_i64, any::<bool>());
    let policy = prop::sample::select(vec![Policy::Weighted, Policy::Cheapest, Policy::LeastLoaded]);
    let places: Vec<_> = (0..9).map(place).collect();
    let spent = prop::sample::select(vec![0, 0, 0, 10, 60, 95, HARD, HARD + 1]);
    let unknown = prop::sample::select(vec![UnknownPrice::Refuse, UnknownPrice::Allow]);
    let default = prop_oneof![kind().prop_map(|kind| Target::Executor(kind.parse().unwrap())), Just(Target::Anywhere),];
    let stages = (vec(rule, 0..5), default, kind(), policy);
    (places, stages, spent, unknown).prop_map(|(places, (rules, default, fallback, policy), spent, unknown_price)| {
        World {
            places,
            rules: rules
                .into_iter()
                .map(|(text, target, priority, spill)| (text.to_owned(), target, priority, spill))
                .collect(),
            default,
            fallback: Target::Executor(fallback.parse().unwrap()),
            policy,
            spent,
            unknown_price,
        }
    })
}

fn jobs() -> impl Strategy<Value = ContainerJob> {
    let name = prop::sample::select(vec!["a", "b"]);
    let memory = prop::sample::select(vec!["", "memory=2g", "memory=5g", "memory=40g"]);
    let place = prop::sample::select(vec!["", "", "", "", "region=north", "region=south,west", "residency=eu"]);
    let platform = prop::sample::select(vec!["", "", "", "platform=linux/amd64", "platform=linux/arm64"]);
    let user = prop::sample::select(vec!["", "user=u:a", "user=u:b"]);
    let wish = prop::sample::select(vec![
        "",
        "",
        "prefers=h1",
        "prefers=h2",
        "requires=h3",
        "prefers=docker",
        "prefers=docker",
    ]);
    let time = prop::sample::select(vec!["takes=0", "takes=1", "takes=5", "takes=10", ""]);
    (name, memory, place, platform, user, wish, time).prop_map(|(name, memory, place, platform, user, wish, time)| {
        world::job(&format!("{name} cpu=1 {memory} {place} {platform} {user} {wish} {time}")).0
    })
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
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn the_choice_passes_its_own_filters(world in worlds(), job in jobs()) {
        let Some(snapshot) = world.snapshot() else { return Ok(()) };
        let route = routed(&snapshot, &job);
        let Some(name) = route.decision.host() else { return Ok(()) };
        let place = world.places.iter().find(|place| place.host.name == *name).unwrap();
        let (host, template) = (&place.host, &job.template);
        prop_assert!(host.enabled);
        let regions = &template.placement.regions;
        prop_assert!(regions.is_empty() || host.region.as_ref().is_some_and(|region| regions.contains(region)));
        prop_assert!(template.placement.residency.is_none() || template.placement.residency == host.residency);
        prop_assert!(template.resources.memory.is_none_or(|asked| asked.bytes() <= u64::from(place.memory) << 30));
        let runs = |wanted: &longshore_core::Platform| {
            place.platforms.is_empty() || place.platforms.iter().any(|known| wanted.runs_on(&known.parse().unwrap()))
        };
        prop_assert!(template.platform.as_ref().is_none_or(runs));
        let state = snapshot.state(name).unwrap();
        prop_assert!(state.paused.is_none() && state.running < 5);
        match &state.circuit {
            CircuitState::Closed => {}
            CircuitState::CoolingDown { until, .. } => prop_assert!(*until <= now()),
            other => prop_assert!(false, "{:?}", other),
        }
        let seconds = template.expected_duration.map(|duration| duration.as_secs());
        let cost = place.price.zip(seconds).map(|(price, seconds)| Decimal::from(u64::from(price) * seconds));
        let RouteOutcome::Chosen { estimate, .. } = &route.decision.outcome else { panic!() };
        prop_assert_eq!(estimate.cost().ok().map(longshore_core::price::Money::amount), cost);
        let (spent, hard) = (Decimal::from(world.spent), Decimal::from(HARD));
        match estimate {
            Estimate::Known(known) => prop_assert!(spent + known.total.amount() <= hard, "{}", known.total),
            _ => prop_assert!(world.unknown_price == UnknownPrice::Allow && spent < hard),
        }
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
            let Some(snapshot) = world.without(rejected, &job).and_then(|world| world.snapshot()) else { continue };
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
