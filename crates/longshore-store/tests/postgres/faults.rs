//! Backends that are killed, answers that are lost, dispatchers that are frozen.

use jiff::Timestamp;
use longshore_core::{ErrorKind, HostName};
use longshore_store::{Beat, Claim, InUse, Intervention, JobRecord, JobStore, Placement, Placer, SessionId, Submitted};
use longshore_testkit::{suite::Test, tests};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, mpsc},
};
use tokio::{
    io::AsyncReadExt,
    net::{TcpListener, UnixStream},
    sync::watch,
};

use crate::{
    beside,
    cluster::{self, Cluster},
    number, open, run,
    support::{Dispatcher, at, kind, launched, request, submission, submit_named},
    until,
};

pub(crate) const TESTS: &[Test] = &tests![
    a_commit_whose_answer_is_lost_is_told_and_may_be_repeated,
    a_backend_that_is_ended_in_the_middle_is_replaced_unseen,
    a_server_that_crashes_in_the_middle_is_waited_for,
    a_server_that_hangs_up_when_it_is_greeted_is_waited_for,
    connections_that_have_died_silently_hold_up_nobody_for_long,
    a_dispatcher_frozen_in_the_middle_of_a_claim_holds_up_nobody_for_long,
];

const COMMITTING: &str = "SELECT count(*) = 2 AND bool_or(wait_event = 'SyncRep') FROM pg_stat_activity \
                          WHERE query = 'COMMIT' AND state = 'active'";

fn kill(pid: i64) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
}

/// One commit is durable and waits for a standby that never answers, when the server crashes; another waits behind it. Which
/// is which nobody can tell.
async fn a_commit_whose_answer_is_lost_is_told_and_may_be_repeated() {
    let cluster = Cluster::start().unwrap();
    let url = cluster.database().await;
    let store = open(&url).await;
    let first = submit_named(&store, "on-a").await;
    let dispatcher = Dispatcher::new(&store).await;
    let token = dispatcher.claim_one(1).await;
    let mut connection = beside(&url).await;
    run(&mut connection, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'").await;
    run(&mut connection, "SELECT pg_reload_conf()").await;
    until(&mut connection, "SELECT current_setting('synchronous_standby_names') = 'nobody'").await;
    let job = submission("on-a");
    let (submitting, recording) = (tokio::spawn(submit(&store, &job)), tokio::spawn(launch(&dispatcher, token)));
    until(&mut connection, COMMITTING).await;
    run(&mut connection, "ALTER SYSTEM RESET synchronous_standby_names").await;
    kill(
        number(&mut connection, "SELECT pid::bigint FROM pg_stat_activity WHERE wait_event = 'SyncRep' LIMIT 1").await,
    );
    for told in [submitting.await.unwrap().map(|_| ()), recording.await.unwrap()] {
        let error = told.unwrap_err();
        assert!(error.is_lost_contact(), "{error:?}");
        assert!(error.to_string().contains("whether the change is stored is not known"), "{error}");
    }
    // The server starts again by itself, and keeps its settings until it is told.
    store.job(first).await.unwrap();
    let mut connection = beside(&url).await;
    run(&mut connection, "SELECT pg_reload_conf()").await;
    until(&mut connection, "SELECT current_setting('synchronous_standby_names') = ''").await;
    assert_eq!(submit(&store, &job).await.unwrap().id(), job.job.id);
    assert_eq!(submit(&store, &job).await.unwrap(), Submitted::Existing(job.job.id));
    launch(&dispatcher, token).await.unwrap();
    let told = store.events(first).await.unwrap();
    assert_eq!(told.iter().filter(|event| event.kind == "launched").count(), 1, "{told:?}");
}

fn submit(
    store: &Arc<dyn JobStore>,
    job: &longshore_store::Submission,
) -> impl Future<Output = longshore_core::Result<Submitted>> + use<> {
    let (store, job) = (Arc::clone(store), job.clone());
    async move { store.submit(vec![job], at(5)).await?.remove(0) }
}

fn launch(
    dispatcher: &Dispatcher,
    token: longshore_core::LaunchToken,
) -> impl Future<Output = longshore_core::Result<()>> + use<> {
    let dispatcher = dispatcher.clone();
    async move { dispatcher.record(launched(token, 6)).await }
}

const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
                     AND wait_event_type = 'Lock' AND application_name = 'longshore')";

const WAITING: &str = "SELECT pid::bigint FROM pg_stat_activity WHERE datname = current_database() \
                       AND wait_event_type = 'Lock' AND application_name = 'longshore'";

async fn a_backend_that_is_ended_in_the_middle_is_replaced_unseen() {
    let url = cluster::shared().unwrap().database().await;
    let store = open(&url).await;
    let job = submit_named(&store, "on-a").await;
    let (mut holding, mut watching) = (beside(&url).await, beside(&url).await);
    let mut transaction = sqlx::Connection::begin(&mut holding).await.unwrap();
    sqlx::query("SELECT 1 FROM longshore_job FOR UPDATE").execute(&mut *transaction).await.unwrap();
    let cancelling = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.intervene(job, Intervention::Cancel, request(1)).await }
    });
    until(&mut watching, WAITS).await;
    let pid = number(&mut watching, WAITING).await;
    sqlx::query("SELECT pg_terminate_backend($1::int, 10000)").bind(pid).execute(&mut watching).await.unwrap();
    transaction.rollback().await.unwrap();
    assert!(cancelling.await.unwrap().unwrap().status.is_terminal());
}

