use super::*;
use crate::image::testing::{LayerArchive, TestImage, archive, gzip, layout, store, store_with, write_files};
use longshore_core::{ErrorKind, PrepareProgress};
use serde_json::json;
use std::{fs, os::unix::fs::MetadataExt, time::Instant};
use tempfile::TempDir;

/// A folder with a store in it, and images beside.
struct World {
    folder: TempDir,
}

impl World {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn store(&self) -> ImageStore {
        store(self.path("store"))
    }

    /// Writes an archive; the image's text begins with the scheme.
    fn archive(&self, scheme: &str, name: &str, content: &[u8]) -> ImageSource {
        fs::write(self.path(name), content).unwrap();
        self.source(scheme, name)
    }

    fn source(&self, scheme: &str, name: &str) -> ImageSource {
        format!("{scheme}:{}", self.path(name).display()).parse().unwrap()
    }

    fn layers(&self) -> usize {
        fs::read_dir(self.path("store/layers")).map_or(0, Iterator::count)
    }

    fn half_made(&self) -> usize {
        fs::read_dir(self.path("store/tmp")).map_or(0, Iterator::count)
    }
}

fn wanted(source: &ImageSource) -> Wanted<'_> {
    Wanted { source, policy: PullPolicy::Never, platform: None, logins: None }
}

async fn prepare(store: &ImageStore, source: &ImageSource) -> Result<Image> {
    store.prepare(&wanted(source), &Progress::ignored()).await
}

/// The content of a file in the uppermost layer that has it.
fn read(image: &Image, name: &str) -> String {
    let found = image.layers.iter().rev().map(|layer| layer.join(name)).find(|path| path.exists());
    fs::read_to_string(found.unwrap()).unwrap()
}

fn named(source: &ImageSource, name: &str) -> ImageSource {
    format!("{source}:{name}").parse().unwrap()
}

#[tokio::test]
async fn every_local_form_is_unpacked_and_found_again() {
    let world = World::new();
    let image = TestImage::new(vec![
        LayerArchive::new().file("low", "low").file("file", "old").finish(),
        LayerArchive::new().file("file", "new").finish(),
    ]);
    let files = layout(&[(&image, Some("1"))]);
    write_files(&world.path("layout"), &files);
    let sources = [
        world.source("oci", "layout"),
        world.archive("oci-archive", "oci.tar", &archive(&files)),
        world.archive("docker-archive", "docker.tar", &image.docker_archive("test:1")),
    ];
    let store = world.store();
    for source in &sources {
        assert!(store.lookup(&wanted(source)).await.unwrap().is_none(), "{source}");
        let (progress, mut reports) = Progress::channel();
        let prepared = store.prepare(&wanted(source), &progress).await.unwrap();
        assert_eq!((read(&prepared, "file"), read(&prepared, "low")), ("new".into(), "low".into()), "{source}");
        assert_eq!(
            (&prepared.config.env[0], prepared.config.cmd.as_deref()),
            (&"A=b".to_owned(), Some(&["/run".to_owned()][..]))
        );
        let found = store.lookup(&wanted(source)).await.unwrap().unwrap();
        assert_eq!((found.digest, found.layers), (prepared.digest, prepared.layers), "{source}");
        if source == &sources[0] {
            let report: PrepareProgress = reports.try_recv().unwrap();
            assert!(report.step == "Unpacking" && report.item.unwrap().len() == 12);
        }
    }
    assert_eq!((world.layers(), world.half_made()), (2, 0), "equal layers are there once");
}

#[tokio::test]
async fn the_probes_own_archive_is_an_image() {
    let world = World::new();
    let source =
        world.archive("docker-archive", "probe.tar", &longshore_probe::image_archive("longshore-probe:latest"));
    for source in [&source, &named(&source, "longshore-probe"), &named(&source, "longshore-probe:latest")] {
        let image = prepare(&world.store(), source).await.unwrap();
        assert_eq!(image.config.entrypoint.as_deref(), Some(&["/probe".to_owned()][..]));
        assert!(image.layers[0].join("probe").exists());
        assert_eq!(fs::metadata(image.layers[0].join("tmp")).unwrap().mode() & 0o7777, 0o1777);
    }
    let error = prepare(&world.store(), &named(&source, "other")).await.unwrap_err();
    assert!(error.message().contains("longshore-probe:latest"), "{error}");
}

