//! `longshore db`: the database itself.

use longshore::store::{JobArchive, JobStore, SavedTemplate, StatusCounts};
use longshore::{Error, ErrorKind, JobId, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Write},
    path::Path,
};

use super::{notice, print};
use crate::{
    args::{DbCommand, StoreArgs},
    database::Database,
    text::{clean_lines, json_line},
};

/// How many jobs are read or taken in at one time.
const PAGE: usize = 200;
/// Something is wrong with the database.
const DAMAGED: u8 = 1;

/// What `longshore db migrate --json` prints.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct DatabaseReport {
    /// Where it is, without a password.
    pub database: String,
    /// The installation that owns what is launched for its jobs.
    pub owner: longshore::Owner,
    /// How many jobs have each status.
    pub jobs: StatusCounts,
}

/// Does what was asked, and returns the program's exit code.
///
/// # Errors
/// As the database answers; when a file can't be read or written.
pub(crate) async fn db(command: &DbCommand) -> Result<u8> {
    match command {
        DbCommand::Migrate { store, json } => migrate(store, *json).await,
        DbCommand::Check { store, json } => check(store, *json).await,
        DbCommand::Export { store, file } => export(store, file.as_deref()).await.map(|()| 0),
        DbCommand::Import { store, file, json } => import(store, file, *json).await.map(|()| 0),
    }
}

async fn migrate(args: &StoreArgs, json: bool) -> Result<u8> {
    let database = Database::open(args).await?;
    let report = DatabaseReport {
        database: database.address.to_string(),
        owner: database.owner(None).await?,
        jobs: database.store.counts().await?,
    };
    let count: u64 = report.jobs.values().sum();
    let text = format!("{} is up to date; it holds {count} jobs of {}\n", report.database, report.owner);
    print(&if json { json_line(&report).map_err(super::unwritable)? } else { clean_lines(&text) }).map(|()| 0)
}

async fn check(args: &StoreArgs, json: bool) -> Result<u8> {
    let database = Database::open(args).await?;
    let found = database.store.check().await?;
    if json {
        print(&json_line(&found).map_err(super::unwritable)?)?;
    } else if found.is_empty() {
        print(&clean_lines(&format!("{} is good\n", database.address)))?;
    } else {
        print(&clean_lines(&found.join("\n")))?;
    }
    Ok(if found.is_empty() { 0 } else { DAMAGED })
}

async fn export(args: &StoreArgs, file: Option<&Path>) -> Result<()> {
    let database = Database::open(args).await?;
    let mut sink: Box<dyn Write + Send> = match file {
        Some(path) => {
            let made = OpenOptions::new().write(true).create_new(true).open(path);
            Box::new(io::BufWriter::new(made.map_err(|error| unusable(path, "made", error))?))
        }
        None => Box::new(io::BufWriter::new(io::stdout())),
    };
    let name = file.unwrap_or(Path::new("stdout"));
    let written = write_all(database.store.as_ref(), sink.as_mut()).await;
    match written {
        // A reader that has heard enough is no error.
        Err(Failure::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe && file.is_none() => Ok(()),
        Err(Failure::Write(error)) => Err(unusable(name, "written", error)),
        Err(Failure::Store(error)) => Err(error),
        Ok(count) => {
            notice(&format!(
                "{count} jobs and all templates are exported; logs that are kept beside the database, or under its owner's \
                 name in a place of their own, are not"
            ));
            Ok(())
        }
    }
}

enum Failure {
    Write(io::Error),
    Store(Error),
}

async fn write_all(store: &dyn JobStore, sink: &mut (dyn Write + Send)) -> Result<u64, Failure> {
    for saved in store.templates().await.map_err(Failure::Store)? {
        write_line(&saved, sink)?;
    }
    let (mut after, mut count) = (None::<JobId>, 0);
    loop {
        let page = store.archive(after, PAGE).await.map_err(Failure::Store)?;
        let Some(last) = page.last() else { break };
        after = Some(last.job.id());
        count += page.len() as u64;
        for archive in &page {
            write_line(archive, sink)?;
        }
    }
    sink.flush().map_err(Failure::Write)?;
    Ok(count)
}

fn write_line(entry: &impl Serialize, sink: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let line = json_line(entry).map_err(|error| Failure::Store(super::unwritable(error)))?;
    sink.write_all(line.as_bytes()).map_err(Failure::Write)
}

/// A line of an export.
enum Entry {
    Job(Box<JobArchive>),
    Template(Box<SavedTemplate>),
}

impl Entry {
    fn read(line: &str) -> serde_json::Result<Self> {
        /// What only a template has.
        #[derive(Deserialize)]
        struct Kind {
            template: Option<serde::de::IgnoredAny>,
        }
        Ok(match serde_json::from_str::<Kind>(line)?.template {
            Some(_) => Self::Template(serde_json::from_str(line)?),
            None => Self::Job(serde_json::from_str(line)?),
        })
    }
}

async fn import(args: &StoreArgs, file: &Path, json: bool) -> Result<()> {
    let source: Box<dyn BufRead + Send> = if file == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(file).map_err(|error| unusable(file, "read", error))?))
    };
    let database = Database::open(args).await?;
    let (mut new, mut known, mut page) = (0_u64, 0_u64, Vec::with_capacity(PAGE));
    let mut lines = source.lines().enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        let line = line.map_err(|error| unusable(file, "read", error))?;
        if !line.trim().is_empty() {
            match Entry::read(&line).map_err(|error| malformed(file, at + 1, new, error))? {
                Entry::Job(archive) => page.push(*archive),
                Entry::Template(saved) => keep_unless_known(database.store.as_ref(), *saved).await?,
            }
        }
        if page.len() == PAGE || lines.peek().is_none() {
            let count = page.len() as u64;
            let taken = database.store.import(std::mem::take(&mut page)).await?;
            (new, known) = (new + taken, known + count - taken);
        }
    }
    if json {
        let report = ImportReport { new, known };
        return print(&json_line(&report).map_err(super::unwritable)?);
    }
    print(&format!("{new} jobs are new, {known} were there already\n"))
}

/// What `longshore db import --json` prints.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct ImportReport {
    /// How many jobs were new.
    pub new: u64,
    /// How many were there already, and stayed as they are.
    pub known: u64,
}

/// What is there already stays as it is, as jobs do.
async fn keep_unless_known(store: &dyn JobStore, saved: SavedTemplate) -> Result<()> {
    match store.template(&saved.template.name).await {
        Err(error) if error.kind() == ErrorKind::NotFound => store.save_template(saved).await,
        known => known.map(drop),
    }
}

fn unusable(path: &Path, what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Invalid, format!("{} can't be {what}", path.display())).with_source(error)
}

/// What is wrong is told without the line's own words, in which there may be what nobody else should read.
fn malformed(path: &Path, line: usize, new: u64, error: serde_json::Error) -> Error {
    let message = format!(
        "line {line} of {} is neither a job nor a template as `longshore db export` writes them; {new} jobs before it are taken in, and \
         importing the mended file again is safe",
        path.display()
    );
    let place = format!("{:?} error at column {}", error.classify(), error.column());
    Error::new(ErrorKind::Invalid, message).with_source(place)
}
