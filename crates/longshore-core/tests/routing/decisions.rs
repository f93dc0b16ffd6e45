//! Decisions as a whole: what they say, and when they say to ask again.

use longshore_core::{
    Advice, ContainerExecutor, ErrorKind, ExecutionHost, Timestamp,
    clock::later,
    route::{
        Budget, BudgetPeriod, CircuitState, Condition, Policy, RouteDecision, RouteOutcome, RouteRequest,
        RoutingSnapshot, RoutingTable, Target, UnknownPrice,
    },
};
use std::{sync::Arc, time::Duration};

use crate::{
    money::{money, prices, table},
    world::{configured, decided, executor, host, job, now, rule, with_state},
};

#[test]
fn an_explanation_names_every_candidate_and_why() {
    let table = RoutingTable::builder()
        .hosts(vec![
            host(configured("full docker most=1"), "8g", &[]),
            host(configured("small docker"), "1g", &[]),
            host(configured("big fargate weight=2"), "64g", &[]),
            host(configured("other fargate"), "64g", &[]),
        ])
        .rules(vec![
            rule(
                "memory executor=docker spill",
                Condition::cel("template.memory_limit > 2048", &[]).unwrap(),
                "needs memory",
            ),
            rule("strange host=big", Condition::cel("labels.team == 'x'", &[]).unwrap(), "-"),
        ])
        .default(Target::Executor("fargate".parse().unwrap()))
        .build()
        .unwrap();
    let snapshot = with_state(RoutingSnapshot::new(Arc::new(table)), "running=full:1 open=other");
    let (job, _) = job("a memory=4g");
    let decision = snapshot.route(&RouteRequest::new(&job, now())).decision;
    let expected = "\
chosen: big (fargate)
reason: the default

rule memory → executor docker: needs memory
  full   full: 1 of 1 jobs run there
  small  4GiB of memory is more than it has, 1GiB

default → executor fargate: the default
  big    chosen
  other  it refused (until 2026-07-15T14:35:00Z)

expected cost: unknown: a has neither an expected_duration nor a run_timeout; set one

rule strange did not apply: the job has no label \"team\"; ask first with `\"team\" in labels && …`
";
    assert_eq!(decision.to_string(), expected);
}

#[test]
fn what_waits_says_when_to_ask_again_and_what_never_fits_is_an_error() {
    let snapshot = table(&["one"], prices(), Vec::new(), Policy::Weighted, UnknownPrice::default());
    let decide = |snapshot: &RoutingSnapshot, text: &str| {
        let (job, _) = job(text);
        snapshot.route(&RouteRequest::new(&job, now())).decision
    };
    let waits = decide(&with_state(snapshot.clone(), "open=one"), "a").error().unwrap();
    assert_eq!((waits.kind(), waits.advice()), (ErrorKind::Capacity, Advice::After(Duration::from_secs(300))));
    let never = decide(&snapshot, "a memory=2g").error().unwrap();
    assert_eq!((never.kind(), never.advice()), (ErrorKind::Unsupported, Advice::Permanent));
    assert_eq!(never.operation(), Some("route_job"));
    assert!(decide(&snapshot, "a").error().is_none());
}

/// A rule over the hosts of a kind, whose jobs wait when those are full.
fn waiting(hosts: &[&str], budgets: Vec<Budget>) -> RoutingSnapshot {
    let table = RoutingTable::builder()
        .hosts(hosts.iter().map(|text| host(configured(text), "1g", &[])).collect())
        .rules(vec![rule("all executor=docker", Condition::Always, "they are cheap")])
        .fallback(vec![Target::Executor("fargate".parse().unwrap())])
        .prices(prices())
        .budgets(budgets)
        .build();
    RoutingSnapshot::new(Arc::new(table.unwrap()))
}

fn asked_again(snapshot: &RoutingSnapshot, text: &str) -> Option<Timestamp> {
    let decision: RouteDecision = snapshot.route(&RouteRequest::new(&job(text).0, now())).decision;
    match decision.outcome {
        RouteOutcome::NotNow { ask_again_at, .. } => ask_again_at,
        _ => panic!("{decision}"),
    }
}

#[test]
fn a_job_that_waits_asks_again_when_another_host_of_the_same_target_has_recovered() {
    let hosts = ["full docker most=1", "other docker most=1", "third docker", "away fargate"];
    let recovers = "2026-07-15T14:35:00Z".parse().unwrap();
    let busy = waiting(&hosts, Vec::new());
    for (state, expected) in [
        ("running=full:1 paused=other paused=third", None),
        ("running=full:1 cooling=other paused=third", Some(recovers)),
        ("running=full:1 open=other paused=third", Some(recovers)),
        // What recovers and is full as well can't take it.
        ("running=full:1 running=other:1 cooling=other paused=third", None),
        // What was to recover before now says nothing, nor does a host of another stage.
        ("running=full:1 overdue=other paused=third", None),
        ("running=full:1 paused=other paused=third cooling=away", None),
    ] {
        assert_eq!(asked_again(&with_state(busy.clone(), state), "a"), expected, "{state}");
    }
    // A budget that begins anew makes no room, and a host that it keeps from the job takes none.
    let budget = Budget::new("b".parse().unwrap(), BudgetPeriod::Day).hard_at(money("10 USD"));
    let names = ["one docker most=1", "two docker", "away fargate"];
    let budgeted = waiting(&names, vec![budget.on([Target::Host("two".parse().unwrap())])]);
    let budgeted = budgeted.with_spent("b".parse().unwrap(), money("5 USD"));
    assert_eq!(asked_again(&with_state(budgeted, "running=one:1 cooling=two"), "a cpu=1 takes=5"), None);
}

