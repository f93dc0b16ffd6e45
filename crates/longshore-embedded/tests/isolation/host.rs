//! What belongs to the host.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::{Mount, MountSource};
use longshore_testkit::{suite::Test, tests};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_change, unmount};
use std::{fs, io::ErrorKind, os::unix::fs::MetadataExt, path::Path};

use crate::inside::Bench;

pub(crate) const TESTS: &[Test] = &tests![
    the_supervisors_own_program_can_not_be_written,
    a_container_has_no_file_of_its_supervisor,
    nothing_is_mounted_where_the_host_sees_it,
];

pub(crate) const AS_ROOT: &[Test] = &tests![
    device_files_are_the_containers_own,
    the_hosts_control_groups_are_not_there_with_its_network,
    what_is_mounted_below_a_folder_is_as_read_only_as_the_folder,
];

/// `/proc/PID/exe` is how a container would reach it (CVE-2019-5736).
async fn the_supervisors_own_program_can_not_be_written() {
    let bench = Bench::new().await;
    let handle = bench.launch(bench.job(&["sleep 60s"])).await;
    let program = format!("/proc/{}/exe", bench.process(&handle, "supervisor"));
    // What is executed can't be written anyway. Its mount is what a container can't get around.
    let link = fs::read_link(&program).unwrap();
    assert_eq!(link, bench.state.path().join("embedded/program"));
    let error = fs::File::options().append(true).open(program).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::ReadOnlyFilesystem | ErrorKind::ExecutableFileBusy), "{error}");
    let table = fs::read_to_string(format!("/proc/{}/mountinfo", bench.process(&handle, "supervisor"))).unwrap();
    let mounted = table.lines().find(|line| line.split(' ').nth(4) == link.to_str()).unwrap();
    assert!(mounted.split(' ').nth(5).unwrap().split(',').any(|option| option == "ro"), "{mounted}");
    bench.end(&handle).await;
}

async fn a_container_has_no_file_of_its_supervisor() {
    let bench = Bench::new().await;
    let handle = bench.launch(bench.job(&["print begun", "sleep 60s"])).await;
    let init = bench.process(&handle, "init");
    let entries = fs::read_dir(format!("/proc/{init}/fd")).unwrap();
    let mut open: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    open.sort();
    // The probe itself opens two for the signals that it waits for.
    let of_the_probe = ["anon_inode:[signalfd]", "anon_inode:[eventpoll]", "socket:", "pipe:"];
    let foreign = |number: &&String| {
        let target = fs::read_link(format!("/proc/{init}/fd/{number}")).unwrap_or_default();
        !of_the_probe.iter().any(|known| target.to_string_lossy().starts_with(known))
            && !target.starts_with("/dev/null")
    };
    let foreign: Vec<&String> = open.iter().filter(foreign).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    let environment = fs::read(format!("/proc/{init}/environ")).unwrap();
    let names = environment.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut names: Vec<String> = names.filter_map(|text| Some(text.split_once('=')?.0.to_owned())).collect();
    names.sort();
    assert_eq!(names, ["HOME", "HOSTNAME", "PATH"]);
    bench.end(&handle).await;
}

async fn nothing_is_mounted_where_the_host_sees_it() {
    let bench = Bench::new().await;
    let handle = bench.launch(bench.job(&["sleep 60s"])).await;
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let ours = bench.state.path().to_str().unwrap();
    assert_eq!(table.lines().filter(|line| line.contains(ours)).count(), 0, "{table}");
    bench.end(&handle).await;
}

/// Root of the container is root of the machine to a file: what it may give away must not be the host's.
async fn device_files_are_the_containers_own() {
    let bench = Bench::new().await;
    let handle = bench.launch(bench.job(&["sleep 60s"])).await;
    let init = bench.process(&handle, "init");
    for device in ["null", "zero", "full", "random", "urandom", "tty"] {
        let there = fs::metadata(format!("/proc/{init}/root/dev/{device}")).unwrap();
        let here = fs::metadata(Path::new("/dev").join(device)).unwrap();
        assert_eq!(there.rdev(), here.rdev(), "{device}");
        assert_ne!((there.dev(), there.ino()), (here.dev(), here.ino()), "{device} is the host's");
    }
    bench.end(&handle).await;
}

async fn the_hosts_control_groups_are_not_there_with_its_network() {
    let bench = Bench::new().await;
    let mut job = bench.job(&["sleep 60s"]);
    job.network = Some(longshore_core::Network::Host);
    let handle = bench.launch(job).await;
    let init = bench.process(&handle, "init");
    let groups = fs::read_dir(format!("/proc/{init}/root/sys/fs/cgroup")).unwrap();
    assert_eq!(groups.count(), 0);
    bench.end(&handle).await;
    let mut job = bench.job(&["write /sys/kernel/mm/ksm/run 1"]);
    job.network = Some(longshore_core::Network::Host);
    assert_ne!(bench.run(job).await.unwrap().0, Some(0), "/sys is written from inside");
}

async fn what_is_mounted_below_a_folder_is_as_read_only_as_the_folder() {
    let bench = Bench::new().await;
    let below = bench.allowed.path().join("folder/below");
    fs::create_dir_all(&below).unwrap();
    mount("tmpfs", &below, "tmpfs", MountFlags::empty(), c"").unwrap();
    mount_change(&below, rustix::mount::MountPropagationFlags::PRIVATE).unwrap();
    let source = MountSource::Bind(bench.allowed.path().join("folder").to_str().unwrap().to_owned());
    let mut job = bench.job(&["write /folder/below/x text"]);
    job.mounts.push(Mount::new(source, "/folder").read_only());
    let ran = bench.run(job).await;
    let written = below.join("x").exists();
    unmount(&below, UnmountFlags::DETACH).unwrap();
    assert!(!written && ran.unwrap().0 != Some(0));
}
