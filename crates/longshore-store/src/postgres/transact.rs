//! Transactions: done as a whole or not at all, and done again where that is safe.

use async_trait::async_trait;
use longshore_core::{Error, ErrorKind, Result};
use sqlx::{Executor, postgres::PgConnection};
use std::{io, time::Duration};

use super::{
    failure::{self, Failure, Remedy},
    pool::Pool,
};

/// How often work is begun again at most.
const TRIES: u32 = 6;

/// The longest that beginning a transaction may take. It asks nothing of the server; one that does not answer is not reached.
const BEGINNING: Duration = Duration::from_secs(5);

/// The pause before work is begun again because others were in the way; longer each time.
const PAUSE: Duration = Duration::from_millis(10);

/// Something to do in one transaction. It may be begun several times, and takes effect once.
#[async_trait]
pub(super) trait Work: Sync {
    /// What it answers.
    type Answer: Send;

    /// What it is, in an error.
    const OPERATION: &'static str;

    /// How the transaction is begun. Each statement sees what was committed before it, unless something else is said.
    const BEGIN: &'static str = "BEGIN ISOLATION LEVEL READ COMMITTED";

    /// The longest that it may take.
    const LIMIT: Duration = Duration::from_secs(60);

    /// Does it.
    async fn run(&self, connection: &mut PgConnection) -> Result<Self::Answer, Failure>;
}

impl Pool {
    /// Does work in a transaction.
    ///
    /// Dropped before the commit is sent, nothing takes effect.
    pub(super) async fn transact<W: Work>(&self, work: &W) -> Result<W::Answer> {
        let done = tokio::time::timeout(W::LIMIT, self.persevere(work)).await;
        done.unwrap_or_else(|_| {
            // If this connection leads nowhere, those that are kept may lead there too.
            self.forget();
            Err(self.too_slow(W::LIMIT).with_operation(W::OPERATION))
        })
    }

    async fn persevere<W: Work>(&self, work: &W) -> Result<W::Answer> {
        let mut tries = 0;
        loop {
            let failure = match self.attempt(work).await? {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            tries += 1;
            match failure.remedy() {
                Remedy::Reconnect => self.forget(),
                Remedy::Again => tokio::time::sleep(PAUSE * tries + jitter()).await,
                Remedy::GiveUp => tries = TRIES,
            }
            if tries >= TRIES {
                return Err(self.final_word(failure).with_operation(W::OPERATION));
            }
        }
    }

    /// One try: an error for what is final, and a failure for what left nothing behind.
    async fn attempt<W: Work>(&self, work: &W) -> Result<Result<W::Answer, Failure>> {
        let mut lease = self.lease().await.map_err(|error| error.with_operation(W::OPERATION))?;
        let begun = tokio::time::timeout(BEGINNING, lease.connection.execute(W::BEGIN)).await;
        if let Err(error) = begun.unwrap_or_else(|_| Err(sqlx::Error::Io(io::ErrorKind::TimedOut.into()))) {
            return Ok(Err(error.into()));
        }
        match work.run(&mut lease.connection).await {
            Ok(answer) => match lease.connection.execute("COMMIT").await {
                Ok(_) => {
                    self.keep(lease);
                    Ok(Ok(answer))
                }
                Err(error) => match self.uncommitted(error) {
                    Ok(failure) => Ok(Err(failure)),
                    Err(error) => Err(error.with_operation(W::OPERATION)),
                },
            },
            Err(Failure::Refused(error)) => {
                if lease.connection.execute("ROLLBACK").await.is_ok() {
                    self.keep(lease);
                }
                Err(error)
            }
            Err(failure) => Ok(Err(failure)),
        }
    }

    /// The server said that it did not commit, or nothing is known.
    fn uncommitted(&self, error: sqlx::Error) -> Result<Failure> {
        if failure::is_answer(&error) {
            return Ok(error.into());
        }
        self.forget();
        Err(failure::unknown_whether_stored(self.server(), error))
    }

    fn final_word(&self, failure: Failure) -> Error {
        match failure {
            Failure::Sql(error) => failure::told(self.server(), error),
            Failure::Refused(error) => error,
            Failure::Overtaken => {
                let message =
                    format!("others kept changing what this call needs on {}; nothing was stored", self.server());
                Error::new(ErrorKind::Unavailable, message)
            }
        }
    }

    fn too_slow(&self, limit: Duration) -> Error {
        let message = format!(
            "{} did not answer within {limit:?}: whether the call took effect is not known; it may be made again, and \
             changes nothing twice",
            self.server()
        );
        Error::new(ErrorKind::Timeout, message)
    }
}

/// Up to ten milliseconds, so that those who were in each other's way come back at different times.
fn jitter() -> Duration {
    Duration::from_micros(u64::from(uuid::Uuid::new_v4().as_fields().0) % 10_000)
}
