//! Sessions, and what they hold.

use longshore_core::Result;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    fault::Outcome,
    rows::{all, all_readable, attempt_columns, held, job_columns, readable},
    values::{Id, Time, json, time},
};
use crate::{Adoption, Beat, Held, JobRecord, SessionId, refusals};

/// How many sessions that are over are remembered, so that one is told so that comes back late.
const REMEMBERED: u32 = 1000;

/// Refuses a session that is over, or that never was.
pub(super) fn alive(connection: &Connection, session: SessionId) -> Outcome<()> {
    if is_open(connection, session)? { Ok(()) } else { Err(refusals::lease_lost(session).into()) }
}

pub(super) fn is_open(connection: &Connection, session: SessionId) -> Outcome<bool> {
    const OPEN: &str = "SELECT 1 FROM sessions WHERE id = ?1 AND over IS NULL";
    Ok(connection.prepare_cached(OPEN)?.exists([Id::from(session)])?)
}

fn over(connection: &Connection, session: SessionId) -> Outcome<Option<Option<String>>> {
    const OVER: &str = "SELECT over FROM sessions WHERE id = ?1";
    Ok(connection.prepare_cached(OVER)?.query_row([Id::from(session)], |row| row.get(0)).optional()?)
}

pub(super) fn open(connection: &Connection, session: SessionId, name: &str, opening: &str) -> Outcome<()> {
    const OPEN: &str = "INSERT INTO sessions (id, name, beats, opening) VALUES (?1, ?2, 0, ?3)";
    const FORGET: &str = "DELETE FROM sessions WHERE over IS NOT NULL AND id <= (SELECT id FROM sessions \
                          WHERE over IS NOT NULL ORDER BY id DESC LIMIT 1 OFFSET ?1)";
    match over(connection, session)? {
        Some(None) => Ok(()),
        Some(Some(_)) => Err(refusals::lease_lost(session).into()),
        None => {
            connection.execute(OPEN, params![Id::from(session), name, opening])?;
            connection.execute(FORGET, [REMEMBERED])?;
            Ok(())
        }
    }
}

/// Counts a beat; returns the others' pulses, each with the opening of the database that it belongs to.
pub(super) fn beat(connection: &Connection, session: SessionId) -> Outcome<Vec<(Beat, String)>> {
    const BEAT: &str = "UPDATE sessions SET beats = beats + 1 WHERE id = ?1";
    const OTHERS: &str = "SELECT id, beats, name, opening FROM sessions WHERE over IS NULL AND id <> ?1 ORDER BY id";
    alive(connection, session)?;
    connection.prepare_cached(BEAT)?.execute([Id::from(session)])?;
    all(connection.prepare_cached(OTHERS)?, [Id::from(session)], |row| {
        let other = SessionId::from_uuid(row.get::<_, Id>(0)?.0);
        Ok((Beat::new(other, row.get(1)?, false, row.get(2)?), row.get(3)?))
    })
}

pub(super) fn fence(connection: &Connection, session: SessionId, other: &Beat) -> Outcome<bool> {
    const BEATS: &str = "SELECT beats FROM sessions WHERE id = ?1 AND over IS NULL";
    alive(connection, session)?;
    let beats: Option<u64> =
        connection.prepare_cached(BEATS)?.query_row([Id::from(other.session)], |row| row.get(0)).optional()?;
    match beats {
        Some(beats) if beats == other.beats => end(connection, other.session, "fenced")?,
        Some(_) => return Ok(false),
        None => {}
    }
    Ok(true)
}

pub(super) fn close(connection: &Connection, session: SessionId) -> Outcome<()> {
    match over(connection, session)? {
        Some(Some(how)) if how == "closed" => Ok(()),
        Some(None) => end(connection, session, "closed"),
        _ => Err(refusals::lease_lost(session).into()),
    }
}

