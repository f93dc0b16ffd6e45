//! A configuration in force: changed, spoiled, mended, without a job being dropped.

use longshore_config::{Config, LiveConfig, Problems};
use longshore_core::{Clock, ContainerJob, JobTemplate, SystemClock, route::RouteRequest};
use std::{fs, path::Path, sync::Arc, time::Duration};
use tokio::sync::mpsc;

use crate::support::{loader, make};

const ONE: &str = "[hosts.one]\nexecutor = \"docker\"\nmax_concurrent_jobs = 1\n";
const BOTH: &str = "[hosts.one]\nexecutor = \"docker\"\nmax_concurrent_jobs = 5\n[hosts.two]\nexecutor = \"fargate\"\ndefault = true\n";
const OTHER: &str = "[hosts.one]\nexecutor = \"docker\"\n[hosts.one.executor_config]\nlog_cap = \"1m\"\n";
const BAD: &str = "[hosts.one]\nexecutor = \"dokcer\"\n";

async fn opened(path: &Path) -> LiveConfig {
    LiveConfig::open(path, loader(&[]), Arc::new(SystemClock), make).await.unwrap()
}

fn chosen(live: &LiveConfig) -> String {
    let template = JobTemplate::builder().name("j".parse().unwrap()).image("i".parse().unwrap()).build();
    let job = ContainerJob::new(template, SystemClock.now());
    let route = live.router().route_job(&RouteRequest::new(&job, SystemClock.now()));
    route.decision.host().map_or_else(|| route.decision.to_string(), ToString::to_string)
}

fn hosts(config: &Config) -> Vec<&str> {
    config.hosts().map(|host| host.name.as_str()).collect()
}

#[tokio::test]
async fn a_good_version_takes_effect_and_keeps_what_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    fs::write(&path, ONE).unwrap();
    let live = opened(&path).await;
    let one = "one".parse().unwrap();
    let executor = live.router().get_executor(&one).unwrap();
    live.router().update_host(&one, |state| state.running = 1);
    assert!(chosen(&live).starts_with("not now"), "{}", chosen(&live));

    fs::write(&path, BOTH).unwrap();
    live.reload().await.unwrap();
    assert_eq!(chosen(&live), "two");
    let again = live.router().get_executor(&one).unwrap();
    assert!(Arc::ptr_eq(&executor, &again), "unchanged settings keep their executor");
    assert_eq!(live.router().snapshot().state(&one).unwrap().running, 1, "running jobs are still counted");

    fs::write(&path, OTHER).unwrap();
    live.reload().await.unwrap();
    let new = live.router().get_executor(&one).unwrap();
    assert!(!Arc::ptr_eq(&executor, &new), "other settings make another executor");
    assert_eq!(chosen(&live), "one");
    assert!(executor.facts().is_some(), "whoever has the old one can go on using it");
}

#[tokio::test]
async fn a_job_runs_on_when_its_host_is_changed_or_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    fs::write(&path, BOTH).unwrap();
    let live = opened(&path).await;
    let template = JobTemplate::builder().name("j".parse().unwrap()).image("i".parse().unwrap());
    let job = ContainerJob::new(template.command(["sleep 200ms", "exit 7"]).build(), SystemClock.now());
    let executor = live.router().get_executor(&"one".parse().unwrap()).unwrap();
    let logs = longshore_core::CapturedLogs::default();
    let runner = longshore_core::Runner::new(executor);
    let running = runner.run(&job, &logs);
    let reloading = async {
        for text in [OTHER, BAD, "[hosts.two]\nexecutor = \"fargate\"\n"] {
            fs::write(&path, text).unwrap();
            let _ = live.reload().await;
        }
        assert!(live.router().get_executor(&"one".parse().unwrap()).is_err(), "its host is gone");
    };
    let (outcome, ()) = tokio::join!(running, reloading);
    assert_eq!(outcome.unwrap().exit_code(), Some(7));
}

#[tokio::test]
async fn a_bad_version_is_refused_and_the_old_one_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    fs::write(&path, ONE).unwrap();
    let live = opened(&path).await;
    for bad in [BAD, "", "[hosts", "[hosts.one]\nexecutor = \"docker\"\nexecutor_config = { log_cap = \"1 MB\" }"] {
        fs::write(&path, bad).unwrap();
        live.reload().await.unwrap_err();
        assert_eq!((chosen(&live).as_str(), hosts(&live.config())), ("one", vec!["one"]), "{bad}");
    }
    fs::remove_file(&path).unwrap();
    live.reload().await.unwrap_err();
    assert_eq!(chosen(&live), "one");
    assert!(LiveConfig::open(&path, loader(&[]), Arc::new(SystemClock), make).await.is_err());
}

