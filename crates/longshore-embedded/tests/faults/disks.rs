//! Disks that are full.

use longshore_core::{Cause, ErrorKind, LaunchSearch, LogCompleteness, StopReason, StopRequest};
use longshore_testkit::{suite::Test, tests};
use std::{fs, path::Path, time::Duration};
use tempfile::TempDir;

use crate::{
    bench::{Bench, until},
    small_disk::SmallDisk,
};

pub(crate) const TESTS: &[Test] = &tests![
    a_full_disk_costs_the_log_and_not_the_exit,
    a_job_that_has_filled_the_disk_can_be_stopped,
    a_launch_on_a_full_disk_says_so_and_leaves_nothing,
];

fn room(folder: &Path) -> u64 {
    let found = rustix::fs::statvfs(folder).unwrap();
    found.f_bavail * found.f_frsize
}

async fn a_full_disk_costs_the_log_and_not_the_exit() {
    let folder = TempDir::new().unwrap();
    let _disk = SmallDisk::below(&folder);
    let bench = Bench::on(folder).await;
    let handle = bench.launch(&["lines 400000 64", "exit 5"]).await;
    let ended = bench.ended(&handle).await;
    assert_eq!(ended.cause, Cause::Exited { code: 5 });
    let harvest = bench.executor.harvest_job(&handle).await.unwrap();
    let LogCompleteness::Missing { reason } = &harvest.logs.completeness else { panic!("{harvest:?}") };
    assert!(reason.contains("disk was full"), "{reason}");
    let (text, completeness) = bench.log(&handle).await;
    assert_eq!((text.len() as u64, &completeness), (harvest.logs.stdout_bytes, &harvest.logs.completeness));
    assert!(text.len() > 1 << 20);
    bench.executor.cleanup(&handle).await.unwrap();
    bench.assert_nothing_left(handle.token);
}

async fn a_job_that_has_filled_the_disk_can_be_stopped() {
    let folder = TempDir::new().unwrap();
    let disk = SmallDisk::below(&folder);
    let bench = Bench::on(folder).await;
    let handle = bench.launch(&["catch TERM 9", "lines 400000 64", "print done", "forever"]).await;
    until("the disk is full", || room(&disk.0) < 1 << 17).await;
    disk.fill();
    let stop = StopRequest::new(StopReason::TimedOut, Duration::from_secs(60));
    let ended = bench.executor.stop_job(&handle, &stop).await.unwrap();
    assert_eq!((ended.cause, ended.exit_code), (Cause::TimedOut, Some(9)));
    assert!(matches!(bench.log(&handle).await.1, LogCompleteness::Missing { .. }));
    bench.executor.cleanup(&handle).await.unwrap();
    bench.assert_nothing_left(handle.token);
}

async fn a_launch_on_a_full_disk_says_so_and_leaves_nothing() {
    let folder = TempDir::new().unwrap();
    let disk = SmallDisk::below(&folder);
    let bench = Bench::on(folder).await;
    let request = bench.request(&["print once"]).await;
    for free in [0, 4096, 8192] {
        let filler = disk.fill();
        let full = fs::metadata(&filler).unwrap().len();
        fs::File::options().write(true).open(&filler).unwrap().set_len(full - full % 4096 - free).unwrap();
        let error = bench.executor.launch_job(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Capacity, "{free}: {}", error.chain());
        assert_eq!(bench.executor.find_launch(&request).await.unwrap(), LaunchSearch::Absent);
        bench.assert_nothing_left(request.token);
        fs::remove_file(filler).unwrap();
    }
    let handle = bench.executor.launch_job(&request).await.unwrap();
    bench.ends_with(&handle, "once\n").await;
}
