//! `kill -9` of the dispatcher at random moments. `LONGSHORE_CYCLES` asks for more of them, and `LONGSHORE_SEED` for the
//! same moments again.

use longshore::{Clock, SystemClock};
use longshore_testkit::{suite::Test, tests};
use std::time::Duration;

use crate::{
    cluster,
    jobs::Kind,
    local,
    verdict::Trouble,
    world::{Place, World},
};

pub(crate) const DOCKER_SQLITE: &[Test] = &tests![on_docker_with_sqlite];
pub(crate) const DOCKER_POSTGRES: &[Test] = &tests![on_docker_with_postgres];
pub(crate) const EMBEDDED_SQLITE: &[Test] = &tests![on_embedded_with_sqlite];
pub(crate) const EMBEDDED_POSTGRES: &[Test] = &tests![on_embedded_with_postgres];

/// How many dispatchers are killed in each world.
const CYCLES: u32 = 5;

/// How long after its first claim a dispatcher is killed, at most.
const LONGEST: Duration = Duration::from_millis(900);

async fn on_docker_with_sqlite() {
    survive(World::on_sqlite(Place::Docker(&local::socket())).await).await;
}

async fn on_docker_with_postgres() {
    let url = cluster::shared().unwrap().database().await;
    survive(World::on_postgres(Place::Docker(&local::socket()), url).await).await;
}

async fn on_embedded_with_sqlite() {
    survive(World::on_sqlite(Place::Embedded).await).await;
}

async fn on_embedded_with_postgres() {
    let url = cluster::shared().unwrap().database().await;
    survive(World::on_postgres(Place::Embedded, url).await).await;
}

async fn survive(world: World) {
    let seed = asked("LONGSHORE_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    let mut moments = Moments(seed);
    for _ in 0..asked("LONGSHORE_CYCLES").unwrap_or_else(|| CYCLES.into()) {
        let jobs = world.submit(&Kind::ALL).await;
        let dispatcher = world.start();
        world.claimed(&jobs).await;
        SystemClock.sleep(moments.next()).await;
        dispatcher.kill();
    }
    let dispatcher = world.start();
    world.settled().await;
    dispatcher.terminate().await;
    world.judge(Trouble::None).await;
}

#[expect(clippy::disallowed_methods, reason = "how much is tried is asked for where the tests are started")]
pub(crate) fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// Moments that a seed gives, so that they can be had again.
struct Moments(u64);

impl Moments {
    /// The splitmix64 sequence, as a part of the longest time.
    fn next(&mut self) -> Duration {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        LONGEST * u32::try_from((mixed ^ (mixed >> 31)) >> 44).unwrap() / (1 << 20)
    }
}
