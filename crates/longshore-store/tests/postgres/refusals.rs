//! What is told when a database can't be used, and that no password is in it.

use longshore_core::{Error, ErrorKind, JobId, Result};
use longshore_store::{Intervention, JobStore, PostgresOptions, PostgresStore, What};
use longshore_testkit::{suite::Test, tests};
use std::{sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::TcpListener};

use crate::{
    beside, cluster,
    desk::Desk,
    open, run,
    support::{Dispatcher, adoption, at, exited, launched, request, started, submission, submit, submit_named},
};

pub(crate) const TESTS: &[Test] = &tests![
    a_server_that_is_not_there,
    a_server_that_is_not_postgresql,
    a_wrong_password,
    a_database_that_is_not_there,
    no_encryption_where_it_is_required,
    tables_of_a_version_that_needs_a_newer_program,
    tables_of_a_newer_version_that_this_program_can_use,
    missing_tables_when_they_are_not_to_be_made,
    many_that_start_at_once_make_the_tables_once,
    somebody_who_may_not_make_tables,
    all_connections_in_use,
    a_job_of_a_newer_version_is_left_in_the_queue,
    jobs_of_a_newer_version_hide_none_in_the_queue,
    what_a_newer_version_keeps_of_attempts_hinders_nobody,
    damage_is_told_by_the_check,
    settings_that_lose_what_is_stored_are_overruled,
];

fn impatient() -> PostgresOptions {
    PostgresOptions::builder().patience(Duration::from_millis(100)).build()
}

async fn refused(url: &str) -> Error {
    let error = PostgresStore::connect(url, impatient()).await.unwrap_err();
    assert!(!format!("{error:?} {}", error.chain()).contains("open-sesame"), "{error:?}");
    error
}

#[track_caller]
fn assert_told(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(error.to_string().contains(words), "{error}");
}

async fn a_server_that_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string().replace('/', "%2F");
    let error = refused(&format!("postgres://someone:open-sesame@{place}/jobs")).await;
    assert_told(&error, ErrorKind::Unavailable, "can't be reached: start it");
    assert!(error.to_string().contains("nothing of this call was stored"), "{error}");
}

async fn a_server_that_is_not_postgresql() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let other = tokio::spawn(async move {
        loop {
            listener.accept().await.unwrap().0.write_all(b"220 mail\r\n").await.unwrap();
        }
    });
    let error = refused(&format!("postgres://someone:open-sesame@{place}/jobs")).await;
    assert_told(&error, ErrorKind::Unavailable, "something else listens there");
    other.abort();
}

async fn a_wrong_password() {
    let cluster = cluster::shared().unwrap();
    let url = cluster.database().await;
    let (user, password) = cluster::GUARDED;
    let mut connection = beside(&url).await;
    run(&mut connection, &format!("CREATE USER {user} PASSWORD '{password}' SUPERUSER")).await;
    let database = url.rsplit('/').next().unwrap();
    let right = cluster.url_for(&format!("{user}:{password}"), database);
    let store = PostgresStore::connect(&right, impatient()).await.unwrap();
    assert!(!format!("{store:?}").contains(password), "{store:?}");
    let wrong = cluster.url_for(&format!("{user}:not-{password}"), database);
    assert_told(&refused(&wrong).await, ErrorKind::Unauthenticated, "check user and password");
}

async fn a_database_that_is_not_there() {
    let url = cluster::shared().unwrap().url("nowhere");
    assert_told(&refused(&url).await, ErrorKind::NotFound, "no such database");
}

async fn no_encryption_where_it_is_required() {
    let url = cluster::shared().unwrap().database().await + "?sslmode=require";
    assert_told(&refused(&url).await, ErrorKind::Unavailable, "check sslmode");
}

async fn tables_of_a_version_that_needs_a_newer_program() {
    let url = cluster::shared().unwrap().database().await;
    drop(open(&url).await);
    run(&mut beside(&url).await, "INSERT INTO longshore_schema VALUES (900, 900)").await;
    assert_told(&refused(&url).await, ErrorKind::Unsupported, "use a newer Longshore");
}

async fn tables_of_a_newer_version_that_this_program_can_use() {
    let url = cluster::shared().unwrap().database().await;
    drop(open(&url).await);
    let mut connection = beside(&url).await;
    run(&mut connection, "INSERT INTO longshore_schema VALUES (900, 1)").await;
    run(&mut connection, "ALTER TABLE longshore_job ADD COLUMN news text DEFAULT 'none'").await;
    let store = open(&url).await;
    let job = submit_named(&store, "on-a").await;
    let dispatcher = Dispatcher::new(&store).await;
    let token = dispatcher.claim_one(1).await;
    dispatcher.run(token, 2).await;
    assert!(store.job(job).await.unwrap().status.is_terminal());
}

