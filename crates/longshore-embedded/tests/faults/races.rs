//! What happens at the same time as something else.

use longshore_core::{Cause, ExecutionStatus, LaunchSearch, StopReason, StopRequest};
use longshore_testkit::{suite::Test, tests};
use rustix::fs::{FlockOperation, flock};
use serde_json::json;
use std::{fs, time::Duration};

use crate::bench::{Bench, OWNER, until};

pub(crate) const TESTS: &[Test] = &tests![
    cleanups_at_once_are_one_cleanup,
    a_cleanup_that_waits_takes_nothing_of_a_later_launch,
    searches_at_once_for_an_abandoned_launch_agree,
    a_stop_at_the_moment_of_the_exit_tells_one_end,
];

async fn cleanups_at_once_are_one_cleanup() {
    let bench = Bench::new().await;
    let other = bench.another(json!({}));
    let owner = OWNER.parse().unwrap();
    for _ in 0..15 {
        let handle = bench.launch(&["print once"]).await;
        bench.ended(&handle).await;
        // Enough to remove that they meet.
        for number in 0..300 {
            let folder = bench.folder(handle.token).join(format!("more/{}/{number}", number % 7));
            fs::create_dir_all(folder).unwrap();
        }
        let (first, second, third, swept) = tokio::join!(
            bench.executor.cleanup(&handle),
            other.cleanup(&handle),
            bench.executor.cleanup(&handle),
            other.collect(&owner),
        );
        for result in [first, second, third, swept.map(drop)] {
            result.unwrap();
        }
        bench.assert_nothing_left(handle.token);
        assert_eq!(other.check_status(&handle).await.unwrap(), ExecutionStatus::NotFound);
    }
}

async fn a_cleanup_that_waits_takes_nothing_of_a_later_launch() {
    let bench = Bench::new().await;
    let request = bench.request(&["print again", "forever"]).await;
    let handle = bench.executor.launch_job(&request).await.unwrap();
    let kill = StopRequest::new(StopReason::Cancelled, Duration::ZERO);
    bench.executor.stop_job(&handle, &kill).await.unwrap();
    // Another cleanup holds the lock, and is quicker.
    let lock = fs::File::options().write(true).open(bench.folder(handle.token).join("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let inode = std::os::unix::fs::MetadataExt::ino(&lock.metadata().unwrap());
    let (cleaned, ()) = tokio::join!(bench.executor.cleanup(&handle), async {
        let waits = || {
            let locks = fs::read_to_string("/proc/locks").unwrap();
            locks.lines().any(|line| line.contains("-> FLOCK") && line.contains(&format!(":{inode} ")))
        };
        until("the cleanup waits for the lock", waits).await;
        fs::rename(bench.folder(handle.token), bench.executions().join(".gone.quicker")).unwrap();
        bench.another(json!({})).launch_job(&request).await.unwrap();
        drop(lock);
    });
    drop(cleaned);
    assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Found(handle.clone()));
    let ended = bench.executor.stop_job(&handle, &kill).await.unwrap();
    assert_eq!(ended.cause, Cause::Cancelled);
    bench.executor.cleanup(&handle).await.unwrap();
    assert_eq!(bench.executor.collect(&OWNER.parse().unwrap()).await.unwrap(), 1);
    bench.assert_nothing_left(handle.token);
}

async fn searches_at_once_for_an_abandoned_launch_agree() {
    let bench = Bench::new().await;
    let other = bench.another(json!({}));
    for _ in 0..30 {
        let request = bench.request(&["print once"]).await;
        let record = json!({
            "version": 1, "token": request.token, "job": request.token.job(), "owner": OWNER, "host": "kit",
            "created_at": request.created_at, "image": "x", "log_cap": request.plan.template.log_cap,
        });
        fs::create_dir(bench.folder(request.token)).unwrap();
        fs::write(bench.folder(request.token).join("launch.json"), record.to_string()).unwrap();
        let found = tokio::join!(
            bench.executor.find_launch(&request),
            other.find_launch(&request),
            bench.executor.find_launch(&request),
            other.find_launch(&request),
        );
        for found in [found.0, found.1, found.2, found.3] {
            assert_eq!(found.unwrap(), LaunchSearch::Absent);
        }
        bench.assert_nothing_left(request.token);
    }
}

async fn a_stop_at_the_moment_of_the_exit_tells_one_end() {
    let bench = Bench::new().await;
    for number in 0..20 {
        let handle = bench.launch(&["catch TERM 7", &format!("sleep {}ms", number * 2), "exit 3"]).await;
        let stop = StopRequest::new(StopReason::Cancelled, Duration::from_secs(30));
        let (stopped, again) =
            tokio::join!(bench.executor.stop_job(&handle, &stop), bench.executor.stop_job(&handle, &stop));
        let (stopped, again) = (stopped.unwrap(), again.unwrap());
        assert_eq!(stopped, again);
        let own = (Cause::Exited { code: 3 }, Some(3));
        let found = (stopped.cause, stopped.exit_code);
        assert!(found == own || found.0 == Cause::Cancelled, "{found:?}");
        assert_eq!(bench.ended(&handle).await, again);
        assert_eq!(bench.executor.harvest_job(&handle).await.unwrap().termination, again);
        bench.executor.cleanup(&handle).await.unwrap();
        bench.assert_nothing_left(handle.token);
    }
}
