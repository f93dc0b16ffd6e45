//! Costs, budgets and free tiers.

use longshore_core::{
    HostSettings, Plan,
    price::{ExchangeRates, FreeLeft, PriceBook, PriceSheet},
    route::{
        Budget, BudgetPeriod, Condition, Policy, RouteDecision, RouteOutcome, RouteRequest, RoutedHost,
        RoutingSnapshot, RoutingTable, Target, UnknownPrice,
    },
};
use serde_json::json;
use std::sync::Arc;

use crate::world::{self, configured, decided, host, job, now, rule, with_state};

pub(crate) fn priced(per_second: &str, currency: &str) -> PriceSheet {
    serde_json::from_value(json!({ "currency": currency, "rates": { "vcpu": per_second, "memory": 0 } })).unwrap()
}

pub(crate) fn money(text: &str) -> longshore_core::price::Money {
    text.parse().unwrap()
}

/// Two hosts at 1 and 2 USD a second, one at 0.5 EUR, one without a price.
pub(crate) fn prices() -> PriceBook {
    PriceBook::new()
        .with("one".parse().unwrap(), priced("1", "USD"))
        .with("two".parse().unwrap(), priced("2", "USD"))
        .with("euro".parse().unwrap(), priced("0.5", "EUR"))
}

pub(crate) fn hosts(names: &[&str]) -> Vec<RoutedHost> {
    names.iter().map(|name| host(configured(&format!("{name} docker")), "1g", &[])).collect()
}

