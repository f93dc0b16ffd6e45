//! Sessions: their pulses, and what they hold.
//!
//! Whatever a session does locks its row first, so lightly that it hinders neither its beats nor its other calls. Whoever
//! fences it off waits for what it has begun, and what it begins afterwards finds no row.

use async_trait::async_trait;
use longshore_core::Result;
use sqlx::{Row, postgres::PgConnection};

use super::{Failure, codec, news, read, schema::Installation, transact::Work, write};
use crate::{Adoption, Beat, Held, JobRecord, News, SessionId, refusals};

/// Makes sure that the session may write, and that it is not fenced off before this transaction has ended. Returns the
/// version of what this transaction writes.
pub(super) async fn alive(connection: &mut PgConnection, session: SessionId) -> Result<String, Failure> {
    let locked =
        sqlx::query("SELECT pg_current_xact_id()::xid::text FROM longshore_session WHERE id = $1 FOR KEY SHARE");
    match locked.bind(session.as_uuid()).fetch_optional(connection).await? {
        Some(row) => Ok(row.try_get(0)?),
        None => Err(refusals::lease_lost(session).into()),
    }
}

pub(super) struct Open<'a> {
    pub(super) session: SessionId,
    pub(super) name: &'a str,
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for Open<'_> {
    type Answer = ();
    const OPERATION: &'static str = "open a session";

    async fn run(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        sqlx::query("INSERT INTO longshore_session (id, beats, name) VALUES ($1, 0, $2) ON CONFLICT (id) DO NOTHING")
            .bind(self.session.as_uuid())
            .bind(codec::text(self.name))
            .execute(&mut *connection)
            .await?;
        // Looked at afterwards, because the row above may have had to wait for the end of the session.
        if closed(connection, self.session).await?.is_some() {
            return Err(refusals::lease_lost(self.session).into());
        }
        news::send(connection, self.installation, News { freed: true, ..News::default() }).await
    }
}

/// Whether the session is over, and if so, whether it ended by itself.
async fn closed(connection: &mut PgConnection, session: SessionId) -> Result<Option<bool>, Failure> {
    let over = sqlx::query("SELECT closed FROM longshore_session_over WHERE id = $1");
    let row = over.bind(session.as_uuid()).fetch_optional(connection).await?;
    Ok(row.map(|row| row.try_get(0)).transpose()?)
}

pub(super) struct Beats {
    pub(super) session: SessionId,
}

#[async_trait]
impl Work for Beats {
    type Answer = Vec<Beat>;
    const OPERATION: &'static str = "beat";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Beat>, Failure> {
        let beaten = sqlx::query("UPDATE longshore_session SET beats = beats + 1 WHERE id = $1")
            .bind(self.session.as_uuid())
            .execute(&mut *connection)
            .await?;
        if beaten.rows_affected() == 0 {
            return Err(refusals::lease_lost(self.session).into());
        }
        let others = sqlx::query("SELECT id, beats, name FROM longshore_session WHERE id <> $1 ORDER BY id");
        let rows = others.bind(self.session.as_uuid()).fetch_all(connection).await?;
        let beat = |row: &sqlx::postgres::PgRow| -> Result<Beat, Failure> {
            let beats: i64 = row.try_get("beats")?;
            let session = SessionId::from_uuid(row.try_get("id")?);
            // That a process is dead can't be seen from here.
            Ok(Beat::new(session, beats.unsigned_abs(), false, row.try_get("name")?))
        };
        rows.iter().map(beat).collect()
    }
}

pub(super) struct Fence<'a> {
    pub(super) session: SessionId,
    pub(super) other: &'a Beat,
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for Fence<'_> {
    type Answer = bool;
    const OPERATION: &'static str = "fence a session off";

    async fn run(&self, connection: &mut PgConnection) -> Result<bool, Failure> {
        // In one order, so that two who fence each other off don't wait in a circle.
        let beats = if self.session < self.other.session {
            alive(connection, self.session).await?;
            self.pulse(connection).await?
        } else {
            let beats = self.pulse(connection).await?;
            alive(connection, self.session).await?;
            beats
        };
        match beats {
            Some(beats) if beats != self.other.beats => return Ok(false),
            Some(_) => end(connection, self.other.session, false).await?,
            None => {}
        }
        news::send(connection, self.installation, News { freed: true, ..News::default() }).await?;
        Ok(true)
    }
}

