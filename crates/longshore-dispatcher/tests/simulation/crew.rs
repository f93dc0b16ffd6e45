//! Dispatchers: how they are made, and how they live and die.

use longshore_core::{
    LaunchToken,
    price::{PriceBook, PriceSheet},
    route::{Budget, BudgetPeriod, RoutedHost, Router, RoutingTable, UnknownPrice},
};
use longshore_dispatcher::{Dispatcher, Drain, DrainMode, Parts, Settings};
use longshore_store::{AttemptState, JobStore};
use std::{
    convert::Infallible,
    fmt::Write as _,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

use crate::{executor::Remote, keeper::Keeper, life::Life, script::Member, store::Wire, world::World};

/// A dispatcher that lives, and what ends it.
type Manned = (Arc<Life>, Drain);

/// The dispatchers that live now.
#[derive(Debug, Default)]
pub(crate) struct Crew(Mutex<Vec<Option<Manned>>>);

impl Crew {
    pub(crate) fn of(world: &World) -> Arc<Self> {
        Arc::new(Self(Mutex::new(world.script.crew.iter().map(|_| None).collect())))
    }

    pub(crate) fn member(&self, at: usize) -> Option<Manned> {
        let members = self.0.lock().unwrap();
        members[at % members.len()].clone()
    }

    pub(crate) fn lives(&self) -> Vec<Arc<Life>> {
        self.0.lock().unwrap().iter().flatten().map(|(life, _)| Arc::clone(life)).collect()
    }

    fn enter(&self, at: usize, life: Option<Manned>) {
        self.0.lock().unwrap()[at] = life;
    }

    /// One dispatcher after the other, until the storm is over; the first one goes on for ever.
    pub(crate) async fn man(self: Arc<Self>, world: Arc<World>, at: usize) {
        for number in 0.. {
            if world.is_calm() && at > 0 {
                return;
            }
            let life = born(&world, at, number);
            self.live(&world, at, &life).await;
            self.enter(at, None);
            let pause = if world.is_calm() { 1_000 } else { world.dice().between(1, 40_000) };
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }

    async fn live(&self, world: &Arc<World>, at: usize, life: &Arc<Life>) {
        let dispatcher = dispatcher(life);
        self.enter(at, Some((Arc::clone(life), dispatcher.drain())));
        let idle = dispatcher.idle();
        let mut task = tokio::spawn(async move { dispatcher.run().await });
        tokio::select! {
            biased;
            never = watch_idleness(world, life, idle) => match never {},
            () = life.died() => {}
            ended = &mut task => {
                life.tell(|line| {
                    let _ = write!(line, "ENDS {ended:?}");
                });
                if let Ok(Err(error)) | Err(error) = ended.map_err(|broken| {
                    longshore_core::Error::new(longshore_core::ErrorKind::Unexpected, broken.to_string())
                }) {
                    world.broken("a dispatcher ends only when it is told to", error.chain());
                }
                return;
            }
            () = leaves(world, at) => {
                if world.dice().chance(500) {
                    self.member(at).unwrap().1.begin(DrainMode::HandOver);
                    let _ = (&mut task).await;
                    return;
                }
                life.die("the end of the storm");
            }
        }
        task.abort();
        let _ = task.await;
    }
}

/// Whoever says that it is idle holds nothing, unless it has ended.
async fn watch_idleness(world: &World, life: &Life, mut idle: watch::Receiver<bool>) -> Infallible {
    loop {
        if idle.wait_for(|idle| *idle).await.is_err() {
            std::future::pending::<()>().await;
        }
        let first = holds(world, life).await;
        // Whoever is about to say otherwise has said so then.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let still = holds(world, life).await;
        if *idle.borrow() && first.is_some() && first == still {
            world.broken("whoever is idle holds nothing", format!("{} holds {still:?}", life.name));
        }
        if idle.wait_for(|idle| !*idle).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// The first attempt that it holds and that has not ended, as the store says.
async fn holds(world: &World, life: &Life) -> Option<LaunchToken> {
    let session = (*life.session.lock().unwrap())?;
    let open = world.ledger().open.clone();
    for token in open {
        let attempt = world.store.attempt(token).await.unwrap().attempt;
        if attempt.session == Some(session) && attempt.state != AttemptState::Ended {
            return Some(token);
        }
    }
    None
}

async fn leaves(world: &World, at: usize) {
    if at == 0 {
        std::future::pending::<()>().await;
    }
    world.calmed().await;
}

fn born(world: &Arc<World>, at: usize, number: u32) -> Arc<Life> {
    let Member { ahead, dies, freezes, hesitates } = &world.script.crew[at];
    let mut dice = world.dice();
    // Each life is longer than the one before, so that work gets done.
    let grown = u64::from(number) / 3 + 1;
    let dies_at = dies.map(|about| 1 + dice.below(2 * about * grown));
    let freezes_at = freezes.map(|(about, longest)| {
        let longest = u64::try_from(longest.as_millis()).unwrap();
        (1 + dice.below(2 * about), dice.millis(1, longest))
    });
    drop(dice);
    let life =
        Life::new(world, format!("d{at}.{number}"), *ahead).with_ends(dies_at, freezes_at).hesitating(*hesitates);
    Arc::new(life)
}

fn dispatcher(life: &Arc<Life>) -> Dispatcher {
    let world = &life.world;
    let mut settings = world.script.settings.clone();
    settings.name.clone_from(&life.name);
    plant(&mut settings, world);
    Dispatcher::new(Parts {
        store: Arc::new(Wire::new(life)),
        logs: Arc::new(Keeper(Arc::clone(life))),
        router: Arc::new(Router::new(table(life))),
        clock: Arc::clone(life) as _,
        settings,
    })
}

#[cfg(feature = "planted")]
fn plant(settings: &mut Settings, world: &World) {
    if let Some(crate::flaw::Planted::Bug(bug)) = world.planted {
        settings.planted = Some(bug);
    }
}

#[cfg(not(feature = "planted"))]
const fn plant(_: &mut Settings, _: &World) {}

/// The places that there are; a second on the first one costs more than on the others.
fn table(life: &Arc<Life>) -> RoutingTable {
    let places = &life.world.places;
    let hosts = places
        .iter()
        .enumerate()
        .map(|(at, place)| RoutedHost::new(place.host.clone(), Arc::new(Remote::new(life, at))));
    let mut prices = PriceBook::new();
    for (at, place) in places.iter().enumerate() {
        let rate = if at == 0 { "2" } else { "1" };
        let sheet = serde_json::json!({ "currency": "USD", "rates": { "vcpu": rate, "memory": 0 } });
        prices = prices.with(place.host.name.clone(), serde_json::from_value::<PriceSheet>(sheet).unwrap());
    }
    let hard = life.world.script.hard.clone();
    let budgets = hard.map(|hard| Budget::new("all".parse().unwrap(), BudgetPeriod::Total).hard_at(hard));
    RoutingTable::builder()
        .hosts(hosts.collect())
        .prices(prices)
        .budgets(budgets.into_iter().collect())
        .unknown_price(UnknownPrice::Allow)
        .build()
        .unwrap()
}