#[test]
fn a_job_that_nobody_takes_never_asks_again_in_the_past() {
    let hosts = ["one docker", "two docker", "away fargate"];
    let ill = waiting(&hosts, Vec::new());
    let soon = later(now(), Duration::from_secs(1));
    let recovers = "2026-07-15T14:35:00Z".parse().unwrap();
    for (state, expected) in [
        ("paused=one paused=two paused=away", None),
        ("open=one cooling=two paused=away", Some(recovers)),
        // A circuit whose time has come is probed at any moment.
        ("overdue=one cooling=two paused=away", Some(soon)),
        ("overdue=one paused=two paused=away", Some(soon)),
        ("cooling=one paused=two paused=away", Some(recovers)),
    ] {
        assert_eq!(asked_again(&with_state(ill.clone(), state), "a"), expected, "{state}");
    }
}

#[test]
fn a_host_that_was_never_reached_is_no_hope_for_what_it_can_not_do() {
    let unreached = crate::world::unreached(&configured("new docker"));
    let table = RoutingTable::builder().hosts(vec![unreached]).build().unwrap();
    let snapshot = RoutingSnapshot::new(Arc::new(table));
    let why = || "the name can't be resolved".to_owned();
    let snapshot = snapshot.with(&"new".parse().unwrap(), |state| state.unreachable = Some(why()));
    let refused = |text: &str| {
        let decision = snapshot.route(&RouteRequest::new(&job(text).0, now())).decision;
        decision.error().unwrap().message().to_owned()
    };
    assert!(refused("a").ends_with("; new: the name can't be resolved"), "{}", refused("a"));
    assert!(decided(&snapshot, "a").starts_with("not now"));
    assert!(decided(&snapshot, "a gpus=1").starts_with("never: "), "{}", decided(&snapshot, "a gpus=1"));
    assert!(refused("a gpus=1").contains("needs `gpu`"), "{}", refused("a gpus=1"));
}

#[test]
fn what_would_do_says_at_what_cost() {
    let snapshot = table(&["one", "two", "free"], prices(), Vec::new(), Policy::Cheapest, UnknownPrice::default());
    let decision = snapshot.route(&RouteRequest::new(&job("a cpu=1 takes=10").0, now())).decision;
    let shown = decision.to_string();
    for line in [
        "  one   chosen\n",
        "  two   would do at 20 USD; the policy chose another\n",
        "  free  would do; the policy chose another\n",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    let costs: Vec<_> = decision.stages[0].candidates.iter().map(|candidate| candidate.cost.clone()).collect();
    assert_eq!(costs, [None, Some(money("10 USD")), Some(money("20 USD"))]);
    let closed = snapshot.with(&"two".parse().unwrap(), |state| {
        state.circuit = CircuitState::Open { until: now(), why: "no".to_owned() };
    });
    let decision = closed.route(&RouteRequest::new(&job("a cpu=1 takes=10").0, now())).decision;
    assert_eq!(decision.stages[0].candidates[2].cost, None);
}

#[test]
fn a_host_that_is_not_known_yet_is_taken_at_its_word_where_that_is_asked_for() {
    let unreached = crate::world::unreached(&configured("new docker"));
    let table = RoutingTable::builder().hosts(vec![unreached]).build().unwrap();
    let snapshot = RoutingSnapshot::new(Arc::new(table));
    assert!(decided(&snapshot, "a").starts_with("not now"));
    let offline = snapshot.assuming_reachable();
    assert!(decided(&offline, "a memory=100g").starts_with("chosen new"));
    assert!(decided(&offline, "a gpus=1").starts_with("never"));
}

#[test]
fn a_job_that_asks_for_a_place_is_refused_where_the_place_is_not_known() {
    let (job, _) = job("a region=north");
    let executor = executor(&configured("h docker"), None);
    let error = longshore_core::CheckedJob::new(&job, &executor).unwrap_err();
    assert!(error.message().contains("placement asks for region north"), "{error}");
    let check = |host: &ExecutionHost| longshore_core::CheckedJob::placed(&job.template, &executor, host);
    assert!(check(&configured("h docker region=north")).is_ok());
    let error = check(&configured("h docker region=south")).unwrap_err();
    assert_eq!(error.message(), "placement.regions asks for north, and the host has region south");
    let _: &dyn ContainerExecutor = &executor;
}

#[test]
fn a_host_that_refused_the_job_is_passed_over_and_not_waited_for() {
    let hosts = ["one docker most=1", "two docker", "away fargate"];
    let budget = Budget::new("b".parse().unwrap(), BudgetPeriod::Day).hard_at(money("10 USD"));
    let snapshot = waiting(&hosts, vec![budget.on([Target::Host("two".parse().unwrap())])]);
    let snapshot = with_state(snapshot, "running=one:1");
    let (job, _) = job("a cpu=1 takes=1");
    let names = |names: &[&str]| names.iter().map(|name| name.parse().unwrap()).collect::<Vec<_>>();
    let goes = |refused: &[&str]| {
        let refused = names(refused);
        snapshot.route(&RouteRequest::new(&job, now()).refused_by(&refused))
    };
    let second = goes(&["one"]);
    assert_eq!(second.decision.host().unwrap().as_str(), "two");
    assert_eq!(second.budgets, ["b".parse().unwrap()]);
    let third = goes(&["one", "two"]);
    assert_eq!(third.decision.host().unwrap().as_str(), "away");
    assert!(third.budgets.is_empty());
    assert_eq!(goes(&["one", "two", "away"]).decision.error().unwrap().kind(), ErrorKind::Unsupported);
}
