//! Templates that are kept in the database.

use clap::{Subcommand, ValueHint};
use std::path::PathBuf;

use super::StoreArgs;

#[derive(Subcommand)]
pub(crate) enum TemplatesCommand {
    /// Lists the templates that are kept
    List {
        #[command(flatten)]
        store: StoreArgs,

        /// Prints them as JSON
        #[arg(long)]
        json: bool,
    },

    /// Prints a template as JSON, as --file and `templates save` read it
    Show {
        /// The template's name
        name: String,

        #[command(flatten)]
        store: StoreArgs,
    },

    /// Keeps the template that a file describes under its name, in place of the former one of that name
    ///
    /// `longshore submit --template NAME` and `run --template NAME` begin from it wherever the database is; a template of
    /// that name in the configuration comes first. Jobs carry a copy of their template, which no later change touches.
    Save {
        /// The file, in TOML, YAML or JSON (`longshore schema job-file`)
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,

        /// Why, for whoever asks
        #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
        why: Option<String>,

        #[command(flatten)]
        store: StoreArgs,
    },

    /// Forgets a template; jobs that began from it stay as they are
    Remove {
        /// The template's name
        name: String,

        #[command(flatten)]
        store: StoreArgs,
    },
}