async fn missing_tables_when_they_are_not_to_be_made() {
    let url = cluster::shared().unwrap().database().await;
    let options = PostgresOptions::builder().migrate(false).build();
    let error = PostgresStore::connect(&url, options.clone()).await.unwrap_err();
    assert_told(&error, ErrorKind::Unsupported, "`longshore db migrate`");
    drop(open(&url).await);
    PostgresStore::connect(&url, options).await.unwrap();
}

async fn many_that_start_at_once_make_the_tables_once() {
    let url = cluster::shared().unwrap().database().await;
    let opened = futures::future::join_all((0..8).map(|_| open(&url))).await;
    submit_named(&opened[0], "on-a").await;
    assert_eq!(opened[7].counts().await.unwrap().values().sum::<u64>(), 1);
    let steps = crate::number(&mut beside(&url).await, "SELECT count(*) FROM longshore_schema").await;
    assert_eq!(steps, 1);
}

async fn somebody_who_may_not_make_tables() {
    let cluster = cluster::shared().unwrap();
    let url = cluster.database().await;
    let name = format!("guest_{}", uuid::Uuid::new_v4().simple());
    run(&mut beside(&url).await, &format!("CREATE USER {name}")).await;
    let guest = cluster.url_for(&name, url.rsplit('/').next().unwrap());
    assert_told(&refused(&guest).await, ErrorKind::PermissionDenied, "does not allow its user");
}

async fn all_connections_in_use() {
    let url = cluster::shared().unwrap().database().await;
    let options = PostgresOptions::builder().connections(1).patience(Duration::from_millis(100)).build();
    let store = PostgresStore::connect(&url, options).await.unwrap();
    let mut connection = beside(&url).await;
    let mut transaction = sqlx::Connection::begin(&mut connection).await.unwrap();
    sqlx::query("LOCK TABLE longshore_pause").execute(&mut *transaction).await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.pauses().await }
    });
    crate::until(&mut beside(&url).await, "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)").await;
    let error = store.pauses().await.unwrap_err();
    assert_told(&error, ErrorKind::Unavailable, "all 1 connections");
    transaction.rollback().await.unwrap();
    assert!(waiting.await.unwrap().unwrap().is_empty());
}

async fn a_job_of_a_newer_version_is_left_in_the_queue() {
    let url = cluster::shared().unwrap().database().await;
    let store = open(&url).await;
    let newer = submit_named(&store, "on-a").await;
    let plain = store.submit(vec![submission("on-a")], at(1)).await.unwrap().remove(0).unwrap().id();
    let demand = "UPDATE longshore_submission SET body = replace(body, '\"template\":', '\"teleport\":true,\"template\":') \
                  WHERE job = (SELECT id FROM longshore_job ORDER BY submitted_at LIMIT 1)";
    run(&mut beside(&url).await, demand).await;
    let dispatcher = Dispatcher::new(&store).await;
    let held = dispatcher.claim(Desk::with(&[("a", 10)]), 10, 2).await;
    assert_eq!(held.iter().map(|held| held.job.id()).collect::<Vec<_>>(), [plain]);
    let error = store.job(newer).await.unwrap_err();
    assert_told(&error, ErrorKind::Unexpected, "was written by a newer Longshore, or is damaged");
    let words = store.check().await.unwrap();
    assert!(words.len() == 1 && words[0].contains(&newer.to_string()), "{words:?}");
}

/// What a newer version might keep of a job that this one does not know.
async fn newer_keeps_of(connection: &mut sqlx::PgConnection, job: JobId) {
    let sql = format!(
        "UPDATE longshore_job SET rest = (rest::jsonb || '{{\"teleport\": true}}')::text WHERE id = '{}'",
        job.as_uuid()
    );
    run(connection, &sql).await;
}

async fn jobs_of_a_newer_version_hide_none_in_the_queue() {
    let url = cluster::shared().unwrap().database().await;
    let (store, mut connection) = (open(&url).await, beside(&url).await);
    let dispatcher = Dispatcher::new(&store).await;
    // One of each waits for nothing, for a host, and for a time; behind each there is another.
    let mut plain = Vec::new();
    for name in ["on-c", "later-a", "on-a"] {
        let newer = submit(&store, submission(name), 0).await;
        plain.push(submit(&store, submission(name), 0).await);
        if name == "on-a" {
            newer_keeps_of(&mut connection, newer).await;
            continue;
        }
        assert_eq!(dispatcher.claim(Desk::with(&[("a", 9)]), 10, 1).await, []);
        newer_keeps_of(&mut connection, newer).await;
    }
    let claimed = dispatcher.try_claim(Desk::with(&[("a", 9)]), 1, 2).await.unwrap();
    assert_eq!((claimed.held[0].job.id(), claimed.looked_at), (plain[2], 1));
    let claimed = dispatcher.try_claim(Desk::with(&[("c", 1)]), 10, 3).await.unwrap();
    assert_eq!((claimed.held[0].job.id(), claimed.looked_at), (plain[0], 1));
    let claimed = dispatcher.try_claim(Desk::with(&[("a", 9)]), 1, 60).await.unwrap();
    assert_eq!((claimed.held[0].job.id(), claimed.looked_at), (plain[1], 1));
    // What the newer version has to look at is there for it, and nobody else is called for it.
    assert_eq!(dispatcher.try_claim(Desk::with(&[("a", 9), ("c", 9)]), 10, 61).await.unwrap().next_at, None);
    dispatcher.store.wake_queue(dispatcher.session).await.unwrap();
    let waits = "SELECT count(*) FROM longshore_job WHERE rest LIKE '%teleport%' AND rest NOT LIKE '%hosts%' \
                 AND line = '00000000-0000-0000-0000-000000000000'";
    assert_eq!(crate::number(&mut connection, waits).await, 3);
}

