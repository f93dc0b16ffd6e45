//! Connections, a bounded number of them. One comes back only from work that went well; any other is dropped, and the
//! server takes back what it had begun.

use longshore_core::{Error, ErrorKind, Result};
use sqlx::{
    Connection, Executor,
    postgres::{PgConnectOptions, PgConnection},
};
use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, timeout},
};

use super::failure;

/// What every connection is told first.
///
/// A process that was frozen in the middle of a transaction, or is cut off while the server sends it something, must not keep
/// others waiting for long. Plans are those of many rows from the start, because a plan that was made while the tables were
/// empty would be kept while they fill.
const MANNERS: &str = "
    SET idle_in_transaction_session_timeout = '10s';
    SET lock_timeout = '10s';
    SET client_connection_check_interval = '10s';
    SET tcp_user_timeout = '10s';
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SET jit = off;
    SELECT set_config('synchronous_commit', 'on', false)
        WHERE current_setting('synchronous_commit') NOT IN ('on', 'remote_apply');
";

/// The longest that making one connection may take.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a connection is kept that nobody uses. Firewalls and address translators forget one sooner or later, and tell
/// neither end.
const KEPT: Duration = Duration::from_secs(60);

/// The time between two attempts to connect, at first; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Pool {
    options: PgConnectOptions,
    server: String,
    size: usize,
    patience: Duration,
    permits: Semaphore,
    /// Each with the time since when nobody uses it, the newest last.
    idle: Mutex<Vec<(PgConnection, Instant)>>,
    /// How many servers there may have been by now.
    servers: AtomicU64,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("server", &self.server).field("size", &self.size).finish_non_exhaustive()
    }
}

/// A connection that is being used.
pub(super) struct Lease<'a> {
    pub(super) connection: PgConnection,
    _permit: SemaphorePermit<'a>,
}

impl Pool {
    pub(super) fn new(options: PgConnectOptions, server: String, size: usize, patience: Duration) -> Self {
        let permits = Semaphore::new(size);
        Self { options, server, size, patience, permits, idle: Mutex::default(), servers: AtomicU64::new(0) }
    }

    pub(super) fn server(&self) -> &str {
        &self.server
    }

    pub(super) const fn options(&self) -> &PgConnectOptions {
        &self.options
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(PgConnection, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection, kept or new.
    pub(super) async fn lease(&self) -> Result<Lease<'_>> {
        let Ok(Ok(permit)) = timeout(self.patience, self.permits.acquire()).await else {
            return Err(self.exhausted());
        };
        let kept = self.kept();
        let connection = match kept {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        Ok(Lease { connection, _permit: permit })
    }

    fn kept(&self) -> Option<PgConnection> {
        let mut idle = self.idle();
        idle.retain(|(_, since)| since.elapsed() < KEPT);
        idle.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection for the next.
    pub(super) fn keep(&self, lease: Lease<'_>) {
        self.idle().push((lease.connection, Instant::now()));
    }

    /// Drops the connections that are kept: the server they lead to is not what it was.
    pub(super) fn forget(&self) {
        self.servers.fetch_add(1, Ordering::Relaxed);
        self.idle().clear();
    }

    /// Which server it is: each time that one may have taken another's place, a higher number.
    pub(super) fn server_number(&self) -> u64 {
        self.servers.load(Ordering::Relaxed)
    }

    /// A new connection. A server that is just starting again is waited for.
    async fn connect(&self) -> Result<PgConnection> {
        let deadline = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match timeout(CONNECT, self.connect_once()).await {
                Ok(Ok(connection)) => return Ok(connection),
                Ok(Err(error)) => error,
                Err(_) => return Err(self.silent()),
            };
            if !failure::may_come_back(&error) || Instant::now() + pause >= deadline {
                return Err(failure::not_connected(&self.server, error).with_operation("connect"));
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn connect_once(&self) -> Result<PgConnection, sqlx::Error> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        connection.execute(MANNERS).await?;
        Ok(connection)
    }

    fn exhausted(&self) -> Error {
        let Self { server, size, patience, .. } = self;
        let message = format!(
            "all {size} connections to {server} have been in use for {patience:?}: give the store more of them, or the \
             server less to do; nothing of this call was stored"
        );
        Error::new(ErrorKind::Unavailable, message)
    }

    fn silent(&self) -> Error {
        let message = format!(
            "{} takes connections and does not answer within {CONNECT:?}; nothing of this call was stored",
            self.server
        );
        Error::new(ErrorKind::Timeout, message).with_operation("connect")
    }
}
