//! Where jobs are kept.

use clap::{Args, Subcommand, ValueHint};
use std::path::PathBuf;

#[derive(Args, Clone, Default)]
#[command(next_help_heading = "Where jobs are kept")]
pub(crate) struct StoreArgs {
    /// The database: a file of SQLite, or `postgres://USER@HOST/DATABASE`; by default `LONGSHORE_DATABASE`, else
    /// `longshore/jobs.db` in the user's state folder
    #[arg(long, value_name = "DATABASE", allow_hyphen_values = true)]
    pub(crate) database: Option<String>,

    /// Where the logs of ended jobs are kept: a folder, `s3://BUCKET/PREFIX`, `gs://BUCKET/PREFIX` or
    /// `az://CONTAINER/PREFIX` with the usual AWS_…, GOOGLE_… or AZURE_… variables; by default `LONGSHORE_LOGS`, else beside the database.
    /// In a place that is named, each database keeps its own under its owner's name
    #[arg(long, value_name = "PLACE", allow_hyphen_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) logs: Option<String>,
}

#[derive(Subcommand)]
pub(crate) enum DbCommand {
    /// Makes the database, or brings it up to date, as every command does that opens it
    Migrate {
        #[command(flatten)]
        store: StoreArgs,

        /// Prints what it holds as JSON
        #[arg(long)]
        json: bool,
    },

    /// Reads the whole database, and tells damage and what contradicts itself
    Check {
        #[command(flatten)]
        store: StoreArgs,

        /// Prints what was found as JSON
        #[arg(long)]
        json: bool,
    },

    /// Writes every template, and every job with its attempts and its history, one line of JSON each, the oldest first
    ///
    /// Logs that are kept beside the database are not in it; small ones are.
    Export {
        #[command(flatten)]
        store: StoreArgs,

        /// The file, which must not exist; by default stdout
        #[arg(value_hint = ValueHint::FilePath)]
        file: Option<PathBuf>,
    },

    /// Takes in what `db export` wrote; jobs and templates that are there already stay as they are
    Import {
        #[command(flatten)]
        store: StoreArgs,

        /// The file; `-` is stdin
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,

        /// Prints how many were new as JSON
        #[arg(long)]
        json: bool,
    },
}
