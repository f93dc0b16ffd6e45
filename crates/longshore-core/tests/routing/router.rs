//! The router: circuits, discovery, reloads, counts.

use async_trait::async_trait;
use longshore_core::{
    Clock, Error, ErrorKind, Finding, Health, HostFacts, Timestamp,
    clock::later,
    route::{CircuitState, RouteRequest, RoutedHost, Router, RoutingTable, Target},
    testing::MockContainerExecutor,
};
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{
    money::hosts,
    world::{configured, executor, host, job, now},
};

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

/// A router with a host `a`, whose executor is replaced by another just before it answers what it is asked.
fn replaced(answer: fn(&mut MockContainerExecutor, Box<dyn Fn() + Send>)) -> Arc<Router> {
    let slot = Arc::new(OnceLock::<Arc<Router>>::new());
    let configured_host = configured("a docker");
    let facts = HostFacts::builder().discovered_at(now()).engine("old").build();
    let mut old = executor(&configured_host, Some(facts));
    let router = Arc::clone(&slot);
    answer(
        &mut old,
        Box::new(move || {
            let new = RoutingTable::builder().hosts(vec![host(configured("a docker"), "1g", &[])]).build();
            router.get().unwrap().reload(new.unwrap());
        }),
    );
    let table = RoutingTable::builder().hosts(vec![RoutedHost::new(configured_host, Arc::new(old))]).build().unwrap();
    Arc::clone(slot.get_or_init(|| Arc::new(Router::new(table))))
}

#[tokio::test]
async fn what_an_executor_discovers_is_not_put_on_the_one_that_has_replaced_it() {
    let well = replaced(|old, reload| {
        old.expect_discover().returning(move || {
            reload();
            Ok(Arc::new(HostFacts::builder().discovered_at(now()).engine("old").build()))
        });
    });
    let ill = replaced(|old, reload| {
        old.expect_discover().returning(move || {
            reload();
            Err(Error::new(ErrorKind::Unavailable, "the old one is gone"))
        });
    });
    for router in [well, ill] {
        router.discover(None, &Still(now()), Duration::from_secs(1)).await;
        let snapshot = router.snapshot();
        let state = snapshot.state(&"a".parse().unwrap()).unwrap();
        assert_eq!(state.facts.as_ref().unwrap().engine, "engine 1");
        assert_eq!(state.unreachable, None);
    }
}

#[tokio::test]
async fn what_a_probe_finds_says_nothing_of_the_executor_that_has_replaced_the_probed_one() {
    let a = "a".parse().unwrap();
    let due = later(now(), Duration::from_secs(15));
    let well = replaced(|old, reload| {
        old.expect_check_health().returning(move || {
            reload();
            Ok(Health::new(Vec::new()))
        });
    });
    let ill = replaced(|old, reload| {
        old.expect_check_health().returning(move || {
            reload();
            Err(Error::new(ErrorKind::Unauthenticated, "the old token"))
        });
    });
    for router in [well, ill] {
        router.refused(&a, &Error::new(ErrorKind::Unauthenticated, "no"), now());
        assert_eq!(router.probe_due(&Still(due), Duration::from_secs(1)).await, std::slice::from_ref(&a));
        let circuit = router.snapshot().state(&a).unwrap().circuit.clone();
        assert_eq!(circuit, CircuitState::Open { until: due, why: "unauthenticated: no".to_owned() });
    }
}

#[tokio::test]
async fn a_host_whose_probe_fails_in_whatever_way_is_not_probed_again_at_once() {
    for kind in [ErrorKind::RateLimited, ErrorKind::Invalid, ErrorKind::Unsupported, ErrorKind::Timeout] {
        let configured_host = configured("a docker");
        let mut bare = executor(&configured_host, None);
        bare.expect_check_health().returning(move || Err(Error::new(kind, "no")));
        let hosts = vec![RoutedHost::new(configured_host, Arc::new(bare))];
        let router = Router::new(RoutingTable::builder().hosts(hosts).build().unwrap());
        let (a, due) = ("a".parse().unwrap(), later(now(), Duration::from_secs(15)));
        router.refused(&a, &Error::new(ErrorKind::Unauthenticated, "no"), now());
        assert_eq!(router.probe_due(&Still(due), Duration::from_secs(1)).await.len(), 1, "{kind}");
        assert!(router.probe_due(&Still(due), Duration::from_secs(1)).await.is_empty(), "{kind}");
    }
}
