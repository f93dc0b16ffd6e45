//! The configuration that is in force here: found, read, and what is wrong with it told.

use longshore::{
    Error, ErrorKind, Result,
    config::{Config, Environment, Loader, Problems, find},
};
use std::{
    error::Error as StdError,
    io::IsTerminal,
    path::{Path, PathBuf},
};

use crate::{
    args::ConfigurationArgs,
    commands::{own_variable, own_variables},
};

/// Reads configurations with the executors of this program, and with our own environment.
pub(crate) fn loader() -> Loader {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        // What is not UTF-8 can't be a setting, nor a secret in one.
        name.into_string().ok().zip(value.into_string().ok())
    };
    let environment: Environment = own_variables().filter_map(text).collect();
    Loader::new(longshore::registry()).with_environment(environment)
}

/// The configuration that was named, or the one that is found, if there is any.
///
/// # Errors
/// `Invalid` with everything that is wrong with it.
pub(crate) fn load(args: &ConfigurationArgs, loader: &Loader) -> Result<Option<Config>> {
    path(args)?.map(|path| loader.read(&path).map_err(unusable)).transpose()
}

/// Where the configuration is that was named, or that is found.
///
/// # Errors
/// `Invalid` when two are found side by side.
pub(crate) fn path(args: &ConfigurationArgs) -> Result<Option<PathBuf>> {
    match &args.config {
        Some(path) => Ok(Some(path.clone())),
        None => {
            find(Path::new(""), own_variable).map_err(|ambiguous| Error::new(ErrorKind::Invalid, ambiguous.to_string()))
        }
    }
}

/// The configuration, for commands that need one.
///
/// # Errors
/// As [`load`], and `Invalid` when there is none.
pub(crate) fn needed(args: &ConfigurationArgs, loader: &Loader) -> Result<Config> {
    load(args, loader)?.ok_or_else(|| {
        let message = "there is no configuration: no longshore.toml here, in the user's configuration folder or in \
                       /etc/longshore; `longshore config init` writes one, and --config names one";
        Error::new(ErrorKind::Invalid, message)
    })
}

/// A configuration, or another file, that can't be used.
pub(crate) fn unusable(problems: Problems) -> Error {
    let count = problems.as_slice().len();
    let what = if count == 1 { "a problem".to_owned() } else { format!("{count} problems") };
    Error::new(ErrorKind::Invalid, format!("{} has {what}", problems.file())).with_source(problems)
}

/// What is wrong with a file, with the lines that it is on, where that is what the error is about.
pub(crate) fn problems_of(error: &Error) -> Option<String> {
    error.source()?.downcast_ref::<Problems>().map(rendered)
}

/// The problems as they are shown on stderr.
pub(crate) fn rendered(problems: &Problems) -> String {
    let plain = own_variable("NO_COLOR").is_some_and(|value| !value.is_empty());
    problems.render(std::io::stderr().is_terminal() && !plain)
}
