//! Others who hold the file.

use longshore_core::ErrorKind;
use longshore_store::{JobQuery, JobStore};
use rusqlite::Connection;
use std::sync::Arc;

use crate::{
    child::{open, open_hastily},
    support::{at, submission, submit_named},
};

pub(crate) async fn a_locked_file_is_waited_for_and_then_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store: Arc<dyn JobStore> = Arc::new(open_hastily(&path).await.unwrap());
    let before = submit_named(&store, "on-a").await;
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let asked = submission("on-a");
    let error = store.submit(vec![asked.clone()], at(0)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.is_lost_contact() && error.message().contains("locked"), "{error}");
    // Whoever only reads is not kept from it.
    assert_eq!(store.job(before).await.unwrap().id(), before);
    shell.execute_batch("COMMIT").unwrap();
    let submitted = store.submit(vec![asked.clone()], at(0)).await.unwrap().remove(0).unwrap();
    assert_eq!(submitted, longshore_store::Submitted::New(asked.job.id));
}

pub(crate) async fn a_lock_that_ends_in_time_goes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store = open(&path).await;
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN IMMEDIATE").unwrap();
    let submitting = tokio::spawn(async move { submit_named(&store, "on-a").await });
    tokio::task::yield_now().await;
    assert!(!submitting.is_finished());
    shell.execute_batch("COMMIT").unwrap();
    submitting.await.unwrap();
}

pub(crate) async fn a_long_reader_keeps_nobody_from_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jobs.db");
    let store: Arc<dyn JobStore> = Arc::new(open_hastily(&path).await.unwrap());
    submit_named(&store, "on-a").await;
    let shell = Connection::open(&path).unwrap();
    shell.execute_batch("BEGIN").unwrap();
    let count =
        |shell: &Connection| shell.query_row("SELECT count(*) FROM jobs", [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count(&shell), 1);
    submit_named(&store, "on-a").await;
    assert_eq!(count(&shell), 1);
    assert_eq!(store.jobs(&JobQuery::builder().build()).await.unwrap().len(), 2);
}