/// Ends a session and frees what it holds.
fn end(connection: &Connection, session: SessionId, how: &str) -> Outcome<()> {
    const END: &str = "UPDATE sessions SET over = ?2 WHERE id = ?1";
    const FREE: &str = "UPDATE attempts SET session = NULL WHERE session = ?1";
    connection.execute(END, params![Id::from(session), how])?;
    connection.execute(FREE, [Id::from(session)])?;
    Ok(())
}

pub(super) fn adopt(connection: &Connection, session: SessionId, adoption: &Adoption) -> Outcome<Vec<Held>> {
    const FREE: &str = "SELECT a.no FROM attempts a JOIN jobs j ON j.no = a.job \
                        WHERE a.session IS NULL AND a.state <> 'closed' \
                        AND (a.host IN (SELECT value FROM json_each(?1)) OR a.created_at < ?2) ORDER BY j.id, a.number";
    const TAKE: &str = "UPDATE attempts SET session = ?2, quiet_at = ?3 WHERE no = ?1";
    alive(connection, session)?;
    let parameters = params![json(&adoption.hosts)?, Time(adoption.unserved_before)];
    let free: Vec<i64> = all(connection.prepare_cached(FREE)?, parameters, |row| row.get(0))?;
    let mut adopted = Vec::new();
    for no in free {
        if adopted.len() == adoption.most {
            break;
        }
        let Some(mut held) = readable(held_by_no(connection, no))? else { continue };
        adoption.take(session, &mut held.attempt);
        let parameters = params![no, Id::from(session), time(held.attempt.quiet_at)];
        connection.prepare_cached(TAKE)?.execute(parameters)?;
        adopted.push(held);
    }
    Ok(adopted)
}

fn held_by_no(connection: &Connection, no: i64) -> Outcome<Held> {
    const HELD: &str = concat!(
        "SELECT ",
        job_columns!(),
        ", ",
        attempt_columns!(),
        " FROM attempts a JOIN launches l ON l.attempt = a.no JOIN jobs j ON j.no = a.job \
          JOIN submissions s ON s.job = j.no WHERE a.no = ?1"
    );
    Ok(connection.prepare_cached(HELD)?.query_row([no], held)?)
}

pub(super) fn held_by(connection: &Connection, session: SessionId) -> Outcome<Vec<Held>> {
    const HELD: &str = concat!(
        "SELECT ",
        job_columns!(),
        ", ",
        attempt_columns!(),
        " FROM attempts a JOIN launches l ON l.attempt = a.no JOIN jobs j ON j.no = a.job \
          JOIN submissions s ON s.job = j.no WHERE a.session = ?1 ORDER BY j.id, a.number"
    );
    alive(connection, session)?;
    all_readable(connection.prepare_cached(HELD)?, [Id::from(session)], held)
}

/// The jobs of which people have asked something, of those that the session holds.
pub(super) fn interventions(connection: &Connection, session: SessionId) -> Outcome<Vec<JobRecord>> {
    const ASKED: &str = concat!(
        "SELECT ",
        job_columns!(),
        " FROM attempts a JOIN jobs j ON j.no = a.job JOIN submissions s ON s.job = j.no \
          WHERE a.session = ?1 AND (j.cancel IS NOT NULL OR j.status = 'lost') ORDER BY j.id, a.number"
    );
    alive(connection, session)?;
    let asked = all_readable(connection.prepare_cached(ASKED)?, [Id::from(session)], super::rows::job)?;
    Ok(asked.into_iter().map(|kept| kept.record).filter(refusals::wants_attention).collect())
}

/// Tells of each session whether its process is known to be dead.
pub(super) fn with_deaths(beats: Vec<(Beat, String)>, is_dead: impl Fn(&str) -> Result<bool>) -> Result<Vec<Beat>> {
    let tell = |(mut beat, opening): (Beat, String)| {
        beat.dead = is_dead(&opening)?;
        Ok(beat)
    };
    beats.into_iter().map(tell).collect()
}
