//! How executors read their own sections of a host's or a job's settings.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Error, ErrorKind, Result};

/// Reads an executor's own section, such as `executor_config` or `executor_options.docker`; nothing at all is the
/// default.
///
/// # Errors
/// `Invalid`, naming the section and the key that is unknown or wrong: `executor_config.tls.ca: …`.
pub fn read_section<T: DeserializeOwned + Default>(value: &Value, section: &str) -> Result<T> {
    if value.is_null() {
        return Ok(T::default());
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let key = error.path().to_string();
        // What is unknown names itself.
        let at = if key == "." || error.inner().to_string().contains(&key) { String::new() } else { format!(".{key}") };
        Error::new(ErrorKind::Invalid, format!("{section}{at}: {}", error.inner()))
    })
}
