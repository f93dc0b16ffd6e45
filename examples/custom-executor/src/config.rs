//! How a host that runs programs is configured.

use longshore_core::{Error, ErrorKind, ImageSource, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{collections::BTreeMap, path::PathBuf};

/// The settings of one host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProgramsConfig {
    /// The programs that jobs may run: what is listed as `backup` is the image `programs/backup`.
    pub programs: BTreeMap<String, PathBuf>,
}

/// What only this executor knows of a job: the template's `executor_options.programs` section. There is nothing yet;
/// it is read all the same, so that an option which does not exist is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct ProgramsOptions {}

impl ProgramsConfig {
    /// Reads a host's `executor_config`.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is unknown or wrong.
    pub fn from_value(value: &serde_json::Value) -> Result<Self> {
        read_section(value, "executor_config")
    }

    /// The program that an image stands for, if the operator lists one.
    pub(crate) fn program(&self, image: &ImageSource) -> Option<&PathBuf> {
        self.programs.get(image.to_string().strip_prefix("programs/")?)
    }
}

impl ProgramsOptions {
    /// Reads a job's `executor_options.programs`; nothing at all is the default.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is unknown or wrong.
    pub fn from_value(value: Option<&serde_json::Value>) -> Result<Self> {
        read_section(value.unwrap_or(&serde_json::Value::Null), "executor_options.programs")
    }
}

fn read_section<T: DeserializeOwned + Default>(value: &serde_json::Value, section: &str) -> Result<T> {
    if value.is_null() {
        return Ok(T::default());
    }
    T::deserialize(value).map_err(|error| Error::new(ErrorKind::Invalid, format!("{section}: {error}")))
}
