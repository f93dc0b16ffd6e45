//! Pulling from a registry on loopback.

use base64::{Engine, prelude::BASE64_STANDARD};
use longshore_core::{Advice, ErrorKind, Progress, PullPolicy, RegistryCredentials};
use longshore_testkit::{suite::Test, tests};
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use serde_json::json;
use std::fs;

use crate::{
    image::{
        digest::Digest,
        testing::{LayerArchive, TestImage},
    },
    registry::Registry,
    shelf::{How, OCI_INDEX, OCI_MANIFEST, Shelf, content, pull, pull_reported},
};

pub(crate) const TESTS: &[Test] = &tests![
    an_image_is_pulled_with_progress_and_found_again,
    the_policy_never_pulls_nothing_and_says_so,
    the_policy_always_notices_a_moved_tag_and_fetches_no_more_than_that,
    an_image_pinned_by_its_digest_is_pulled,
    of_several_builds_the_platforms_own_is_pulled,
    dockers_manifests_and_layers_of_every_compression_are_pulled,
    the_jobs_own_credentials_open_a_locked_registry,
    the_users_docker_configuration_opens_a_locked_registry,
    wrong_or_missing_credentials_are_fatal_and_not_shown,
    an_image_that_the_registry_does_not_have_is_fatal,
];

async fn an_image_is_pulled_with_progress_and_found_again() {
    let shelf = Shelf::new(false).await;
    let layer = |content: &str| LayerArchive::new().file("file", content).finish();
    let source = shelf.push("1", &TestImage::new(["a", "b", "c", "d"].map(layer).to_vec())).await;
    let (image, reported) = pull_reported(&How::default(), &shelf.store(), &source).await;
    assert_eq!((content(&image).as_str(), image.layers.len()), ("d", 4));
    for step in ["Downloading", "Unpacking"] {
        let items = reported.iter().filter(|report| report.step == step && report.item.is_some()).count();
        assert!(items >= 4, "{step}: {reported:?}");
    }
    let whole = reported.iter().find(|report| report.step == "Downloading" && report.done == report.total).unwrap();
    assert!(whole.total.unwrap() > 0);
    drop(shelf.registry);
    let again = pull(&crate::image::testing::store(shelf.folder.path().join("store")), &source).await.unwrap();
    assert_eq!(again.digest, image.digest);
}

async fn the_policy_never_pulls_nothing_and_says_so() {
    let shelf = Shelf::new(false).await;
    let source = shelf.push("1", &TestImage::of_file("x")).await;
    let never = How { policy: PullPolicy::Never, ..How::default() };
    let error = never.prepare(&shelf.store(), &source, &Progress::ignored()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ImageUnavailable);
    assert!(error.message().contains(&source.to_string()) && error.message().contains("never"), "{error}");
    pull(&shelf.store(), &source).await.unwrap();
    never.prepare(&shelf.store(), &source, &Progress::ignored()).await.unwrap();
}

async fn the_policy_always_notices_a_moved_tag_and_fetches_no_more_than_that() {
    let shelf = Shelf::new(false).await;
    let source = shelf.push("1", &TestImage::of_file("old")).await;
    let always = How { policy: PullPolicy::Always, ..How::default() };
    let store = shelf.store();
    assert_eq!(content(&pull_reported(&always, &store, &source).await.0), "old");
    assert!(pull_reported(&always, &store, &source).await.1.is_empty(), "it is the same");
    shelf.push("1", &TestImage::of_file("new")).await;
    assert_eq!(content(&pull(&store, &source).await.unwrap()), "old", "nobody asked");
    assert_eq!(content(&pull_reported(&always, &store, &source).await.0), "new");
}

async fn an_image_pinned_by_its_digest_is_pulled() {
    let shelf = Shelf::new(false).await;
    let image = TestImage::of_file("pinned");
    shelf.push("1", &image).await;
    let digest = Digest::of(&image.manifest());
    let pinned = format!("{}/team/tool@{digest}", shelf.registry.address).parse().unwrap();
    let pulled = pull(&shelf.store(), &pinned).await.unwrap();
    assert_eq!((content(&pulled).as_str(), pulled.digest), ("pinned", digest.to_string()));
}

async fn of_several_builds_the_platforms_own_is_pulled() {
    let shelf = Shelf::new(false).await;
    let mut entries = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let mut image = TestImage::of_file(architecture);
        image.config["architecture"] = json!(architecture);
        shelf.push(architecture, &image).await;
        let mut entry = image.descriptor(None);
        entry.as_object_mut().unwrap().remove("annotations");
        entry["platform"] = json!({ "os": "linux", "architecture": architecture });
        entries.push(entry);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    shelf.push_manifest("all", serde_json::to_vec(&index).unwrap(), OCI_INDEX).await;
    let source = shelf.named(shelf.registry.address, "all");
    for architecture in ["amd64", "arm64"] {
        let how = How { platform: Some(format!("linux/{architecture}").parse().unwrap()), ..How::default() };
        assert_eq!(content(&pull_reported(&how, &shelf.store(), &source).await.0), architecture);
    }
    let how = How { platform: Some("linux/s390x".parse().unwrap()), ..How::default() };
    let error = how.prepare(&shelf.store(), &source, &Progress::ignored()).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::ImageUnavailable, Advice::Permanent));
    assert!(error.message().contains("there is linux/amd64, linux/arm64"), "{error}");
}

