//! Which files are opened, and what is said of those that are not.

use longshore_core::{ErrorKind, JobId, LaunchToken};
use longshore_store::{Held, JobStore};
use rusqlite::Connection;
use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::Path,
    sync::Arc,
};

use crate::{
    child::{open, open_hastily},
    desk::Desk,
    support::{Dispatcher, adoption, at, kind, submit, submit_named, urgent},
};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The store refuses to open it, in these words, and the file stays as it is.
async fn refused(path: &Path, expected: ErrorKind, words: &str) {
    let before = fs::read(path).unwrap();
    let error = open_hastily(path).await.unwrap_err();
    assert_eq!(error.kind(), expected, "{error:?}");
    assert!(error.message().contains(words) && error.message().contains("nothing was changed"), "{error}");
    assert_eq!(fs::read(path).unwrap(), before);
}

pub(crate) async fn it_is_made_at_first_use_for_its_owner_alone() {
    let folder = folder();
    let path = folder.path().join("some/where/jobs.db");
    let store = open(&path).await;
    let job = submit_named(&store, "on-a").await;
    assert_eq!((mode(&path), mode(&path.with_extension("db-wal"))), (0o600, 0o600));
    assert_eq!(mode(&path.with_extension("db-live")), 0o700);
    drop(store);
    let again = open(&path).await;
    assert_eq!(again.job(job).await.unwrap().id(), job);
    assert_eq!(again.check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn many_open_a_new_file_at_once() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let openings = (0..8).map(|_| async {
        let store = open(&path).await;
        submit_named(&store, "on-a").await;
        store
    });
    let stores = futures::future::join_all(openings).await;
    assert_eq!(stores[0].jobs(&longshore_store::JobQuery::builder().build()).await.unwrap().len(), 8);
}

pub(crate) async fn what_is_not_a_database_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("letter.txt");
    fs::write(&path, "Dear Sir,\n".repeat(1000)).unwrap();
    refused(&path, ErrorKind::Invalid, "is not a SQLite database").await;
}

pub(crate) async fn a_database_of_another_program_is_left_alone() {
    let folder = folder();
    let path = folder.path().join("songs.db");
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE songs (name TEXT)").unwrap();
    refused(&path, ErrorKind::Invalid, "belongs to another program").await;
}

/// A closed database with some jobs, all of it in the one file.
async fn filled(path: &Path) {
    let store = open(path).await;
    let dispatcher = Dispatcher::new(&store).await;
    for _ in 0..200 {
        submit_named(&store, "on-a").await;
        let token = dispatcher.claim_one(1).await;
        dispatcher.run(token, 2).await;
    }
    drop(dispatcher);
    drop(store);
    // Whoever closes last moves the log into the file; the store's thread may still be at it.
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

pub(crate) async fn a_damaged_file_is_told_of_at_the_latest_by_the_check() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    filled(&path).await;
    let pages = fs::metadata(&path).unwrap().len() / 4096;
    for page in [1, 2, 5, pages / 2, pages - 1] {
        let copy = folder.path().join(format!("damaged-{page}.db"));
        fs::copy(&path, &copy).unwrap();
        let file = fs::OpenOptions::new().write(true).open(&copy).unwrap();
        file.write_all_at(&[0xA5; 3000], page * 4096 + 8).unwrap();
        let told = match open_hastily(&copy).await {
            Err(error) => error.to_string(),
            Ok(store) => match store.check().await {
                Err(error) => error.to_string(),
                Ok(found) => found.join("; "),
            },
        };
        assert!(told.contains("damaged") || told.contains("can't be read"), "page {page}: {told}");
    }
}

pub(crate) async fn a_contradiction_is_found_by_the_check() {
    let wrongs = [
        ("UPDATE jobs SET status = 'running' WHERE no = 1", "has no attempt in that state"),
        ("UPDATE attempts SET state = 'launched' WHERE no = 1", "that takes a place"),
        ("UPDATE jobs SET attempts = 0 WHERE no = 1", "counts other attempts"),
        ("UPDATE jobs SET line = '' WHERE no = 1", "is in the queue and not pending"),
        ("UPDATE jobs SET finished_at = NULL WHERE no = 1", "without a time"),
        ("UPDATE attempts SET session = x'00' WHERE no = 1", "whose holder is over or unknown"),
        ("UPDATE attempts SET closed_at = NULL WHERE no = 1", "closed attempt"),
        ("DELETE FROM submissions WHERE job = 1", "has lost its submission"),
        ("DELETE FROM jobs WHERE no = 1", "events are left of jobs that are gone"),
        ("UPDATE submissions SET document = '{}' WHERE job = 1", "can't be read"),
        ("UPDATE jobs SET status = 'dreaming' WHERE no = 1", "can't be read"),
        (
            "UPDATE attempts SET charges = '[{\"budget\":\"research\",\"amount\":\"1 USD\"}]' WHERE no = 1",
            "nothing is counted on the budget research",
        ),
    ];
    let folder = folder();
    let whole = folder.path().join("jobs.db");
    filled(&whole).await;
    for (number, (wrong, words)) in wrongs.into_iter().enumerate() {
        let copy = folder.path().join(format!("wrong-{number}.db"));
        fs::copy(&whole, &copy).unwrap();
        Connection::open(&copy).unwrap().execute_batch(wrong).unwrap();
        let found = open(&copy).await.check().await.unwrap();
        assert!(found.iter().any(|line| line.contains(words)), "{wrong}: {found:?}");
    }
    assert_eq!(open(&whole).await.check().await.unwrap(), Vec::<String>::new());
}

