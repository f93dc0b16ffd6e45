//! State folders that are not as they were left.

use futures::{FutureExt, TryFutureExt, future::join_all};
use longshore_core::{
    ContainerExecutor, Error, ErrorKind, ExecutionHandle, LaunchRequest, LaunchSearch, LogCompleteness, LogQuery,
    Progress, Result, StopReason, StopRequest,
};
use longshore_testkit::{suite::Test, tests};
use std::{fs, time::Duration};

use crate::bench::{Bench, OWNER};

pub(crate) const TESTS: &[Test] = &tests![
    a_state_folder_of_another_version_is_refused_by_everything,
    what_a_killed_program_left_is_collected_by_its_owner_alone,
    a_folder_without_a_record_is_in_nobodys_way,
    a_record_that_can_not_be_read_hides_no_other,
    a_log_that_a_power_cut_has_shortened_is_missing_something,
];

async fn a_state_folder_of_another_version_is_refused_by_everything() {
    let bench = Bench::new().await;
    let request = bench.request(&["print once"]).await;
    let handle = bench.executor.launch_job(&request).await.unwrap();
    bench.ended(&handle).await;
    let version = bench.state.path().join("embedded/version");
    let own = fs::read_to_string(&version).unwrap();
    fs::write(&version, "999\n").unwrap();
    let refused = |answer: &Result<()>| {
        let clear = |error: &Error| error.message().contains("is of version \"999\"");
        answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::Invalid && clear(error))
    };
    let answers = everything(bench.executor.as_ref(), &request, &handle).await;
    let others: Vec<_> = answers.iter().enumerate().filter(|(_, answer)| !refused(answer)).collect();
    assert!(others.is_empty(), "{others:?}");
    fs::write(&version, own).unwrap();
    bench.ends_with(&handle, "once\n").await;
}

/// What every method answers that touches the host.
async fn everything(
    executor: &dyn ContainerExecutor,
    request: &LaunchRequest,
    handle: &ExecutionHandle,
) -> Vec<Result<()>> {
    let stop = StopRequest::new(StopReason::Cancelled, Duration::ZERO);
    let (owner, query) = (request.owner.clone(), LogQuery::from_start());
    join_all([
        executor.discover().map_ok(drop).boxed(),
        executor.prepare(request, Progress::ignored()),
        executor.launch_job(request).map_ok(drop).boxed(),
        executor.find_launch(request).map_ok(drop).boxed(),
        executor.check_status(handle).map_ok(drop).boxed(),
        executor.stop_job(handle, &stop).map_ok(drop).boxed(),
        executor.get_logs(handle, &query).map_ok(drop).boxed(),
        executor.harvest_job(handle).map_ok(drop).boxed(),
        executor.cleanup(handle),
        executor.list_owned(&owner).map_ok(drop).boxed(),
        executor.collect(&owner).map_ok(drop).boxed(),
        executor.check_health().map_ok(drop).boxed(),
        executor.events(&owner).map_ok(drop).boxed(),
    ])
    .await
}

async fn what_a_killed_program_left_is_collected_by_its_owner_alone() {
    let bench = Bench::new().await;
    let theirs = bench.request_of(bench.template(&["print theirs"]), "somebody-else").await;
    let theirs = bench.executor.launch_job(&theirs).await.unwrap();
    let handle = bench.launch(&["print ours"]).await;
    bench.ended(&theirs).await;
    bench.ended(&handle).await;
    let lock = leave(&bench, &handle, [".new.1", ".gone.1", ".new.2"]);
    let collected = async |owner: &str| bench.executor.collect(&owner.parse().unwrap()).await.unwrap();
    assert_eq!((collected("somebody-else").await, collected(OWNER).await), (0, 2));
    drop(lock);
    assert_eq!((collected(OWNER).await, listed(&bench).await), (1, vec![handle.token]));
    bench.executor.cleanup(&theirs).await.unwrap();
    bench.ends_with(&handle, "ours\n").await;
}

/// Folders with the execution's record and something more. The last is being made: its lock is held.
fn leave(bench: &Bench, handle: &ExecutionHandle, names: [&str; 3]) -> fs::File {
    for folder in names.map(|name| bench.executions().join(name)) {
        fs::create_dir_all(folder.join("upper/deep")).unwrap();
        fs::copy(bench.folder(handle.token).join("launch.json"), folder.join("launch.json")).unwrap();
    }
    let lock = fs::File::create(bench.executions().join(names[2]).join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    lock
}

async fn listed(bench: &Bench) -> Vec<longshore_core::LaunchToken> {
    let listed = bench.executor.list_owned(&OWNER.parse().unwrap()).await.unwrap();
    listed.into_iter().map(|found| found.handle.token).collect()
}

async fn a_folder_without_a_record_is_in_nobodys_way() {
    let bench = Bench::new().await;
    let request = bench.request(&["print once"]).await;
    fs::create_dir_all(bench.folder(request.token).join("upper/left")).unwrap();
    let launched = tokio::time::timeout(Duration::from_secs(60), bench.executor.launch_job(&request)).await;
    let Ok(launched) = launched else { panic!("the launch goes round and round") };
    bench.ends_with(&launched.unwrap(), "once\n").await;
}

async fn a_record_that_can_not_be_read_hides_no_other() {
    let bench = Bench::new().await;
    let request = bench.request(&["print never"]).await;
    let handle = bench.launch(&["print once"]).await;
    bench.ended(&handle).await;
    // A power cut before the record was on disk, and therefore before anything was started.
    fs::create_dir(bench.folder(request.token)).unwrap();
    fs::write(bench.folder(request.token).join("launch.json"), "").unwrap();
    assert_eq!(listed(&bench).await, [handle.token]);
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
    bench.ends_with(&handle, "once\n").await;
}

async fn a_log_that_a_power_cut_has_shortened_is_missing_something() {
    let bench = Bench::new().await;
    let cuts = [("stdout", Some(7_000)), ("stdout", Some(0)), ("stdout", None), ("log.index", Some(20))];
    for (file, length) in cuts.into_iter().chain([("log.index", Some(0)), ("log.index", None), ("stderr", None)]) {
        let handle = bench.launch(&["lines 10000 10"]).await;
        bench.ended(&handle).await;
        let path = bench.folder(handle.token).join(file);
        match length {
            Some(length) => fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let logs = bench.executor.harvest_job(&handle).await.unwrap().logs;
        let (text, completeness) = bench.log(&handle).await;
        assert!(matches!(completeness, LogCompleteness::Missing { .. }), "{file} {length:?}: {completeness}");
        assert_eq!((text.len() as u64, completeness), (logs.stdout_bytes, logs.completeness), "{file} {length:?}");
        bench.executor.cleanup(&handle).await.unwrap();
    }
}