async fn a_server_that_crashes_in_the_middle_is_waited_for() {
    let cluster = Cluster::start().unwrap();
    let url = cluster.database().await;
    let store = open(&url).await;
    let job = submit_named(&store, "on-a").await;
    let (mut holding, mut watching) = (beside(&url).await, beside(&url).await);
    run(&mut holding, "BEGIN; SELECT 1 FROM longshore_job FOR UPDATE").await;
    let cancelling = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.intervene(job, Intervention::Cancel, request(1)).await }
    });
    until(&mut watching, WAITS).await;
    kill(number(&mut watching, WAITING).await);
    assert!(cancelling.await.unwrap().unwrap().status.is_terminal());
    assert_eq!(store.events(job).await.unwrap().len(), 2);
}

/// The file of the shared server's socket, and the part of a URL that names its place.
fn socket_of(url: &str) -> (String, &str) {
    let folder = url.split(['@', '/']).find(|part| part.starts_with("%2F")).unwrap();
    (folder.replace("%2F", "/") + "/.s.PGSQL.5432", folder)
}

/// A proxy which forgets the connections that it carries when it is told to, as an address translator does: nothing more comes
/// through, and no end hears of it.
async fn forgetful_proxy(url: &str) -> (String, watch::Sender<u32>) {
    let (socket, folder) = socket_of(url);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let (forget, forgotten) = watch::channel(0);
    tokio::spawn(async move {
        loop {
            let mut client = listener.accept().await.unwrap().0;
            let mut server = UnixStream::connect(&socket).await.unwrap();
            let mut forgotten = forgotten.clone();
            forgotten.mark_unchanged();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut client, &mut server) => return,
                    _ = forgotten.changed() => {}
                }
                std::future::pending::<()>().await;
            });
        }
    });
    (url.replace(folder, &place.to_string()), forget)
}

async fn connections_that_have_died_silently_hold_up_nobody_for_long() {
    let url = cluster::shared().unwrap().database().await;
    let (through, forget) = forgetful_proxy(&url).await;
    let store = open(&through).await;
    // Several at once, so that several connections are kept.
    let mut other = beside(&url).await;
    run(&mut other, "BEGIN; LOCK TABLE longshore_pause").await;
    let asking: Vec<_> = (0..4)
        .map(|_| {
            tokio::spawn({
                let store = Arc::clone(&store);
                async move { store.pauses().await }
            })
        })
        .collect();
    let waits =
        "SELECT count(*) = 4 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until(&mut beside(&url).await, waits).await;
    run(&mut other, "COMMIT").await;
    for asked in asking {
        asked.await.unwrap().unwrap();
    }
    forget.send_modify(|forgotten| *forgotten += 1);
    let began = std::time::Instant::now();
    submit_named(&store, "on-a").await;
    assert!(began.elapsed() < std::time::Duration::from_secs(25), "it took {:?}", began.elapsed());
}

/// As one does that crashes at that moment, and a proxy without a server behind it.
async fn a_server_that_hangs_up_when_it_is_greeted_is_waited_for() {
    let url = cluster::shared().unwrap().database().await;
    let (socket, folder) = socket_of(&url);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = listener.local_addr().unwrap();
    let proxy = tokio::spawn(async move {
        for number in 0.. {
            let mut client = listener.accept().await.unwrap().0;
            if number < 3 {
                client.read_u64().await.unwrap();
                continue;
            }
            let mut server = UnixStream::connect(&socket).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut client, &mut server).await });
        }
    });
    let store = open(&url.replace(folder, &place.to_string())).await;
    submit_named(&store, "on-a").await;
    proxy.abort();
}

/// A placer that is frozen until it is thawed.
struct Frozen {
    began: mpsc::Sender<()>,
    thawed: Mutex<mpsc::Receiver<()>>,
}

impl Placer for Frozen {
    fn room(&self, _: &BTreeSet<HostName>, _: &InUse) -> usize {
        1
    }

    fn place(&self, jobs: &[JobRecord], _: &InUse) -> Vec<Placement> {
        self.began.send(()).unwrap();
        self.thawed.lock().unwrap().recv().unwrap();
        jobs.iter().map(|_| Placement::GiveUp).collect()
    }
}

async fn a_dispatcher_frozen_in_the_middle_of_a_claim_holds_up_nobody_for_long() {
    let url = cluster::shared().unwrap().database().await;
    let store = open(&url).await;
    submit_named(&store, "on-a").await;
    let (began, beginning) = mpsc::channel();
    let (thaw, thawed) = mpsc::channel();
    let frozen = SessionId::new(at(0));
    let claiming = std::thread::spawn({
        let url = url.clone();
        move || claim_frozen(&url, frozen, Frozen { began, thawed: Mutex::new(thawed) })
    });
    tokio::task::spawn_blocking(move || beginning.recv().unwrap()).await.unwrap();
    let other = Dispatcher::new(&store).await;
    assert!(store.fence(other.session, &Beat::new(frozen, 0, false, String::new())).await.unwrap());
    let token = other.claim_one(2).await;
    thaw.send(()).unwrap();
    let told = tokio::task::spawn_blocking(move || claiming.join().unwrap()).await.unwrap();
    assert_eq!(told, ErrorKind::LeaseLost);
    assert_eq!(other.job_of(token).await.status, longshore_core::JobStatus::Launching);
}

/// Claims in a runtime of its own, which stands still meanwhile as a stopped process does.
fn claim_frozen(url: &str, session: SessionId, placer: Frozen) -> ErrorKind {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(url).await;
        store.open_session(session, "frozen").await.unwrap();
        let now: Timestamp = at(1);
        kind(store.claim(Claim::new(session, now, 10), Arc::new(placer)).await)
    })
}
