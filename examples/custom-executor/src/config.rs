//! How a host that runs programs is configured.

use longshore_core::{Error, ErrorKind, HostSettings, ImageSource, LaunchRequest, Result, read_section};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
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

/// What a launch needs of the host's settings, as they were when it was planned: an operator who changes them does not
/// change what has been promised, and a launch that is sent again is the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Frozen {
    /// Absent when the operator lists no such program: then the image is missing, which `prepare` tells.
    program: Option<PathBuf>,
}

impl ProgramsConfig {
    /// Reads a host's `executor_config`.
    ///
    /// # Errors
    /// `Invalid`, naming the key that is unknown or wrong.
    pub fn from_value(value: &serde_json::Value) -> Result<Self> {
        read_section(value, "executor_config")
    }

    /// What is frozen into a plan for the image.
    pub(crate) fn freeze(&self, image: &ImageSource) -> HostSettings {
        let image = image.to_string();
        let listed = image.strip_prefix("programs/").and_then(|name| self.programs.get(name));
        HostSettings::new(Frozen::VERSION, serde_json::json!(Frozen { program: listed.cloned() }))
    }
}

impl Frozen {
    const VERSION: u32 = 1;

    /// The program that the request is to run.
    pub(crate) fn program(request: &LaunchRequest) -> Result<PathBuf> {
        let HostSettings { version, settings, .. } = &request.plan.host_settings;
        if *version > Self::VERSION {
            let known = Self::VERSION;
            let message = format!("the plan's host settings are of version {version}, and this version reads {known}");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let frozen = Self::deserialize(settings).map_err(|error| {
            Error::new(ErrorKind::Invalid, "the plan's host settings can't be read").with_source(error)
        })?;
        frozen.program.ok_or_else(|| {
            let image = &request.plan.template.image;
            let message = format!("{image} is no program that the host's executor_config.programs lists");
            Error::new(ErrorKind::ImageUnavailable, message)
        })
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