pub(crate) fn table(
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
    let RouteOutcome::Chosen { estimate, .. } = &decision.outcome else { panic!("{decision}") };
    assert_eq!(estimate.cost().unwrap().to_string(), "15 USD");
    assert!(decision.to_string().contains("expected cost: 15 USD for 10s"), "{decision}");
    let (unknown, _) = job("a cpu=1");
    let decision = snapshot.route(&RouteRequest::new(&unknown, now())).decision;
    let RouteOutcome::Chosen { estimate, .. } = &decision.outcome else { panic!("{decision}") };
    assert!(
        estimate.cost().unwrap_err().contains("a has neither an expected_duration nor a run_timeout"),
        "{decision}"
    );
    assert!(decision.to_string().contains("expected cost: unknown: a has neither"), "{decision}");
    assert_eq!(serde_json::from_str::<RouteDecision>(&serde_json::to_string(&decision).unwrap()).unwrap(), decision);
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

/// A rule for what costs less than 15 USD on any host of the kind, which cost 10 and 20.
fn frugal(configuration: [&str; 2], state: &str) -> String {
    let table = RoutingTable::builder()
        .hosts(
            [configuration[0], configuration[1], "else fargate"].map(|text| host(configured(text), "1g", &[])).into(),
        )
        .prices(prices())
        .rules(vec![rule(
            "frugal executor=docker spill",
            Condition::cel("estimated_cost < 15.0", &[]).unwrap(),
            "it costs little",
        )])
        .default(Target::Host("else".parse().unwrap()))
        .policy(Policy::Cheapest)
        .build()
        .unwrap();
    let snapshot = with_state(RoutingSnapshot::new(Arc::new(table)), state);
    let decision = snapshot.route(&RouteRequest::new(&job("a cpu=1 takes=10").0, now())).decision;
    let asked = decision.stages.iter().any(|stage| stage.reason == "it costs little");
    format!("{} {}", decision.host().unwrap(), if asked { "holds" } else { "does not" })
}

#[test]
fn a_rules_cost_is_that_of_the_hosts_that_would_take_the_job() {
    let both = ["one docker most=1", "two docker most=1"];
    assert_eq!(frugal(both, ""), "one holds");
    for state in ["running=one:1", "open=one", "cooling=one", "paused=one"] {
        assert_eq!(frugal(both, state), "else does not", "{state}");
    }
    for gone in ["one docker disabled", "one docker weight=0"] {
        assert_eq!(frugal([gone, both[1]], ""), "else does not", "{gone}");
        // Where nobody would take it now, only who may later counts.
        assert_eq!(frugal([gone, both[1]], "running=two:1"), "else does not", "{gone}");
    }
    assert_eq!(frugal(both, "running=one:1 running=two:1"), "else holds");
    assert_eq!(frugal([both[0], "two docker disabled"], "paused=one"), "else holds");
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
fn a_budget_that_never_allows_it_wins_over_one_that_will_later() {
    let budget = |name: &str, period, hard: &str| Budget::new(name.parse().unwrap(), period).hard_at(money(hard));
    let day = || budget("day", BudgetPeriod::Day, "20 USD");
    let month = || budget("month", BudgetPeriod::Month, "20 USD");
    let ever = || budget("ever", BudgetPeriod::Total, "20 USD");
    let with = |budgets: Vec<Budget>| {
        let names: Vec<_> = budgets.iter().map(|budget| budget.name.clone()).collect();
        let snapshot = table(&["one"], prices(), budgets, Policy::Weighted, UnknownPrice::default());
        let spent = names.into_iter().fold(snapshot, |snapshot, name| snapshot.with_spent(name, money("15 USD")));
        decided(&spent, "a cpu=1 takes=10")
    };
    assert!(with(vec![day()]).starts_with("not now until 2026-07-16T00:00:00Z"));
    for budgets in [vec![day(), month()], vec![month(), day()]] {
        assert!(with(budgets).starts_with("not now until 2026-08-01T00:00:00Z"));
    }
    for budgets in [vec![day(), ever()], vec![ever(), day()]] {
        assert!(with(budgets).starts_with("never: "));
    }
}

#[test]
fn what_is_not_known_passes_a_budget_only_while_there_is_something_left() {
    let with = |period, names: &[&str], spent: &str| {
        let budget = Budget::new("b".parse().unwrap(), period).hard_at(money("10 USD"));
        let snapshot = table(names, prices(), vec![budget], Policy::Weighted, UnknownPrice::Allow);
        decided(&snapshot.with_spent("b".parse().unwrap(), money(spent)), "a cpu=1 takes=1")
    };
    assert!(with(BudgetPeriod::Day, &["free"], "9.99 USD").starts_with("chosen free"));
    for spent in ["10 USD", "11 USD"] {
        assert!(with(BudgetPeriod::Day, &["free"], spent).starts_with("not now until 2026-07-16T00:00:00Z"));
    }
    let never = with(BudgetPeriod::Total, &["free"], "10 USD");
    assert!(never.contains("budget b: 10 USD are spent already, with a limit of 10 USD"), "{never}");
    // A cost that is known and can't be counted is no unknown price, nor is what was spent and can't be counted nothing.
    let euros = with(BudgetPeriod::Day, &["euro"], "1 USD");
    assert!(euros.starts_with("never: ") && euros.contains("there is no rate from EUR to USD"), "{euros}");
    let spent = with(BudgetPeriod::Day, &["free"], "1 EUR");
    assert!(spent.starts_with("never: ") && spent.contains("there is no rate from EUR to USD"), "{spent}");
}

#[test]
fn a_budget_that_can_not_tell_whether_a_job_counts_says_so() {
    let blue = Condition::cel("labels.team == 'blue'", &[]).unwrap();
    let budget = Budget::new("b".parse().unwrap(), BudgetPeriod::Day).hard_at(money("20 USD")).when(blue);
    let snapshot = table(&["one"], prices(), vec![budget], Policy::Weighted, UnknownPrice::default());
    let notices = |text: &str| snapshot.route(&RouteRequest::new(&job(text).0, now())).decision.notices;
    let expected = "budget b: its condition could not be evaluated (the job has no label \"team\"; ask first with \
                    `\"team\" in labels && …`); the job counts";
    for job in ["a cpu=1 takes=10", "a cpu=1 takes=30"] {
        assert_eq!(notices(job), [expected], "{job}");
    }
    assert_eq!(notices("a cpu=1 takes=10 +team=red"), Vec::<String>::new());
}

#[test]
fn conditions_that_the_table_can_not_answer_are_refused() {
    let cel = |text: &str| Condition::cel(text, &["one".parse().unwrap(), "gone".parse().unwrap()]).unwrap();
    let budget = |name: &str, text| Budget::new(name.parse().unwrap(), BudgetPeriod::Day).when(cel(text));
    let error = RoutingTable::builder()
        .hosts(hosts(&["one"]))
        .rules(vec![rule("r host=one", cel("hosts.gone.load > 0.5"), "")])
        .budgets(vec![budget("cost", "estimated_cost > 1.0"), budget("host", "hosts.gone.running > hosts.one.running")])
        .build()
        .unwrap_err()
        .to_string();
    for expected in [
        "routing.rules \"hosts[\\\"gone\\\"]\" is not valid: no host answers to it; hosts: one",
        "budgets \"hosts[\\\"gone\\\"]\" is not valid: no host answers to it; hosts: one",
        "budgets \"cost\" is not valid: its condition asks for estimated_cost",
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
    assert!(!error.contains("hosts[\\\"one"), "{error}");
}

fn cost(snapshot: &RoutingSnapshot) -> String {
    let decision: RouteDecision = snapshot.route(&RouteRequest::new(&job("a cpu=2 takes=10").0, now())).decision;
    let RouteOutcome::Chosen { estimate, .. } = &decision.outcome else { panic!("{decision}") };
    estimate.cost().unwrap().to_string()
}

#[test]
fn what_is_left_of_a_free_tier_is_counted_where_it_is_told() {
    let snapshot = table(&["one"], prices(), Vec::new(), Policy::Weighted, UnknownPrice::default());
    let left = |snapshot: &RoutingSnapshot, vcpu_seconds: i64| {
        snapshot.clone().with_free_left("one".parse().unwrap(), FreeLeft::new(vcpu_seconds.into(), 0.into()))
    };
    assert_eq!(cost(&snapshot), "20 USD");
    let some = left(&snapshot, 15);
    assert_eq!(cost(&some), "5 USD");
    assert_eq!(cost(&left(&some, 100)), "0 USD");
    assert_eq!(cost(&left(&some, 0)), "20 USD");
    assert_eq!(cost(&snapshot), "20 USD");
    let table = RoutingTable::builder().hosts(hosts(&["one"])).prices(prices()).build().unwrap();
    let router = longshore_core::route::Router::new(table);
    router.update(|snapshot| snapshot.with_free_left("one".parse().unwrap(), FreeLeft::new(15.into(), 0.into())));
    router.reload(
        RoutingTable::builder()
            .hosts(hosts(&["one", "two"]))
            .prices(prices())
            .policy(Policy::Cheapest)
            .build()
            .unwrap(),
    );
    assert_eq!(cost(&router.snapshot()), "5 USD");
}

#[test]
fn a_plan_on_capacity_that_can_be_taken_away_is_estimated_so() {
    let configured = configured("one docker");
    let mut executor = world::bare_executor(&configured, None);
    let planner = world::planner(&configured.name, &configured.executor_type);
    executor.expect_plan().returning(move |job| {
        let mut plan = Plan::granting(job, &planner, HostSettings::new(1, serde_json::Value::Null));
        plan.spot = true;
        Ok(plan)
    });
    let price = json!({ "currency": "USD", "rates": { "vcpu": 1, "memory": 0 }, "spot_factor": "0.3" });
    let prices = PriceBook::new().with("one".parse().unwrap(), serde_json::from_value(price).unwrap());
    let host = RoutedHost::new(configured, Arc::new(executor));
    let table = RoutingTable::builder().hosts(vec![host]).prices(prices).build().unwrap();
    assert_eq!(cost(&RoutingSnapshot::new(Arc::new(table))), "6 USD");
}
