//! Processes that are killed, at any moment.

use longshore_core::{JobStatus, LaunchToken};
use longshore_store::{AttemptState, JobStore};
use std::{collections::BTreeMap, path::Path, sync::Arc};

use crate::{
    child::{Other, open},
    support::{Dispatcher, adoption, at},
};

/// What children have acknowledged: each job's attempt and how far it came.
#[derive(Default)]
struct Ledger {
    jobs: Vec<longshore_core::JobId>,
    attempts: BTreeMap<LaunchToken, AttemptState>,
}

impl Ledger {
    fn note(&mut self, line: &str) {
        let (what, of) = line.split_once(' ').expect("a word and an id");
        let state = match what {
            "submitted" => return self.jobs.push(of.parse().unwrap()),
            "session" => return,
            "launching" => AttemptState::Launching,
            "launched" => AttemptState::Launched,
            "ended" => AttemptState::Ended,
            other => panic!("{other}?"),
        };
        self.attempts.insert(of.parse().unwrap(), state);
    }

    async fn is_kept(&self, store: &Arc<dyn JobStore>) {
        for job in &self.jobs {
            store.job(*job).await.unwrap();
        }
        for (token, state) in &self.attempts {
            let held = store.attempt(*token).await.unwrap();
            assert!(held.attempt.state >= *state, "{token} was {state:?} and is {:?}", held.attempt.state);
            if *state == AttemptState::Ended {
                assert_eq!(held.job.status, JobStatus::Completed);
            }
        }
        assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    }
}

/// Kills the child after so many lines, and reads what it had said by then.
fn killed_after(lines: usize, path: &Path, ledger: &mut Ledger) {
    let mut child = Other::start("work", path);
    for _ in 0..lines {
        ledger.note(&child.line().expect("it goes on until it is killed"));
    }
    child.kill();
    while let Some(line) = child.line().filter(|line| line.len() > 40) {
        ledger.note(&line);
    }
}

pub(crate) async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let mut ledger = Ledger::default();
    for round in 0..12 {
        killed_after(1 + round * 17 % 90, &path, &mut ledger);
    }
    assert!(ledger.jobs.len() > 100, "{}", ledger.jobs.len());
    ledger.is_kept(&open(&path).await).await;
}

/// A restarted dispatcher need not wait for the pulse of the one that was killed.
pub(crate) async fn a_killed_process_is_known_to_be_dead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await;
    let heir = Dispatcher::new(&store).await;
    let mut child = Other::start("work", &path);
    let session = child.line().unwrap();
    while !child.line().unwrap().starts_with("launching") {}
    let living = store.beat(heir.session).await.unwrap();
    assert_eq!(
        living.iter().map(|beat| (beat.session.to_string(), beat.dead)).collect::<Vec<_>>(),
        [(session[8..].to_owned(), false)]
    );
    child.kill();
    let dead = store.beat(heir.session).await.unwrap().remove(0);
    assert!(dead.dead);
    assert!(store.fence(heir.session, &dead).await.unwrap());
    let adopted = store.adopt(heir.session, adoption(1000, at(9))).await.unwrap();
    assert!(!adopted.is_empty());
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}
