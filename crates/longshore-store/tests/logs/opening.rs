//! Addresses, and what is shown of them.

use longshore_core::ErrorKind;
use longshore_store::LogStore;
use longshore_testkit::suite::Test;
use std::collections::BTreeMap;

use crate::{
    program::{Program, line, token},
    support::{read_all, save},
};

pub(crate) const TESTS: &[Test] =
    &longshore_testkit::tests![a_folder_is_made_for_its_user_alone, addresses_are_checked, secrets_are_not_shown];

async fn a_folder_is_made_for_its_user_alone() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("of many/levels");
    let store = LogStore::open(&format!("file://{}", folder.display()).replace(' ', "%20"), &BTreeMap::new()).unwrap();
    let saved = save(&store, &Program::writing(200, line), token()).await;
    assert_eq!(read_all(&LogStore::local(&folder).unwrap(), &saved.reference).await.len(), 200);
    assert_eq!(format!("{store:?}"), format!("LogStore({})", folder.canonicalize().unwrap().display()));
    for made in [&folder, &outside.path().join("of many")] {
        let mode = std::os::unix::fs::PermissionsExt::mode(&made.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o700);
    }
    std::fs::write(outside.path().join("file"), b"").unwrap();
    let error = LogStore::local(outside.path().join("file/below")).unwrap_err();
    assert!(error.to_string().contains("file/below"), "{error}");
}

async fn addresses_are_checked() {
    let options =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
    for (address, given, words) in [
        ("logs", options(&[]), "is no URL"),
        ("ftp://host/logs", options(&[]), "can't be kept at ftp:"),
        ("file://host/logs", options(&[]), "no folder of this machine"),
        ("file:///logs", options(&[("aws_region", "x")]), "one is aws_region"),
        ("s3://bucket/logs?versionId=1", options(&[]), "more than a place"),
        #[cfg(feature = "s3")]
        ("s3://bucket", options(&[("aws_regoin", "x")]), "S3 has no option aws_regoin"),
        #[cfg(feature = "s3")]
        ("s3://bucket", options(&[("aws_access_key_id", "x")]), "can't be opened with these options"),
        #[cfg(not(feature = "s3"))]
        ("s3://bucket", options(&[]), "build it with the feature s3 "),
        #[cfg(not(feature = "gcs"))]
        ("gs://bucket", options(&[]), "build it with the feature gcs "),
        #[cfg(not(feature = "azure"))]
        ("az://container", options(&[]), "build it with the feature azure "),
    ] {
        let error = LogStore::open(address, &given).unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::Unsupported), "{error}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

async fn secrets_are_not_shown() {
    let error = LogStore::open("s3://key:hunter2@bucket/logs", &BTreeMap::new()).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    let error = LogStore::open("http://bucket/logs?token=hunter2", &BTreeMap::new()).unwrap_err();
    assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
}
