//! Several processes on one file.

use futures::StreamExt;
use std::{collections::BTreeSet, io::Write, time::Duration};

use crate::{
    child::{Other, open},
    support::{at, submission},
};

pub(crate) async fn two_processes_claim_each_job_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await;
    store.submit((0..120).map(|_| submission("on-a")).collect(), at(0)).await.unwrap();
    let children: Vec<_> = (0..3).map(|_| Other::start("claim", &path)).collect();
    let mut claimed = Vec::new();
    for mut child in children {
        claimed.extend(std::iter::from_fn(|| child.line()));
        assert!(child.process.wait().unwrap().success());
    }
    assert_eq!(claimed.len(), 120);
    assert_eq!(claimed.iter().collect::<BTreeSet<_>>().len(), 120);
    assert!(claimed.iter().all(|token| token.ends_with("-1")));
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_change_by_one_process_wakes_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await;
    let mut news = store.news().await.unwrap();
    news.next().await.unwrap();
    let mut child = Other::start("submit-when-told", &path);
    assert_eq!(child.line().as_deref(), Some("ready"));
    let mut tell = child.process.stdin.take().unwrap();
    for _ in 0..20 {
        writeln!(tell, "one more").unwrap();
        let job = child.line().unwrap().parse().unwrap();
        let told = async { while !news.next().await.unwrap().queue {} };
        tokio::time::timeout(Duration::from_secs(30), told).await.unwrap();
        // Whoever is woken finds what it was woken for.
        store.job(job).await.unwrap();
    }
}
