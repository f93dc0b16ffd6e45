//! Networks with a way out, by each of the programs that can give one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::{ErrorKind, Network};
use longshore_testkit::{suite::Test, tests};
use serde_json::json;
use std::path::{Path, PathBuf};

use crate::inside::Bench;

pub(crate) const WITHOUT: &[Test] = &tests![without_a_helper_a_network_is_refused_with_what_to_install];
pub(crate) const THROUGH_SLIRP: &[Test] = &tests![slirp_gives_a_network_and_ends_with_it];
pub(crate) const THROUGH_PASTA: &[Test] = &tests![pasta_gives_a_network_and_ends_with_it];

fn program(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/usr/local/bin"].iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// Why networks through the program can't be tried, if they can't.
pub(crate) fn can_try(name: &str) -> Result<(), String> {
    program(name).ok_or_else(|| format!("{name} is not installed (Debian: slirp4netns, passt)"))?;
    match std::fs::File::options().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("/dev/net/tun can't be opened ({error}); chmod 666 it")),
    }
}

async fn without_a_helper_a_network_is_refused_with_what_to_install() {
    let bench = Bench::with(json!({ "network_helper": "/no/such/slirp4netns" })).await;
    let mut job = bench.job(&["exit 0"]);
    job.network = Some(Network::Private);
    let error = bench.run(job.clone()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("network = private"), "{error}");
    assert!(error.message().contains("executor_config.network_helper"), "{error}");
    // What is not asked for becomes none, never the host's.
    job.network = None;
    job.args = vec!["read /proc/net/dev".to_owned()];
    let (code, table) = bench.run(job).await.unwrap();
    let interfaces: Vec<&str> = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
    assert_eq!((code, interfaces), (Some(0), vec!["lo"]));
}

async fn slirp_gives_a_network_and_ends_with_it() {
    gives_a_network_and_ends_with_it("slirp4netns").await;
}

async fn pasta_gives_a_network_and_ends_with_it() {
    gives_a_network_and_ends_with_it("pasta").await;
}

async fn gives_a_network_and_ends_with_it(name: &str) {
    let bench = Bench::with(json!({ "network_helper": program(name).unwrap() })).await;
    let mut job = bench.job(&["read /proc/net/route"]);
    job.network = Some(Network::Private);
    let (code, routes) = bench.run(job).await.unwrap();
    let default = routes.lines().skip(1).any(|line| line.split('\t').nth(1) == Some("00000000"));
    assert!(code == Some(0) && default, "{name}: {routes}");

    let mut job = bench.job(&["sleep 60s"]);
    job.network = Some(Network::Private);
    let handle = bench.launch(job).await;
    let helper = bench.process(&handle, "network");
    let words = std::fs::read_to_string(format!("/proc/{helper}/comm")).unwrap();
    // pasta executes itself as the variant of passt that fits the processor.
    assert!(words.starts_with("slirp") || words.starts_with("pas"), "{words}");
    let watched = rustix::process::Pid::from_raw(i32::try_from(helper).unwrap()).unwrap();
    let watched = rustix::process::pidfd_open(watched, rustix::process::PidfdFlags::empty()).unwrap();
    bench.end(&handle).await;
    let limit = rustix::event::Timespec { tv_sec: 30, tv_nsec: 0 };
    let ended = || {
        let mut watched = [rustix::event::PollFd::new(&watched, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut watched, Some(&limit))
    };
    assert_eq!(rustix::io::retry_on_intr(ended).unwrap(), 1, "{name} goes on without its network");
}
