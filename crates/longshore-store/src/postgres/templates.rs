//! Templates that are kept.

use async_trait::async_trait;
use longshore_core::{JobName, Result};
use sqlx::{Row, postgres::PgConnection};

use super::{Failure, codec, transact::Work};
use crate::{SavedTemplate, template::no_such_template};

pub(super) struct Save<'a>(pub(super) &'a SavedTemplate);

#[async_trait]
impl Work for Save<'_> {
    type Answer = ();
    const OPERATION: &'static str = "save a template";

    async fn run(&self, connection: &mut PgConnection) -> Result<(), Failure> {
        sqlx::query(
            "INSERT INTO longshore_template (name, body) VALUES ($1, $2) \
             ON CONFLICT (name) DO UPDATE SET body = excluded.body",
        )
        .bind(self.0.template.name.as_str())
        .bind(codec::json(self.0)?)
        .execute(connection)
        .await?;
        Ok(())
    }
}

pub(super) struct Remove<'a>(pub(super) &'a JobName);

#[async_trait]
impl Work for Remove<'_> {
    type Answer = bool;
    const OPERATION: &'static str = "remove a template";

    async fn run(&self, connection: &mut PgConnection) -> Result<bool, Failure> {
        let sql = "DELETE FROM longshore_template WHERE name = $1";
        Ok(sqlx::query(sql).bind(self.0.as_str()).execute(connection).await?.rows_affected() > 0)
    }
}

pub(super) struct One<'a>(pub(super) &'a JobName);

#[async_trait]
impl Work for One<'_> {
    type Answer = SavedTemplate;
    const OPERATION: &'static str = "read a template";

    async fn run(&self, connection: &mut PgConnection) -> Result<SavedTemplate, Failure> {
        let sql = "SELECT body FROM longshore_template WHERE name = $1";
        match sqlx::query(sql).bind(self.0.as_str()).fetch_optional(&mut *connection).await? {
            Some(row) => Ok(codec::parsed(row.try_get(0)?, "a template")?),
            None => Err(no_such_template(self.0, &list(connection).await?).into()),
        }
    }
}

pub(super) struct All;

#[async_trait]
impl Work for All {
    type Answer = Vec<SavedTemplate>;
    const OPERATION: &'static str = "read templates";

    async fn run(&self, connection: &mut PgConnection) -> Result<Vec<SavedTemplate>, Failure> {
        list(connection).await
    }
}

async fn list(connection: &mut PgConnection) -> Result<Vec<SavedTemplate>, Failure> {
    let sql = "SELECT body FROM longshore_template ORDER BY name COLLATE \"C\"";
    let rows = sqlx::query(sql).fetch_all(connection).await?;
    rows.iter().map(|row| Ok(codec::parsed(row.try_get(0)?, "a template")?)).collect()
}