impl Fence<'_> {
    /// The other's pulse, which stays as it is until the end of the transaction.
    async fn pulse(&self, connection: &mut PgConnection) -> Result<Option<u64>, Failure> {
        let row = sqlx::query("SELECT beats FROM longshore_session WHERE id = $1 FOR UPDATE")
            .bind(self.other.session.as_uuid())
            .fetch_optional(connection)
            .await?;
        Ok(row.map(|row| row.try_get::<i64, _>(0)).transpose()?.map(i64::unsigned_abs))
    }
}

pub(super) struct Close<'a> {
    pub(super) session: SessionId,
    pub(super) installation: &'a Installation,
}

#[async_trait]
impl Work for Close<'_> {
    type Answer = ();
    const OPERATION: &'static str = "close a session";

    async fn run(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        let row = sqlx::query("SELECT 1 FROM longshore_session WHERE id = $1 FOR UPDATE")
            .bind(self.session.as_uuid())
            .fetch_optional(&mut *connection)
            .await?;
        match row {
            Some(_) => end(connection, self.session, true).await?,
            None if closed(connection, self.session).await? == Some(true) => return Ok(()),
            None => return Err(refusals::lease_lost(self.session).into()),
        }
        news::send(connection, self.installation, News { freed: true, ..News::default() }).await
    }
}

/// Ends a session whose row is locked, and frees what it holds.
async fn end(connection: &mut PgConnection, session: SessionId, by_itself: bool) -> Result<(), Failure> {
    sqlx::query("INSERT INTO longshore_session_over (id, closed) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(session.as_uuid())
        .bind(by_itself)
        .execute(&mut *connection)
        .await?;
    for sql in [
        "DELETE FROM longshore_session WHERE id = $1",
        "UPDATE longshore_attempt SET session = NULL WHERE open AND session = $1",
    ] {
        sqlx::query(sql).bind(session.as_uuid()).execute(&mut *connection).await?;
    }
    Ok(())
}

pub(super) struct Adopt<'a> {
    pub(super) session: SessionId,
    pub(super) adoption: &'a Adoption,
}

#[async_trait]
impl Work for Adopt<'_> {
    type Answer = Vec<Held>;
    const OPERATION: &'static str = "adopt attempts";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Held>, Failure> {
        alive(connection, self.session).await?;
        // One after the other: whoever comes second finds what the first one left.
        sqlx::query("SELECT pg_advisory_xact_lock('longshore_attempt'::regclass::oid::int, 0)")
            .execute(&mut *connection)
            .await?;
        let mut adopted: Vec<Held> = Vec::new();
        let mut after = None;
        // What can't be read is left, and does not count.
        while adopted.len() < self.adoption.most {
            let left = self.adoption.most - adopted.len();
            let free = read::free_after(connection, self.adoption, after, left).await?;
            after = free.last;
            adopted.extend(free.readable);
            if after.is_none() {
                break;
            }
        }
        adopted.iter_mut().for_each(|held| self.adoption.take(self.session, &mut held.attempt));
        write::take(connection, self.session, &adopted).await?;
        Ok(adopted)
    }
}

pub(super) struct HeldBy {
    pub(super) session: SessionId,
}

#[async_trait]
impl Work for HeldBy {
    type Answer = Vec<Held>;
    const OPERATION: &'static str = "read what a session holds";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<Held>, Failure> {
        alive(connection, self.session).await?;
        read::held_by(connection, self.session).await
    }
}

pub(super) struct Interventions {
    pub(super) session: SessionId,
}

#[async_trait]
impl Work for Interventions {
    type Answer = Vec<JobRecord>;
    const OPERATION: &'static str = "read interventions";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<JobRecord>, Failure> {
        alive(connection, self.session).await?;
        read::wanted_of(connection, self.session).await
    }
}
