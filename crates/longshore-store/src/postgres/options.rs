//! Which database, and how it is used.

use bon::Builder;
use longshore_core::{Error, ErrorKind, Result};
use sqlx::{ConnectOptions, postgres::PgConnectOptions};
use std::time::Duration;

/// How a [`PostgresStore`](crate::PostgresStore) uses its database.
#[derive(Debug, Clone, PartialEq, Eq, Builder)]
#[non_exhaustive]
pub struct PostgresOptions {
    /// How many connections the store makes at most, besides the one by which it hears news. 8 unless something else is said.
    #[builder(default = 8)]
    pub connections: usize,
    /// How long a call waits for a connection, or for a server that is just starting again, before it fails. 5 seconds unless
    /// something else is said.
    #[builder(default = Duration::from_secs(5))]
    pub patience: Duration,
    /// Whether missing tables are made, and older ones brought up to date, when the store is opened. Yes unless something
    /// else is said.
    #[builder(default = true)]
    pub migrate: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self::builder().build()
    }
}

/// What a URL may ask for behind its `?`.
const PARAMETERS: [&str; 15] = [
    "application_name",
    "dbname",
    "host",
    "hostaddr",
    "options",
    "password",
    "port",
    "ssl-ca",
    "ssl-cert",
    "ssl-key",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "user",
];

/// Reads a URL. No part of it is told in an error but what can only be the name of a parameter, because a password may stand
/// anywhere.
pub(super) fn read(url: &str) -> Result<PgConnectOptions> {
    let invalid = |why: &str| {
        let message = format!(
            "the database URL {why}; write it as postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full"
        );
        Error::new(ErrorKind::Invalid, message)
    };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(invalid("does not begin with postgres://"));
    }
    let parameters = url.split_once('?').map_or("", |(_, parameters)| parameters);
    for parameter in parameters.split('&').filter(|parameter| !parameter.is_empty()) {
        let name = parameter.split_once('=').map_or(parameter, |(name, _)| name);
        let name = name.split(['[', '%']).next().unwrap_or(name);
        if !PARAMETERS.contains(&name) {
            let known = PARAMETERS.join(", ");
            // Behind a `?` that was meant as part of the password stands the rest of it.
            let is_name = name.bytes().all(|it| it.is_ascii_lowercase() || it == b'_' || it == b'-');
            let what = if is_name && !parameters.contains('@') {
                format!("has a parameter {name:?}, which is none of {known}")
            } else {
                format!("has a parameter that is none of {known} (a `?` in a password is written as %3F)")
            };
            return Err(invalid(&what));
        }
    }
    let options: PgConnectOptions = url.parse().map_err(|_| invalid("can't be read"))?;
    // The store says itself what goes wrong; a statement that waits for a lock is nothing to warn of.
    let options = options.disable_statement_logging();
    Ok(if options.get_application_name().is_none() { options.application_name("longshore") } else { options })
}

/// The server and the database in words, without user and password.
pub(super) fn server(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    match options.get_socket() {
        Some(socket) => format!("PostgreSQL at {} (database {database})", socket.display()),
        None => format!("PostgreSQL at {}:{} (database {database})", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_told_without_user_and_password() {
        let options = read("postgres://someone:hunter2@db.example:5433/jobs?sslmode=verify-full").unwrap();
        assert_eq!(server(&options), "PostgreSQL at db.example:5433 (database jobs)");
        let options = read("postgres:///jobs?host=/run/postgresql").unwrap();
        assert_eq!(server(&options), "PostgreSQL at /run/postgresql (database jobs)");
    }

    #[test]
    fn a_url_that_is_wrong_is_refused_without_its_password() {
        for url in [
            "mysql://someone:hunter2@db/jobs",
            "postgres://someone:hunter2@db:port/jobs",
            "postgres://someone:hunter2@db/jobs?sslmode=hunter2",
            "postgres://someone@db/jobs?passwort=hunter2",
            "hunter2",
            "postgres://someone:pa?hunter2@db/jobs",
            "postgres://someone:pa?hunter2=@db/jobs",
            "postgres://someone:pa?x=1&hunter2&y@db/jobs",
            "postgres://someone@db/jobs?hunter2",
        ] {
            let error = read(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!error.chain().contains("hunter2") && !format!("{error:?}").contains("hunter2"), "{error:?}");
        }
        for url in ["postgres://longshore:pa?ss@db/jobs", "postgres://longshore:pa?ss=ss&ss@db/jobs"] {
            let error = read(url).unwrap_err();
            assert!(!error.chain().contains("\"ss\"") && error.to_string().contains("%3F"), "{error}");
        }
        let error = read("postgres://db/jobs?passwort=1").unwrap_err();
        assert!(error.to_string().contains("has a parameter \"passwort\""), "{error}");
    }
}