#[tokio::test]
async fn one_of_several_images_is_named_by_its_tag() {
    let world = World::new();
    let (one, two) = (TestImage::of_file("one"), TestImage::of_file("two"));
    write_files(&world.path("layout"), &layout(&[(&one, Some("1")), (&two, Some("2"))]));
    let source = world.source("oci", "layout");
    assert_eq!(read(&prepare(&world.store(), &named(&source, "2")).await.unwrap(), "file"), "two");
    for source in [&source, &named(&source, "3")] {
        let error = prepare(&world.store(), source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ImageUnavailable);
        assert!(error.message().contains("its tags are 1, 2"), "{error}");
    }
}

#[tokio::test]
async fn a_root_folder_is_an_image_as_it_is() {
    let world = World::new();
    fs::create_dir(world.path("root")).unwrap();
    let source = world.source("rootfs", "root");
    let image = prepare(&world.store(), &source).await.unwrap();
    assert_eq!(
        (image.layers, image.config),
        (vec![world.path("root").canonicalize().unwrap()], ImageConfig::default())
    );
    assert!(fs::File::open(image.lock).is_ok());
    let file = world.archive("rootfs", "file", b"");
    assert!(prepare(&world.store(), &file).await.unwrap_err().message().contains("is no folder"));
    let missing = world.source("rootfs", "missing");
    assert_eq!(prepare(&world.store(), &missing).await.unwrap_err().kind(), ErrorKind::ImageUnavailable);
}

/// A way to spoil an image's layout, and what the error says of it.
type Damage = (&'static str, fn(&mut Vec<(String, Vec<u8>)>), &'static str);

