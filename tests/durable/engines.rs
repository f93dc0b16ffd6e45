//! The engine itself is killed, or told to end, and comes back, while jobs run and more are launched.

use longshore_testkit::{suite::Test, tests};
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, path::PathBuf};

use crate::{
    cluster,
    jobs::Kind,
    kills::asked,
    private_engine::PrivateEngine,
    verdict::Trouble,
    world::{Place, World},
};

pub(crate) const SQLITE: &[Test] = &tests![an_engine_that_is_killed_and_told_to_end_under_load];
pub(crate) const POSTGRES: &[Test] = &tests![an_engine_that_is_killed_together_with_its_dispatcher];

/// What is submitted before an engine ends.
const LOAD: [Kind; 6] = [Kind::Long, Kind::Short, Kind::Long, Kind::Retried, Kind::Long, Kind::Chatty];

/// What a killed engine leaves behind for containers that it has forgotten.
struct Shims(PathBuf);

impl Drop for Shims {
    fn drop(&mut self) {
        let ours = self.0.to_str().unwrap();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        let ids = processes.filter_map(|process| process.file_name().to_str()?.parse().ok().and_then(Pid::from_raw));
        for id in ids {
            let command = fs::read_to_string(format!("/proc/{}/cmdline", id.as_raw_nonzero())).unwrap_or_default();
            if command.contains("containerd-shim") && command.contains(ours) {
                let _ = kill_process(id, Signal::KILL);
            }
        }
    }
}

async fn an_engine_that_is_killed_and_told_to_end_under_load() {
    let mut engine = PrivateEngine::start(&[]).await;
    let _shims = Shims(engine.socket().parent().unwrap().to_owned());
    let world = World::on_sqlite(Place::Docker(&engine.socket())).await;
    let dispatcher = world.start();
    for round in 0..asked("LONGSHORE_CYCLES").unwrap_or(2) {
        let signal = if round % 2 == 0 { "KILL" } else { "TERM" };
        let before = world.runs();
        world.submit(&LOAD).await;
        world.begun(before + 3).await;
        engine.end(signal);
        // What is submitted while no engine answers waits for it.
        world.submit(&[Kind::Short]).await;
        engine.restart().await;
    }
    world.submit(&Kind::ALL).await;
    world.settled().await;
    dispatcher.terminate().await;
    world.judge(Trouble::Killed).await;
}

async fn an_engine_that_is_killed_together_with_its_dispatcher() {
    let mut engine = PrivateEngine::start(&[]).await;
    let _shims = Shims(engine.socket().parent().unwrap().to_owned());
    let url = cluster::shared().unwrap().database().await;
    let world = World::on_postgres(Place::Docker(&engine.socket()), url).await;
    for _ in 0..asked("LONGSHORE_CYCLES").unwrap_or(1) {
        let before = world.runs();
        let dispatcher = world.start();
        world.submit(&LOAD).await;
        world.begun(before + 2).await;
        dispatcher.kill();
        engine.end("KILL");
        engine.restart().await;
    }
    let dispatcher = world.start();
    world.submit(&Kind::ALL).await;
    world.settled().await;
    dispatcher.terminate().await;
    world.judge(Trouble::Killed).await;
}
