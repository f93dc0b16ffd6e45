//! Templates that are kept.

use longshore_core::JobName;
use rusqlite::{Connection, OptionalExtension, params};

use super::{
    fault::Outcome,
    rows::all,
    values::{Json, json},
};
use crate::{SavedTemplate, template::no_such_template};

pub(super) fn save(connection: &Connection, saved: &SavedTemplate) -> Outcome<()> {
    const SAVE: &str = "INSERT INTO templates (name, saved) VALUES (?1, ?2) \
                        ON CONFLICT DO UPDATE SET saved = excluded.saved";
    connection.execute(SAVE, params![saved.template.name.as_str(), json(saved)?])?;
    Ok(())
}

pub(super) fn remove(connection: &Connection, name: &JobName) -> Outcome<bool> {
    Ok(connection.execute("DELETE FROM templates WHERE name = ?1", [name.as_str()])? > 0)
}

pub(super) fn one(connection: &Connection, name: &JobName) -> Outcome<SavedTemplate> {
    const ONE: &str = "SELECT saved FROM templates WHERE name = ?1";
    let saved = connection.query_row(ONE, [name.as_str()], |row| row.get::<_, Json<SavedTemplate>>(0)).optional()?;
    match saved {
        Some(saved) => Ok(saved.0),
        None => Err(no_such_template(name, &list(connection)?).into()),
    }
}

pub(super) fn list(connection: &Connection) -> Outcome<Vec<SavedTemplate>> {
    const ALL: &str = "SELECT saved FROM templates ORDER BY name";
    all(connection.prepare_cached(ALL)?, [], |row| Ok(row.get::<_, Json<SavedTemplate>>(0)?.0))
}