const DAMAGES: [Damage; 10] = [
    ("layer", |files| spoil(files, "blobs/", 2), "content that its name promises"),
    ("configuration", |files| spoil(files, "blobs/", 3), "content that its name promises"),
    ("manifest", |files| spoil(files, "blobs/", 4), "content that its name promises"),
    ("missing layer", |files| drop(files.remove(2)), "No such file"),
    ("no index", |files| drop(files.remove(1)), "No such file"),
    ("no index that can be read", |files| files[1].1 = b"{".to_vec(), "index.json can't be read"),
    ("no images", |files| files[1].1 = br#"{"schemaVersion":2,"manifests":[]}"#.to_vec(), "no image in it"),
    ("another version", |files| files[0].1 = br#"{"imageLayoutVersion":"9"}"#.to_vec(), "1.x is known"),
    ("a digest that leads elsewhere", |files| replace(files, 1, "sha256:", "sha256:../"), "is no digest"),
    ("a document without end", |files| files[1].1 = vec![b' '; 5 << 20], "at most 4 MiB"),
];

fn spoil(files: &mut [(String, Vec<u8>)], prefix: &str, at: usize) {
    assert!(files[at].0.starts_with(prefix));
    let middle = files[at].1.len() / 2;
    files[at].1[middle] ^= 1;
}

fn replace(files: &mut [(String, Vec<u8>)], at: usize, from: &str, to: &str) {
    let text = String::from_utf8(files[at].1.clone()).unwrap();
    files[at].1 = text.replace(from, to).into_bytes();
}

#[tokio::test]
async fn a_damaged_layout_is_refused_and_leaves_nothing() {
    for (what, damage, says) in DAMAGES {
        let world = World::new();
        let mut files = layout(&[(&TestImage::of_file("x"), None)]);
        damage(&mut files);
        write_files(&world.path("layout"), &files);
        let source = world.source("oci", "layout");
        let error = prepare(&world.store(), &source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ImageUnavailable, "{what}: {error:?}");
        assert!(error.to_string().contains(says) && error.chain().contains("layout"), "{what}: {error:?}");
        assert_eq!((world.layers(), world.half_made()), (0, 0), "{what}");
    }
}

#[tokio::test]
async fn layers_are_checked_against_what_the_configuration_promises() {
    let world = World::new();
    let mut image = TestImage::of_file("x");
    image.config["rootfs"]["diff_ids"][0] = json!(format!("sha256:{}", "0".repeat(64)));
    let docker = world.archive("docker-archive", "docker.tar", &image.docker_archive("a:1"));
    let mut other = TestImage::of_file("x");
    other.blobs[0] = gzip(b"no archive at all, whatever its digest");
    other.named[0] = crate::image::digest::Digest::of(&other.blobs[0]);
    write_files(&world.path("layout"), &layout(&[(&other, None)]));
    let mut more = TestImage::of_file("x");
    more.config["rootfs"]["diff_ids"] = json!([]);
    let count = world.archive("docker-archive", "count.tar", &more.docker_archive("a:1"));
    for (source, says) in [
        (docker, "the image's configuration promises sha256:0000"),
        (world.source("oci", "layout"), "damaged or cut short"),
        (count, "describes 0 layers, and its manifest lists 1"),
    ] {
        let error = prepare(&world.store(), &source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ImageUnavailable, "{source}");
        assert!(error.message().contains(says), "{source}: {error:?}");
    }
    assert_eq!((world.layers(), world.half_made()), (0, 0));
}

#[tokio::test]
async fn archives_that_are_cut_short_compressed_or_none_are_refused() {
    let world = World::new();
    let whole = TestImage::of_file(&"x".repeat(9000)).docker_archive("a:1");
    let cases: [(&[u8], &str); 5] = [
        (&whole[..whole.len() - 6000], "cut short"),
        (&whole[..700], "has no file"),
        (&gzip(&whole), "gunzip"),
        (b"", "empty"),
        (&[b'?'; 2048], "can't be used"),
    ];
    for (number, (content, says)) in cases.into_iter().enumerate() {
        let source = world.archive("docker-archive", &format!("{number}.tar"), content);
        let error = prepare(&world.store(), &source).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ImageUnavailable, "{number}");
        assert!(error.message().contains(says), "{number}: {error:?}");
    }
    let missing = prepare(&world.store(), &world.source("docker-archive", "missing.tar")).await.unwrap_err();
    assert!(missing.message().contains("missing.tar"), "{missing:?}");
}

#[tokio::test]
async fn a_changed_archive_is_noticed_and_an_unchanged_one_is_not_read() {
    let world = World::new();
    let source = world.archive("docker-archive", "a.tar", &TestImage::of_file("one").docker_archive("a:1"));
    let store = world.store();
    let first = prepare(&store, &source).await.unwrap();
    // What is known can't be read any more, and need not be.
    fs::rename(world.path("store/layers"), world.path("store/away")).unwrap();
    assert!(store.lookup(&wanted(&source)).await.unwrap().is_some());
    fs::rename(world.path("store/away"), world.path("store/layers")).unwrap();
    world.archive("docker-archive", "a.tar", &TestImage::of_file("two").docker_archive("a:1"));
    assert!(store.lookup(&wanted(&source)).await.unwrap().is_none());
    let second = prepare(&store, &source).await.unwrap();
    assert_eq!((read(&first, "file"), read(&second, "file")), ("one".to_owned(), "two".to_owned()));
}

#[tokio::test]
async fn a_layer_that_an_image_has_twice_is_laid_once_and_on_top() {
    let world = World::new();
    let (a, b) = (LayerArchive::new().file("file", "a").finish(), LayerArchive::new().file("file", "b").finish());
    let image = TestImage::new(vec![a.clone(), b, a]);
    let source = world.archive("docker-archive", "a.tar", &image.docker_archive("a:1"));
    let prepared = prepare(&world.store(), &source).await.unwrap();
    assert_eq!((prepared.layers.len(), read(&prepared, "file")), (2, "a".to_owned()));
}

#[tokio::test]
async fn an_image_for_another_platform_is_refused_with_what_it_is_for() {
    let world = World::new();
    let source = world.archive("docker-archive", "a.tar", &TestImage::of_file("x").docker_archive("a:1"));
    let platform = "linux/s390x".parse().unwrap();
    let other = Wanted { platform: Some(&platform), ..wanted(&source) };
    let error = world.store().prepare(&other, &Progress::ignored()).await.unwrap_err();
    assert!(error.message().contains("linux/s390x is wanted"), "{error}");
}

#[tokio::test]
async fn a_store_of_another_version_is_refused_and_left_alone() {
    let world = World::new();
    fs::create_dir(world.path("store")).unwrap();
    fs::write(world.path("store/version"), "7\n").unwrap();
    let source = world.archive("docker-archive", "a.tar", &TestImage::of_file("x").docker_archive("a:1"));
    let errors = [
        prepare(&world.store(), &source).await.unwrap_err(),
        world.store().lookup(&wanted(&source)).await.unwrap_err(),
        world.store().collect().await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.message().contains("version \"7\""), "{error}");
    }
}

#[tokio::test]
async fn many_who_want_the_same_unpack_it_once() {
    let world = World::new();
    let source = world.archive("docker-archive", "a.tar", &TestImage::of_file("x").docker_archive("a:1"));
    let stores = [world.store(), world.store()];
    let (progress, mut reports) = Progress::channel();
    let want = wanted(&source);
    let all = stores.iter().cycle().take(16).map(|store| store.prepare(&want, &progress));
    let images = futures::future::try_join_all(all).await.unwrap();
    assert!(images.iter().all(|image| image.layers == images[0].layers));
    let mut began = 0;
    while let Ok(report) = reports.try_recv() {
        began += usize::from(report.done == Some(0));
    }
    assert_eq!((began, world.layers(), world.half_made()), (1, 1, 0));
}

