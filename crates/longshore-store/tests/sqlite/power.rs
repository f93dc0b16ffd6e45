//! The power fails: of what was written to the log since the last sync, any part may be there.

use longshore_core::JobId;
use longshore_store::JobStore;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    child::open,
    support::{Dispatcher, at, submission},
};

/// A page in the log, with what stands before it.
const FRAME: usize = 24 + 4096;
const HEADER: usize = 32;

/// What was acknowledged, and how long the log was by then.
struct Ledger {
    jobs: Vec<(JobId, usize)>,
    closed: Vec<(JobId, usize)>,
}

fn log_of(path: &Path) -> PathBuf {
    path.with_extension("db-wal")
}

fn length(path: &Path) -> usize {
    usize::try_from(fs::metadata(log_of(path)).unwrap().len()).unwrap()
}

async fn write(path: &Path, store: &Arc<dyn JobStore>) -> Ledger {
    let mut ledger = Ledger { jobs: Vec::new(), closed: Vec::new() };
    let dispatcher = Dispatcher::new(store).await;
    for number in 0..3 {
        // In one call, and so all or none.
        let pair = vec![submission("on-a"), submission("on-a")];
        for submitted in store.submit(pair, at(number)).await.unwrap() {
            ledger.jobs.push((submitted.unwrap().id(), length(path)));
        }
        for held in dispatcher.claim(crate::desk::Desk::with(&[("a", 9)]), 1, number).await {
            let token = held.attempt.token();
            dispatcher.run(token, number).await;
            ledger.closed.push((token.job(), length(path)));
        }
    }
    ledger
}

/// The ends of the pages in the log.
fn ends(whole: usize) -> impl Iterator<Item = usize> {
    (0..).map(|frame| HEADER + frame * FRAME).take_while(move |end| *end <= whole)
}

/// Lengths around the end of each page of the log: just before it, behind the next one's head, and amid the next one.
fn cuts(whole: usize) -> BTreeSet<usize> {
    let around = |end: usize| [end - 1, end + 24, end + 2000];
    let mut cuts: BTreeSet<usize> = ends(whole).flat_map(around).filter(|cut| *cut <= whole).collect();
    cuts.extend([0, 16, whole]);
    cuts
}

/// What may be there of the log, with how much of it is as it was written: nothing behind a cut; or zeros behind it, as a
/// file system may leave them; or all of it, with one bit turned.
fn remains(log: &[u8]) -> Vec<(usize, Vec<u8>)> {
    let mut remains: Vec<_> = cuts(log.len()).into_iter().map(|cut| (cut, log[..cut].to_vec())).collect();
    for end in ends(log.len()) {
        let mut zeros = log[..end].to_vec();
        zeros.resize(log.len(), 0);
        let mut torn = log.to_vec();
        if let Some(byte) = torn.get_mut(end + 100) {
            *byte ^= 0x10;
        }
        remains.extend([(end, log[..end].to_vec()), (end, zeros), (end, torn)]);
    }
    remains
}

async fn kept_after(database: &[u8], log: &[u8], folder: &Path) -> (Vec<JobId>, Vec<JobId>) {
    let path = folder.join("copy.db");
    fs::write(&path, database).unwrap();
    fs::write(log_of(&path), log).unwrap();
    let store = open(&path).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    let all = store.archive(None, 1000).await.unwrap();
    let closed = all.iter().filter(|archive| archive.job.status.is_terminal()).map(|archive| archive.job.id());
    (all.iter().map(|archive| archive.job.id()).collect(), closed.collect())
}

/// All that was acknowledged by the cut is there, and whatever else is there came next, whole.
fn is_prefix(kept: &[JobId], written: &[(JobId, usize)], cut: usize) {
    let promised = written.iter().filter(|(_, length)| *length <= cut).count();
    assert!(kept.len() >= promised, "{} are kept of {promised} at {cut}", kept.len());
    let mut first: Vec<JobId> = written[..kept.len()].iter().map(|(id, _)| *id).collect();
    let mut kept = kept.to_vec();
    first.sort_unstable();
    kept.sort_unstable();
    assert_eq!(kept, first, "at {cut}");
}

pub(crate) async fn a_power_cut_leaves_a_prefix_with_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await;
    let begun = length(&path);
    let ledger = write(&path, &store).await;
    let (database, log) = (fs::read(&path).unwrap(), fs::read(log_of(&path)).unwrap());
    for (cut, remains) in remains(&log) {
        let scratch = tempfile::tempdir_in(folder.path()).unwrap();
        // Before its schema was stored it is a new database.
        let (jobs, closed) = kept_after(&database, &remains, scratch.path()).await;
        is_prefix(&jobs, &ledger.jobs, cut);
        is_prefix(&closed, &ledger.closed, cut);
        assert!(jobs.len() % 2 == 0, "half a call is kept at {cut}, of a log that began at {begun}");
    }
}