pub(crate) async fn a_database_that_needs_a_newer_version_is_refused() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    filled(&path).await;
    let connection = Connection::open(&path).unwrap();
    connection.execute("INSERT INTO schema_versions (version, needs) VALUES (90, 90)", []).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(connection);
    let error = open_hastily(&path).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.message().contains("use the newer Longshore") && error.message().contains("90"), "{error}");
}

/// An older program goes on working while a newer one has migrated the database already.
pub(crate) async fn what_a_newer_version_has_added_does_no_harm() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let running = open(&path).await;
    let dispatcher = Dispatcher::new(&running).await;
    submit_named(&running, "on-a").await;
    let token = dispatcher.claim_one(1).await;
    let newer = Connection::open(&path).unwrap();
    let additions = "BEGIN IMMEDIATE; ALTER TABLE jobs ADD COLUMN colour TEXT; ALTER TABLE attempts ADD COLUMN mood TEXT; \
                     CREATE TABLE colours (name TEXT); INSERT INTO schema_versions (version, needs) VALUES (2, 1); COMMIT";
    newer.execute_batch(additions).unwrap();
    dispatcher.run(token, 2).await;
    let again: Arc<dyn JobStore> = open(&path).await;
    assert_eq!(again.attempts(token.job()).await.unwrap().len(), 1);
    submit_named(&again, "on-a").await;
    let second = dispatcher.claim_one(9).await;
    dispatcher.run(second, 10).await;
    assert_eq!(again.check().await.unwrap(), Vec::<String>::new());
}

/// Makes a job demand what only a newer version knows.
fn demand_more(path: &Path, job: JobId) {
    let sql = "UPDATE submissions SET document = json_set(document, '$.job.teleport', 1) \
               WHERE job = (SELECT no FROM jobs WHERE id = ?1)";
    let newer = Connection::open(path).unwrap();
    assert_eq!(newer.execute(sql, [job.as_uuid().as_bytes().to_vec()]).unwrap(), 1);
}

fn tokens_of(held: &[Held]) -> Vec<LaunchToken> {
    held.iter().map(|held| held.attempt.token()).collect()
}

pub(crate) async fn what_a_newer_version_keeps_of_attempts_hinders_nobody() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let store: Arc<dyn JobStore> = open(&path).await;
    let dead = Dispatcher::new(&store).await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        submit_named(&store, "on-a").await;
        tokens.push(dead.claim_one(1).await);
    }
    tokens.sort_unstable();
    demand_more(&path, tokens[0].job());
    assert_eq!(tokens_of(&store.held(dead.session).await.unwrap()), tokens[1..]);
    store.close_session(dead.session).await.unwrap();
    let heir = Dispatcher::new(&store).await;
    let mut adopted = store.adopt(heir.session, adoption(1, at(90))).await.unwrap();
    adopted.extend(store.adopt(heir.session, adoption(10, at(90))).await.unwrap());
    assert_eq!(tokens_of(&adopted), tokens[1..]);
}

pub(crate) async fn jobs_of_a_newer_version_hide_none_in_the_queue() {
    let folder = folder();
    let path = folder.path().join("jobs.db");
    let store: Arc<dyn JobStore> = open(&path).await;
    for _ in 0..3 {
        demand_more(&path, submit_named(&store, "on-a").await);
    }
    let behind = submit(&store, urgent("on-a", -1), 0).await;
    let dispatcher = Dispatcher::new(&store).await;
    let claimed = dispatcher.try_claim(Desk::with(&[("a", 9)]), 1, 3).await.unwrap();
    assert_eq!((claimed.held[0].job.id(), claimed.looked_at), (behind, 1));
    assert_eq!(dispatcher.try_claim(Desk::with(&[("a", 9)]), 10, 4).await.unwrap().looked_at, 0);
}

pub(crate) async fn a_path_where_no_file_can_be_is_refused() {
    let folder = folder();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = open_hastily(&folder.path().join("file/jobs.db")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error:?}");
    let error = open_hastily(folder.path()).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::Invalid), "{error:?}");
    let unknown = crate::support::submission("on-a").job.id;
    assert_eq!(kind(open(&folder.path().join("jobs.db")).await.job(unknown).await), ErrorKind::NotFound);
}
