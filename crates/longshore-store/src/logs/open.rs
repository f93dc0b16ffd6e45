//! From an address to the place that it means.

use longshore_core::{Error, ErrorKind, Result};
use object_store::{local::LocalFileSystem, memory::InMemory, path::Path};
use secrecy::SecretString;
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};
use url::Url;

use super::{
    errors::{self, Redaction},
    folder,
    place::Place,
};

/// Settings of an object store by their names, such as `aws_access_key_id`.
pub(super) type Options = BTreeMap<String, SecretString>;

const FORMS: &str = "write file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX";

pub(super) fn memory() -> Place {
    Place::new(Arc::new(InMemory::new()), Path::default(), "memory".to_owned(), Redaction::default())
}

pub(super) fn local(folder: &std::path::Path) -> Result<Place> {
    let located = |error: Error| error.with_context("log store", folder.display());
    let unusable = |error| located(errors::of_disk("the folder of the log store can't be used", error));
    let whole = std::path::absolute(folder).map_err(unusable)?;
    folder::create(&whole).map_err(unusable)?;
    let whole = std::fs::canonicalize(whole).map_err(unusable)?;
    let store = LocalFileSystem::new_with_prefix(&whole).map_err(|error| {
        located(errors::of_store("the folder of the log store can't be used", error, &Redaction::default()))
    })?;
    let address = whole.display().to_string();
    let store = Arc::new(store.with_fsync(true));
    Ok(Place::new(store, Path::default(), address, Redaction::default()).in_folder(whole))
}

pub(super) fn url(text: &str, options: &Options) -> Result<Place> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message).with_operation("open log store");
    let url =
        Url::parse(text).map_err(|error| invalid(format!("the log store's address is no URL ({error}); {FORMS}")))?;
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(format!(
            "the log store's address holds more than a place; give credentials as options, and {FORMS}"
        )));
    }
    match url.scheme() {
        "file" => local(&folder_of(&url, options).map_err(invalid)?),
        "s3" => s3(&url, options),
        "gs" => gcs(&url, options),
        "az" => azure(&url, options),
        other => Err(invalid(format!("logs can't be kept at {other}:; {FORMS}"))),
    }
}

/// Those of these variables of the environment that are options of the address's cloud, by their option's name. What a
/// folder or nothing is set by is left aside.
pub(super) fn options_among(url: &str, variables: impl IntoIterator<Item = (String, String)>) -> Options {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    let option = |(name, value): (String, String)| {
        let name = name.to_ascii_lowercase();
        is_option(scheme, &name).then(|| (name, SecretString::from(value)))
    };
    variables.into_iter().filter_map(option).collect()
}

fn is_option(scheme: &str, name: &str) -> bool {
    match scheme {
        #[cfg(feature = "s3")]
        "s3" => name.starts_with("aws_") && name.parse::<object_store::aws::AmazonS3ConfigKey>().is_ok(),
        #[cfg(feature = "gcs")]
        "gs" => name.starts_with("google_") && name.parse::<object_store::gcp::GoogleConfigKey>().is_ok(),
        #[cfg(feature = "azure")]
        "az" => name.starts_with("azure_") && name.parse::<object_store::azure::AzureConfigKey>().is_ok(),
        _ => {
            let _ = name;
            false
        }
    }
}

fn folder_of(url: &Url, options: &Options) -> Result<PathBuf, String> {
    if let Some(name) = options.keys().next() {
        return Err(format!("a folder has no options, and one is {name}"));
    }
    url.to_file_path()
        .map_err(|()| "the log store's address is no folder of this machine; write file:///FOLDER".to_owned())
}

/// Opens one kind of cloud store, or says which feature it needs.
macro_rules! cloud {
    ($name:ident, $feature:literal, $place:literal, $module:ident :: $builder:ident, $key:ident) => {
        #[cfg(feature = $feature)]
        fn $name(url: &Url, options: &Options) -> Result<Place> {
            use object_store::$module::{$builder, $key};
            let mut builder = $builder::new().with_url(url.as_str()).with_retry(cloud::retry());
            for (name, value) in options {
                let key: $key = name.parse().map_err(|_| cloud::unknown_option(name, $place))?;
                builder = builder.with_config(key, secrecy::ExposeSecret::expose_secret(value));
            }
            cloud::place(url, options, builder.build())
        }

        #[cfg(not(feature = $feature))]
        fn $name(_: &Url, _: &Options) -> Result<Place> {
            let message = concat!(
                "this program was built without ",
                $place,
                "; build it with the feature ",
                $feature,
                " of longshore-store, or keep logs in a folder: file:///FOLDER"
            );
            Err(Error::new(ErrorKind::Unsupported, message).with_operation("open log store"))
        }
    };
}

cloud!(s3, "s3", "S3", aws::AmazonS3Builder, AmazonS3ConfigKey);
cloud!(gcs, "gcs", "Google Cloud Storage", gcp::GoogleCloudStorageBuilder, GoogleConfigKey);
cloud!(azure, "azure", "Azure Blob Storage", azure::MicrosoftAzureBuilder, AzureConfigKey);

#[cfg(any(feature = "s3", feature = "gcs", feature = "azure"))]
mod cloud {
    use super::{Arc, Error, ErrorKind, Options, Path, Place, Redaction, Result, Url};
    use longshore_core::chain;
    use object_store::{ObjectStore, RetryConfig};
    use std::time::Duration;

    /// Options whose values may be seen in messages; all others may be secrets.
    const SHOWN: [&str; 9] = [
        "allow_http",
        "region",
        "endpoint",
        "endpoint_url",
        "bucket",
        "bucket_name",
        "account_name",
        "container_name",
        "virtual_hosted_style_request",
    ];

    /// A request is sent again a few times, all of them being repeatable; longer patience is the caller's.
    pub(super) fn retry() -> RetryConfig {
        RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(30), ..RetryConfig::default() }
    }

    pub(super) fn unknown_option(name: &str, place: &str) -> Error {
        let message = format!("{place} has no option {name}; its options are those of the crate object_store");
        Error::new(ErrorKind::Invalid, message).with_operation("open log store")
    }

    pub(super) fn place<S: ObjectStore>(url: &Url, options: &Options, built: object_store::Result<S>) -> Result<Place> {
        let is_shown = |name: &str| {
            SHOWN
                .iter()
                .any(|shown| name.strip_suffix(shown).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
        };
        let hidden = options.iter().filter(|(name, _)| !is_shown(&name.to_ascii_lowercase()));
        let redaction = Redaction::of(hidden.map(|(_, value)| value.clone()).collect());
        let refused = |error: object_store::Error| {
            Error::new(ErrorKind::Invalid, "the log store can't be opened with these options")
                .with_operation("open log store")
                .with_context("log store", url)
                .with_source(redaction.apply(&chain(&error)))
        };
        let store = built.map_err(refused)?;
        let prefix = Path::from_url_path(url.path()).map_err(|error| refused(error.into()))?;
        Ok(Place::new(Arc::new(store), prefix, url.to_string(), redaction.clone()))
    }
}