async fn dockers_manifests_and_layers_of_every_compression_are_pulled() {
    let shelf = Shelf::new(false).await;
    let mut image = TestImage::new(vec![
        LayerArchive::new().file("plain", "1").finish(),
        LayerArchive::new().file("zstd", "2").finish(),
        LayerArchive::new().file("file", "3").finish(),
    ]);
    image.blobs[0] = image.layers[0].clone();
    image.blobs[1] = compress_to_vec(image.layers[1].as_slice(), CompressionLevel::Fastest);
    image.named = image.blobs.iter().map(|blob| Digest::of(blob)).collect();
    shelf.push_blobs(&image).await;
    let oci = String::from_utf8(image.manifest()).unwrap();
    let docker = oci
        .replace("oci.image.manifest.v1", "docker.distribution.manifest.v2")
        .replace("oci.image.config.v1", "docker.container.image.v1")
        .replace("oci.image.layer.v1.tar+gzip", "docker.image.rootfs.diff.tar.gzip");
    shelf.push_manifest("docker", docker.into_bytes(), "application/vnd.docker.distribution.manifest.v2+json").await;
    let pulled = pull(&shelf.store(), &shelf.named(shelf.registry.address, "docker")).await.unwrap();
    assert!(
        content(&pulled) == "3" && pulled.layers[0].join("plain").exists() && pulled.layers[1].join("zstd").exists()
    );
    shelf.push_manifest("oci", oci.into_bytes(), OCI_MANIFEST).await;
    let same = pull(&shelf.store(), &shelf.named(shelf.registry.address, "oci")).await.unwrap();
    assert_eq!(same.layers, pulled.layers);
}

async fn the_jobs_own_credentials_open_a_locked_registry() {
    let shelf = Shelf::new(true).await;
    let source = shelf.push("1", &TestImage::of_file("x")).await;
    fs::write(shelf.path("password"), format!("{}\n", Registry::PASSWORD)).unwrap();
    let password = format!("file:{}", shelf.path("password").display()).parse().unwrap();
    let how = How { own: Some(RegistryCredentials::new(Registry::USER, password)), ..How::default() };
    assert_eq!(content(&pull_reported(&how, &shelf.store(), &source).await.0), "x");
}

async fn the_users_docker_configuration_opens_a_locked_registry() {
    let shelf = Shelf::new(true).await;
    let source = shelf.push("1", &TestImage::of_file("x")).await;
    let auth = BASE64_STANDARD.encode(format!("{}:{}", Registry::USER, Registry::PASSWORD));
    let stored = json!({ "auths": { shelf.registry.address.to_string(): { "auth": auth } } });
    fs::write(shelf.path("config.json"), stored.to_string()).unwrap();
    let how = How { docker_config: shelf.path("config.json"), ..How::default() };
    assert_eq!(content(&pull_reported(&how, &shelf.store(), &source).await.0), "x");
    let token = json!({ "auths": { shelf.registry.address.to_string(): { "identitytoken": "canary-a81f" } } });
    fs::write(shelf.path("config.json"), token.to_string()).unwrap();
    let other = shelf.push("2", &TestImage::of_file("y")).await;
    let error = how.prepare(&shelf.store(), &other, &Progress::ignored()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unauthenticated && !format!("{error:?}").contains("canary"), "{error:?}");
}

async fn wrong_or_missing_credentials_are_fatal_and_not_shown() {
    let shelf = Shelf::new(true).await;
    let source = shelf.push("1", &TestImage::of_file("x")).await;
    fs::write(shelf.path("wrong"), "canary-a81f").unwrap();
    let wrong = format!("file:{}", shelf.path("wrong").display()).parse().unwrap();
    let with_wrong = How { own: Some(RegistryCredentials::new(Registry::USER, wrong)), ..How::default() };
    for (how, says) in [(How::default(), "wants a login"), (with_wrong, "refuses the login")] {
        let error = how.prepare(&shelf.store(), &source, &Progress::ignored()).await.unwrap_err();
        assert_eq!((error.kind(), error.advice()), (ErrorKind::ImageUnavailable, Advice::Permanent), "{error:?}");
        assert!(error.message().contains(says) && error.to_string().contains(&source.to_string()), "{error:?}");
        assert!(!format!("{error:?}").contains("canary-a81f"), "{error:?}");
    }
}

async fn an_image_that_the_registry_does_not_have_is_fatal() {
    let shelf = Shelf::new(false).await;
    let source = shelf.named(shelf.registry.address, "nothing");
    let error = pull(&shelf.store(), &source).await.unwrap_err();
    assert_eq!((error.kind(), error.advice()), (ErrorKind::ImageUnavailable, Advice::Permanent), "{error:?}");
    assert!(error.to_string().contains(&shelf.registry.address.to_string()), "{error:?}");
}