#[tokio::test]
async fn two_images_with_a_layer_in_common_are_prepared_at_the_same_time() {
    let world = World::new();
    let common = LayerArchive::new().file("common", &"c".repeat(100_000)).finish();
    let image = |own: &str| TestImage::new(vec![common.clone(), LayerArchive::new().file("own", own).finish()]);
    let one = world.archive("docker-archive", "1.tar", &image("1").docker_archive("a:1"));
    let two = world.archive("docker-archive", "2.tar", &image("2").docker_archive("a:2"));
    let stores = [world.store(), world.store()];
    let both = tokio::try_join!(prepare(&stores[0], &one), prepare(&stores[1], &two)).unwrap();
    assert_eq!(both.0.layers[0], both.1.layers[0]);
    assert_eq!((world.layers(), world.half_made()), (3, 0));
}

#[tokio::test]
async fn beyond_the_limit_the_longest_unused_image_goes_and_what_is_held_stays() {
    let world = World::new();
    let store = store_with(world.path("store"), Some(2500));
    let source = |number: usize| {
        let image = TestImage::of_file(&number.to_string().repeat(1000));
        world.archive("docker-archive", &format!("{number}.tar"), &image.docker_archive("a:1"))
    };
    let sources: Vec<ImageSource> = (1..=4).map(source).collect();
    let held = prepare(&store, &sources[0]).await.unwrap();
    drop(prepare(&store, &sources[1]).await.unwrap());
    drop(prepare(&store, &sources[2]).await.unwrap());
    assert_eq!(world.layers(), 2, "the second was the longest unused that nobody held");
    assert!(store.lookup(&wanted(&sources[1])).await.unwrap().is_none());
    // Another program holds by the lock's path, and goes on holding when the first has gone.
    let other = fs::File::open(&held.lock).unwrap();
    rustix::fs::flock(&other, rustix::fs::FlockOperation::LockShared).unwrap();
    let files = held.layers[0].join("file");
    drop(held);
    assert_eq!(store.collect_to(Some(0)).await.unwrap(), 1000);
    assert!(files.exists() && world.layers() == 1);
    drop(other);
    assert_eq!(store.collect_to(Some(0)).await.unwrap(), 1000);
    assert_eq!((world.layers(), world.half_made()), (0, 0));
    assert_eq!(fs::read_dir(world.path("store/names")).unwrap().count(), 0);
    assert_eq!(read(&prepare(&store, &sources[3]).await.unwrap(), "file"), "4".repeat(1000));
}

#[tokio::test]
async fn what_a_dead_program_left_is_swept_and_what_a_living_one_makes_is_not() {
    let world = World::new();
    let source = world.archive("docker-archive", "a.tar", &TestImage::of_file("x").docker_archive("a:1"));
    drop(prepare(&world.store(), &source).await.unwrap());
    let tmp = world.path("store/tmp");
    fs::create_dir_all(tmp.join("layer-dead/diff/deep")).unwrap();
    let living = layers::Staging::make(&folder::Folder::new(world.path("store"))).unwrap();
    world.store().collect().await.unwrap();
    assert!(!tmp.join("layer-dead").exists() && living.path.exists());
    drop(living);
    world.store().collect().await.unwrap();
    assert_eq!(world.half_made(), 0);
}

#[tokio::test]
async fn a_preparation_that_is_dropped_leaves_a_store_that_works() {
    let world = World::new();
    let image = TestImage::of_file(&"x".repeat(3_000_000));
    let source = world.archive("docker-archive", "a.tar", &image.docker_archive("a:1"));
    let store = world.store();
    for _ in 0..5 {
        let _ = tokio::time::timeout(std::time::Duration::from_micros(800), prepare(&store, &source)).await;
    }
    assert_eq!(read(&prepare(&store, &source).await.unwrap(), "file").len(), 3_000_000);
}

#[tokio::test]
async fn looking_up_what_is_there_is_cheap() {
    let world = World::new();
    let source = world.archive("docker-archive", "a.tar", &TestImage::of_file("x").docker_archive("a:1"));
    let store = world.store();
    drop(prepare(&store, &source).await.unwrap());
    const TIMES: u32 = 200;
    let began = Instant::now();
    for _ in 0..TIMES {
        store.lookup(&wanted(&source)).await.unwrap().unwrap();
    }
    let each = began.elapsed() / TIMES;
    println!("a warm lookup takes {each:?}");
    assert!(each < std::time::Duration::from_millis(5), "{each:?}");
}
