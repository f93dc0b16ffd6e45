//! SIGTERM in the middle of a burst of launches: what runs goes on, and the next dispatcher takes over.

use longshore_testkit::{suite::Test, tests};

use crate::{
    jobs::Kind,
    verdict::Trouble,
    world::{Place, World},
};

pub(crate) const TESTS: &[Test] = &tests![a_burst_of_launches_is_handed_over];

async fn a_burst_of_launches_is_handed_over() {
    let world = World::on_sqlite(Place::Embedded).await;
    let kinds = [[Kind::Long; 5], Kind::ALL, [Kind::Short; 5], Kind::ALL].concat();
    let jobs = world.submit(&kinds).await;
    for _ in 0..2 {
        let before = world.runs();
        let dispatcher = world.start();
        world.begun(before + 1).await;
        dispatcher.terminate().await;
    }
    let last = world.start();
    world.settled().await;
    last.terminate().await;
    world.judge(Trouble::None).await;
    // Nobody's launch was taken back for it.
    for (id, kind) in jobs.into_iter().zip(kinds) {
        assert_eq!(world.attempts(id).await.len(), kind.runs(), "{:#?}", world.store.events(id).await);
    }
}