/// What following told: the hosts of the new version, or how many problems it has.
fn told(result: &Result<Arc<Config>, Problems>) -> Result<Vec<String>, usize> {
    match result {
        Ok(config) => Ok(config.hosts().map(|host| host.name.to_string()).collect()),
        Err(problems) => Err(problems.as_slice().len()),
    }
}

/// Follows the file while `change` makes changes and waits for what is told of each.
async fn following<F: Future<Output = ()>>(
    live: &LiveConfig,
    change: impl FnOnce(mpsc::UnboundedReceiver<Result<Vec<String>, usize>>) -> F,
) {
    let (tell, heard) = mpsc::unbounded_channel();
    tokio::select! {
        ended = live.follow(|result| tell.send(told(&result)).unwrap()) => panic!("{ended:?}"),
        () = change(heard) => {}
    }
}

async fn until(heard: &mut mpsc::UnboundedReceiver<Result<Vec<String>, usize>>, expected: &Result<Vec<&str>, usize>) {
    let expected =
        expected.as_ref().map(|names| names.iter().map(|&name| name.to_owned()).collect()).map_err(|count| *count);
    loop {
        // Far longer than it should take, and not for ever.
        let told = tokio::time::timeout(Duration::from_secs(60), heard.recv()).await.unwrap().unwrap();
        if told == expected {
            return;
        }
    }
}

#[tokio::test]
async fn a_change_of_the_file_is_followed_however_it_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    fs::write(&path, ONE).unwrap();
    let live = opened(&path).await;
    // A change before the watch begins is not missed.
    fs::write(&path, BOTH).unwrap();
    following(&live, async |mut heard| {
        until(&mut heard, &Ok(vec!["one", "two"])).await;
        // Written in place.
        fs::write(&path, BAD).unwrap();
        until(&mut heard, &Err(1)).await;
        assert_eq!(chosen(&live), "two");
        // Another file put in its place.
        fs::write(folder.path().join("new"), ONE).unwrap();
        fs::rename(folder.path().join("new"), &path).unwrap();
        until(&mut heard, &Ok(vec!["one"])).await;
        assert_eq!(chosen(&live), "one");
        // Other files beside it mean nothing, and so does the same content; then a removal and a new file.
        fs::write(folder.path().join("other"), BOTH).unwrap();
        fs::write(&path, ONE).unwrap();
        fs::remove_file(&path).unwrap();
        until(&mut heard, &Err(1)).await;
        fs::write(&path, BOTH).unwrap();
        until(&mut heard, &Ok(vec!["one", "two"])).await;
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_is_followed_as_orchestrators_turn_it() {
    let folder = tempfile::tempdir().unwrap();
    for (version, text) in [("v1", ONE), ("v2", BOTH)] {
        fs::create_dir(folder.path().join(version)).unwrap();
        fs::write(folder.path().join(version).join("longshore.toml"), text).unwrap();
    }
    let turn = |version: &str| {
        std::os::unix::fs::symlink(version, folder.path().join("next")).unwrap();
        fs::rename(folder.path().join("next"), folder.path().join("data")).unwrap();
    };
    turn("v1");
    let path = folder.path().join("longshore.toml");
    std::os::unix::fs::symlink("data/longshore.toml", &path).unwrap();
    let live = opened(&path).await;
    following(&live, async |mut heard| {
        tokio::task::yield_now().await;
        turn("v2");
        until(&mut heard, &Ok(vec!["one", "two"])).await;
        assert_eq!(chosen(&live), "two");
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_is_replaced_and_a_link_that_is_turned_again_are_followed() {
    let folder = tempfile::tempdir().unwrap();
    for (version, text) in [("v1", ONE), ("v2", BOTH), ("v3", ONE)] {
        fs::create_dir(folder.path().join(version)).unwrap();
        fs::write(folder.path().join(version).join("longshore.toml"), text).unwrap();
    }
    let turn = |version: &str| {
        std::os::unix::fs::symlink(version, folder.path().join("next")).unwrap();
        fs::rename(folder.path().join("next"), folder.path().join("current")).unwrap();
    };
    turn("v1");
    let live = opened(&folder.path().join("current/longshore.toml")).await;
    following(&live, async |mut heard| {
        tokio::task::yield_now().await;
        turn("v2");
        until(&mut heard, &Ok(vec!["one", "two"])).await;
        turn("v3");
        until(&mut heard, &Ok(vec!["one"])).await;
        fs::write(folder.path().join("v3/longshore.toml"), BOTH).unwrap();
        until(&mut heard, &Ok(vec!["one", "two"])).await;
    })
    .await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_hang_up_reloads_although_the_file_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("longshore.toml");
    fs::write(&path, ONE).unwrap();
    let live = opened(&path).await;
    following(&live, async |mut heard| {
        // The handler is there once the first poll of `follow` has passed.
        tokio::task::yield_now().await;
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
        until(&mut heard, &Ok(vec!["one"])).await;
    })
    .await;
}
