//! Two dispatchers of one database, of which one is frozen until it is taken for dead, and then thawed.

use longshore::{
    Clock, SystemClock,
    store::{Beat, JobStore, SessionId},
};
use longshore_testkit::{suite::Test, tests};
use rustix::process::Signal;

use crate::{
    cluster,
    jobs::Kind,
    verdict::Trouble,
    world::{Place, World, until},
};

pub(crate) const TESTS: &[Test] = &tests![a_dispatcher_that_was_frozen_past_its_lease_is_fenced_off];

/// The sessions that are open beside the one that asks.
async fn sessions(store: &dyn JobStore) -> Vec<SessionId> {
    let session = SessionId::new(SystemClock.now());
    store.open_session(session, "observer").await.unwrap();
    let others = store.beat(session).await.unwrap();
    store.close_session(session).await.unwrap();
    others.into_iter().map(|Beat { session, .. }| session).collect()
}

async fn a_dispatcher_that_was_frozen_past_its_lease_is_fenced_off() {
    let url = cluster::shared().unwrap().database().await;
    let world = World::on_postgres(Place::Embedded, url).await;
    let first = world.start_as("first");
    let frozen = until("the first has a session", async || sessions(&*world.store).await.pop()).await;
    let others = [[Kind::Long; 5], Kind::ALL, Kind::ALL].concat();
    world.submit(&others).await;
    world.begun(3).await;
    first.signal(Signal::STOP);
    let second = world.start_as("second");
    until("the frozen one is fenced off", async || {
        let open = sessions(&*world.store).await;
        (!open.contains(&frozen) && !open.is_empty()).then_some(())
    })
    .await;
    // The one that was frozen goes on in the middle of whatever it was at, and learns that it may not.
    first.signal(Signal::CONT);
    until("the thawed one begins anew", async || (sessions(&*world.store).await.len() == 2).then_some(())).await;
    world.submit(&Kind::ALL).await;
    world.settled().await;
    for dispatcher in [first, second] {
        dispatcher.terminate().await;
    }
    world.judge(Trouble::None).await;
}