async fn what_a_newer_version_keeps_of_attempts_hinders_nobody() {
    let url = cluster::shared().unwrap().database().await;
    let (store, mut connection) = (open(&url).await, beside(&url).await);
    let dead = Dispatcher::new(&store).await;
    let mut tokens = Vec::new();
    for _ in 0..4 {
        submit_named(&store, "on-a").await;
        tokens.push(dead.claim_one(1).await);
    }
    tokens.sort_unstable();
    let (newer, plain) = (tokens[0], &tokens[1..]);
    let launches = || tokens.iter().map(|token| launched(*token, 2)).collect();
    assert!(dead.store.record(dead.session, launches()).await.unwrap().iter().all(Result::is_ok));
    newer_keeps_of(&mut connection, newer.job()).await;
    let starts = tokens.iter().map(|token| started(*token, 3)).collect();
    let told = dead.store.record(dead.session, starts).await.unwrap();
    assert_eq!(told.iter().map(Result::is_ok).collect::<Vec<_>>(), [false, true, true, true]);
    let held = dead.store.held(dead.session).await.unwrap();
    assert_eq!(held.iter().map(|held| held.attempt.token()).collect::<Vec<_>>(), plain);
    dead.store.intervene(plain[0].job(), Intervention::Cancel, request(4)).await.unwrap();
    assert_eq!(dead.store.interventions(dead.session).await.unwrap().len(), 1);
    dead.store.close_session(dead.session).await.unwrap();
    let heir = Dispatcher::new(&store).await;
    let mut adopted = heir.store.adopt(heir.session, adoption(1, at(90))).await.unwrap();
    adopted.extend(heir.store.adopt(heir.session, adoption(10, at(90))).await.unwrap());
    assert_eq!(adopted.iter().map(|held| held.attempt.token()).collect::<Vec<_>>(), plain);
    let free = "SELECT count(*) FROM longshore_attempt WHERE session IS NULL";
    assert_eq!(crate::number(&mut connection, free).await, 1);
}

async fn damage_is_told_by_the_check() {
    let url = cluster::shared().unwrap().database().await;
    let store: Arc<dyn JobStore> = open(&url).await;
    let dispatcher = Dispatcher::new(&store).await;
    submit_named(&store, "paid-a").await;
    let desk = Desk::with(&[("a", 10)]).with_budget(5);
    let held = dispatcher.claim(desk, 10, 2).await.remove(0);
    let token = held.attempt.token();
    let mut end = exited(token, 0, 4);
    if let What::Ended { charges, .. } = &mut end.what {
        charges.clone_from(&held.attempt.charges);
    }
    for change in [launched(token, 3), end] {
        dispatcher.record(change).await.unwrap();
    }
    assert_eq!(store.check().await.unwrap(), [""; 0]);
    let mut connection = beside(&url).await;
    run(&mut connection, "UPDATE longshore_charged SET amount = 0.5").await;
    run(&mut connection, "DELETE FROM longshore_session").await;
    run(&mut connection, "UPDATE longshore_job SET attempts = 7").await;
    let words = store.check().await.unwrap().join("\n");
    for part in ["counts 0.5 USD", "of a session that is over", "another number of attempts"] {
        assert!(words.contains(part), "{words}");
    }
}

async fn settings_that_lose_what_is_stored_are_overruled() {
    let url = cluster::shared().unwrap().database().await;
    let mut connection = beside(&url).await;
    let database = url.rsplit('/').next().unwrap();
    run(&mut connection, &format!("ALTER DATABASE {database} SET default_transaction_isolation = 'serializable'"))
        .await;
    drop(open(&url).await);
    // What the store's transactions run with is seen from inside one of them.
    run(
        &mut connection,
        "CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_setting('synchronous_commit') NOT IN ('on', 'remote_apply') OR current_setting('transaction_isolation') <> 'read committed' \
         THEN RAISE 'not so'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER seen BEFORE INSERT ON longshore_job FOR EACH ROW EXECUTE FUNCTION seen()",
    )
    .await;
    for default in ["off", "local", "remote_write", "remote_apply", "on"] {
        run(&mut connection, &format!("ALTER DATABASE {database} SET synchronous_commit = {default}")).await;
        submit_named(&open(&url).await, "on-a").await;
    }
}
