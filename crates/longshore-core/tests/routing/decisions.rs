//! The router as a whole: circuits, budgets, costs, reloads, explanations.

use async_trait::async_trait;
use longshore_core::{
    Advice, Clock, ContainerExecutor, Error, ErrorKind, ExecutionHost, Finding, Health, HostFacts, Timestamp,
    clock::later,
    price::{ExchangeRates, PriceBook, PriceSheet},
    route::{
        Budget, BudgetPeriod, CircuitState, Condition, Policy, RouteOutcome, RouteRequest, RoutedHost, Router,
        RoutingSnapshot, RoutingTable, Target, UnknownPrice,
    },
    testing::MockContainerExecutor,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::world::{configured, decided, executor, host, job, now, rule, with_state};

fn priced(per_second: &str, currency: &str) -> PriceSheet {
    serde_json::from_value(json!({ "currency": currency, "rates": { "vcpu": per_second } })).unwrap()
}

fn money(text: &str) -> longshore_core::price::Money {
    text.parse().unwrap()
}

/// Two hosts at 1 and 2 USD a second, one at 0.5 EUR, one without a price.
fn prices() -> PriceBook {
    PriceBook::new()
        .with("one".parse().unwrap(), priced("1", "USD"))
        .with("two".parse().unwrap(), priced("2", "USD"))
        .with("euro".parse().unwrap(), priced("0.5", "EUR"))
}

fn hosts(names: &[&str]) -> Vec<RoutedHost> {
    names.iter().map(|name| host(configured(&format!("{name} docker")), "1g", &[])).collect()
}

fn table(
    names: &[&str],
    prices: PriceBook,
    budgets: Vec<Budget>,
    policy: Policy,
    unknown: UnknownPrice,
) -> RoutingSnapshot {
    let table = RoutingTable::builder()
        .hosts(hosts(names))
        .prices(prices)
        .budgets(budgets)
        .policy(policy)
        .unknown_price(unknown)
        .build()
        .unwrap();
    RoutingSnapshot::new(Arc::new(table))
}

#[test]
fn the_cheapest_is_chosen_and_what_is_not_known_comes_last() {
    let cheapest = |names: &[&str], prices| table(names, prices, Vec::new(), Policy::Cheapest, UnknownPrice::default());
    let job = "a cpu=1 takes=10";
    let all = ["two", "free", "one", "euro"];
    // Without a rate the euro can't be compared, and is not known.
    assert!(decided(&cheapest(&all, prices()), job).starts_with("chosen one"));
    assert!(decided(&cheapest(&["free", "two"], prices()), job).starts_with("chosen two"));
    let rates = ExchangeRates::new().with("EUR".parse().unwrap(), &money("1.1 USD"));
    assert!(decided(&cheapest(&all, prices().with_rates(rates)), job).starts_with("chosen euro"));
    let rates = ExchangeRates::new().with("EUR".parse().unwrap(), &money("3 USD"));
    assert!(decided(&cheapest(&all, prices().with_rates(rates)), job).starts_with("chosen one"));
}

#[test]
fn a_decision_tells_what_it_costs_by_which_prices() {
    let snapshot = table(&["one"], prices(), Vec::new(), Policy::Weighted, UnknownPrice::default());
    let (known, _) = job("a cpu=1.5 takes=10");
    let decision = snapshot.route(&RouteRequest::new(&known, now())).decision;
    let RouteOutcome::Chosen { estimate: Some(estimate), .. } = &decision.outcome else { panic!("{decision}") };
    assert_eq!(estimate.cost().unwrap().to_string(), "15 USD");
    assert!(decision.to_string().contains("expected cost: 15 USD for 10s"), "{decision}");
    let (unknown, _) = job("a cpu=1");
    let decision = snapshot.route(&RouteRequest::new(&unknown, now())).decision;
    assert!(matches!(&decision.outcome, RouteOutcome::Chosen { estimate: None, .. }), "{decision}");
}

#[test]
fn a_rules_estimated_cost_is_that_of_its_own_target() {
    let names: Vec<_> = ["one", "two"].iter().map(|name| name.parse().unwrap()).collect();
    let cel = |text: &str| Condition::cel(text, &names).unwrap();
    let table = RoutingTable::builder()
        .hosts(hosts(&["one", "two", "three"]))
        .prices(prices())
        .rules(vec![
            rule("dear host=two", cel("estimated_cost < 15.0"), "cheap enough for two"),
            rule("cheap host=one", cel("estimated_cost < 15.0"), "cheap enough for one"),
            rule("unknown host=three", cel("estimated_cost < 15.0"), "never"),
        ])
        .default(Target::Host("three".parse().unwrap()))
        .build()
        .unwrap();
    let snapshot = RoutingSnapshot::new(Arc::new(table));
    assert_eq!(decided(&snapshot, "a cpu=1 takes=5"), "chosen two: cheap enough for two");
    assert_eq!(decided(&snapshot, "a cpu=1 takes=10"), "chosen one: cheap enough for one");
    assert_eq!(decided(&snapshot, "a cpu=1 takes=20"), "chosen three: the default");
    let (job, _) = job("a cpu=1 takes=20");
    let notes = snapshot.route(&RouteRequest::new(&job, now())).decision.rule_notes;
    assert_eq!(notes.len(), 1);
    assert!(notes[0].why.contains("set hosts.three.price"), "{notes:?}");
}

#[test]
fn budgets_refuse_warn_and_begin_anew() {
    let budget = |period| Budget::new("b".parse().unwrap(), period);
    let monthly = || budget(BudgetPeriod::Month).warning_at(money("50 USD")).hard_at(money("100 USD"));
    let with = |budget, names: &[&str], unknown| table(names, prices(), vec![budget], Policy::Cheapest, unknown);
    let spent = |snapshot: RoutingSnapshot, text: &str| snapshot.with_spent("b".parse().unwrap(), money(text));
    let job = "a cpu=1 takes=10";
    let refuse = UnknownPrice::Refuse;

    assert!(decided(&spent(with(monthly(), &["one"], refuse), "90 USD"), job).starts_with("chosen one"));
    let over = decided(&spent(with(monthly(), &["one"], refuse), "90.01 USD"), job);
    assert_eq!(over, "not now until 2026-08-01T00:00:00Z: every host that could run this job is busy or ill");
    let dear = decided(&with(monthly(), &["one"], refuse), "a cpu=1 takes=101");
    assert_eq!(
        dear,
        "never: no host can run this job; one: budget b: 101 USD with this job, beyond the limit of 100 USD"
    );
    let total =
        decided(&spent(with(budget(BudgetPeriod::Total).hard_at(money("1 USD")), &["one"], refuse), "1 USD"), job);
    assert!(total.starts_with("never: "), "{total}");
    // The cheaper host still fits.
    assert!(decided(&spent(with(monthly(), &["two", "one"], refuse), "85 USD"), job).starts_with("chosen one"));
    // An unknown cost is no zero.
    let unknown = decided(&with(monthly(), &["free"], refuse), job);
    assert!(
        unknown.contains("free: budget b is hard, and the cost is not known: no price is known of docker"),
        "{unknown}"
    );
    assert!(decided(&with(monthly(), &["free"], UnknownPrice::Allow), job).starts_with("chosen free"));
    // A budget in another currency needs a rate.
    let euros = decided(&with(budget(BudgetPeriod::Day).hard_at(money("9 EUR")), &["one"], refuse), job);
    assert!(euros.contains("there is no rate from USD to EUR"), "{euros}");
}

#[test]
fn a_budget_counts_the_jobs_and_hosts_that_it_is_for() {
    let blue = Condition::cel("labels.team == 'blue'", &[]).unwrap();
    let budget = Budget::new("b".parse().unwrap(), BudgetPeriod::Day).hard_at(money("1 USD")).when(blue);
    let snapshot = |budget| table(&["one"], prices(), vec![budget], Policy::Weighted, UnknownPrice::default());
    assert!(decided(&snapshot(budget.clone()), "a cpu=1 takes=10 +team=red").starts_with("chosen"));
    assert!(decided(&snapshot(budget.clone()), "a cpu=1 takes=10 +team=blue").starts_with("never"));
    // One that can't tell whether a job counts, counts it.
    assert!(decided(&snapshot(budget.clone()), "a cpu=1 takes=10").starts_with("never"));
    let elsewhere = budget.when(Condition::Always).on([Target::Executor("fargate".parse().unwrap())]);
    let error = RoutingTable::builder().hosts(hosts(&["one"])).budgets(vec![elsewhere]).build().unwrap_err();
    assert!(error.to_string().contains("budgets \"executor fargate\""), "{error}");
}

#[test]
fn a_warning_level_is_told_and_refuses_nothing() {
    let budget = Budget::new("b".parse().unwrap(), BudgetPeriod::Month).warning_at(money("5 USD"));
    let snapshot = table(&["one"], prices(), vec![budget], Policy::Weighted, UnknownPrice::default());
    let (job, _) = job("a cpu=1 takes=6");
    let decision = snapshot.route(&RouteRequest::new(&job, now())).decision;
    assert_eq!(decision.notices, ["budget b: 6 USD with this job, beyond the warning level of 5 USD"]);
    assert!(decision.to_string().contains("notice: budget b"), "{decision}");
}

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

/// A clock that stands still.
#[derive(Debug)]
struct Still(Timestamp);

#[async_trait]
impl Clock for Still {
    fn now(&self) -> Timestamp {
        self.0
    }

    async fn sleep(&self, _: Duration) {
        std::future::pending::<()>().await;
    }
}

/// A host whose health is what the switch says.
fn switched(name: &str, well: &Arc<AtomicBool>) -> RoutedHost {
    let configured = configured(&format!("{name} docker"));
    let facts = || HostFacts::builder().discovered_at(now()).engine("engine 1").build();
    let mut executor: MockContainerExecutor = executor(&configured, Some(facts()));
    let seen = Arc::clone(well);
    executor.expect_check_health().returning(move || {
        Ok(Health::new(vec![Finding::new("credentials", seen.load(Ordering::Relaxed), "as the switch says")]))
    });
    let seen = Arc::clone(well);
    executor.expect_discover().returning(move || {
        let refused = || Error::new(ErrorKind::Unavailable, "nobody answers");
        seen.load(Ordering::Relaxed).then(|| Arc::new(facts())).ok_or_else(refused)
    });
    RoutedHost::new(configured, Arc::new(executor))
}

fn goes(router: &Router, at: Timestamp) -> String {
    let (job, _) = job("a");
    let decision = router.route_job(&RouteRequest::new(&job, at)).decision;
    decision.host().map_or_else(|| decision.error().unwrap().message().to_owned(), ToString::to_string)
}

#[tokio::test]
async fn refusals_open_a_circuit_and_a_probe_closes_it() {
    let well = Arc::new(AtomicBool::new(false));
    let hosts = vec![switched("first", &well), host(configured("second docker"), "1g", &[])];
    let table = RoutingTable::builder()
        .hosts(hosts)
        .default(Target::Host("first".parse().unwrap()))
        .fallback(vec![Target::Host("second".parse().unwrap())])
        .build()
        .unwrap();
    let router = Router::new(table);
    let first = "first".parse().unwrap();
    assert_eq!(goes(&router, now()), "first");
    router.refused(&first, &Error::new(ErrorKind::Unauthenticated, "the token has expired"), now());
    assert_eq!(goes(&router, now()), "second");
    assert_eq!(router.get_available_executors(now()).len(), 1);

    let limit = Duration::from_secs(1);
    assert!(router.probe_due(&Still(now()), limit).await.is_empty());
    let due = later(now(), Duration::from_secs(15));
    assert_eq!(router.probe_due(&Still(due), limit).await, vec![first.clone()]);
    assert_eq!(goes(&router, due), "second");
    let again = later(due, Duration::from_secs(30));
    assert!(router.probe_due(&Still(later(due, Duration::from_secs(29))), limit).await.is_empty());
    well.store(true, Ordering::Relaxed);
    assert_eq!(router.probe_due(&Still(again), limit).await, vec![first]);
    assert_eq!(goes(&router, again), "first");
}

#[tokio::test]
async fn hosts_that_can_not_be_reached_say_why() {
    let well = Arc::new(AtomicBool::new(false));
    let configured_host = configured("new docker");
    let mut bare = executor(&configured_host, None);
    bare.expect_discover().returning(|| Err(Error::new(ErrorKind::Unavailable, "nobody answers")));
    let table = RoutingTable::builder()
        .hosts(vec![RoutedHost::new(configured_host, Arc::new(bare)), switched("other", &well)])
        .default(Target::Host("new".parse().unwrap()))
        .build()
        .unwrap();
    let router = Router::new(table);
    router.discover(None, &Still(now()), Duration::from_secs(1)).await;
    let told = goes(&router, now());
    assert!(told.contains("new: nobody answers"), "{told}");
}

#[test]
fn a_reload_keeps_what_is_true_of_the_hosts_that_stay() {
    let table = |hosts: &[&str]| {
        let hosts = hosts.iter().map(|text| host(configured(text), "1g", &[])).collect();
        RoutingTable::builder().hosts(hosts).build().unwrap()
    };
    let router = Router::new(table(&["a docker most=2", "b docker region=north"]));
    let (a, b) = ("a".parse().unwrap(), "b".parse().unwrap());
    router.update_host(&a, |state| state.running = 2);
    router.refused(&b, &Error::new(ErrorKind::Unauthenticated, "no"), now());
    router.reload(table(&["a docker most=2", "b docker region=north", "c docker"]));
    let snapshot = router.snapshot();
    assert_eq!(snapshot.state(&a).unwrap().running, 2);
    assert!(matches!(snapshot.state(&b).unwrap().circuit, CircuitState::Open { .. }));
    assert_eq!(goes(&router, now()), "c");
    router.reload(table(&["b docker region=south"]));
    assert_eq!(goes(&router, now()), "b");
    let error = router.get_executor(&a).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("hosts: b"), "{error}");
    assert_eq!(router.get_executor(&b).unwrap().host(), &b);
}

#[test]
fn the_share_routed_at_the_first_try_is_counted() {
    let router = Router::new(RoutingTable::builder().hosts(hosts(&["one"])).build().unwrap());
    assert_eq!(router.stats().first_try_share(), None);
    let route = |again: bool, text: &str| {
        let (job, _) = job(text);
        let request = RouteRequest::new(&job, now());
        let _ = router.route_job(&if again { request.again() } else { request });
    };
    route(false, "a");
    route(false, "a");
    route(false, "a");
    route(false, "a memory=2g");
    route(true, "a");
    assert_eq!((router.stats().jobs, router.stats().first_try_share()), (4, Some(0.75)));
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
