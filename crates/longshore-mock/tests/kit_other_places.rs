//! The kit against mocks that can do less, or launch otherwise: what a place can't do is refused or admitted, and
//! every case passes all the same.

mod harness;

use harness::MockHarness;
use longshore_core::{ByteSize, Capability, Cpu, LaunchIdempotency};
use longshore_mock::{Behaviour, EventFaults, MockConfig};
use longshore_testkit::kit::{self, Verdict};
use std::{num::NonZeroU32, time::Duration};

/// Every case passes in a place with the given settings.
#[track_caller]
fn passes(config: &MockConfig) {
    let fails = |case: &'static str| match kit::run_case(case, || MockHarness::start(config.clone())) {
        Some(Verdict::Passed) => None,
        other => Some(format!("{case}: {other:?}")),
    };
    let failures: Vec<String> = kit::cases().filter_map(fails).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn without(capabilities: impl IntoIterator<Item = Capability>) -> MockConfig {
    MockConfig::builder().without(capabilities).build()
}

#[test]
fn a_place_that_launches_by_token() {
    let window = Duration::from_secs(24 * 3600);
    passes(&MockConfig::builder().launch(LaunchIdempotency::ByToken { window }).build());
}

#[test]
fn a_place_that_launches_as_best_it_can() {
    passes(&MockConfig::builder().launch(LaunchIdempotency::BestEffort).build());
}

#[test]
fn a_place_that_can_prove_nothing() {
    let jobs = Behaviour::builder().unprovable(true).build();
    passes(&MockConfig::builder().launch(LaunchIdempotency::BestEffort).jobs(jobs).build());
}

#[test]
fn a_place_where_nothing_can_be_stopped() {
    passes(&without([Capability::Stop, Capability::StopGrace, Capability::StopSignal]));
}

#[test]
fn a_place_that_gives_no_grace() {
    passes(&without([Capability::StopGrace]));
}

#[test]
fn a_place_with_poor_logs() {
    passes(&without([Capability::BinaryLogs, Capability::SeparateStreams, Capability::LogTimestamps]));
}

#[test]
fn a_place_that_knows_little_of_ends() {
    passes(&without([Capability::SignalEvidence, Capability::OutOfMemoryEvidence]));
}

#[test]
fn a_place_without_lists_and_events() {
    passes(&without([Capability::ListOwned, Capability::Events]));
}

/// All that a place can do without: it runs images with commands.
#[test]
fn a_place_that_can_do_next_to_nothing() {
    use Capability::*;
    passes(&without([
        DockerArchives,
        OciArchives,
        OciLayouts,
        RootFolders,
        PullAlways,
        PullNever,
        RegistryCredentials,
        Platform,
        Entrypoint,
        Environment,
        SecretFiles,
        SecretVariables,
        WorkingDirectory,
        User,
        NetworkNone,
        NetworkPrivate,
        NetworkHost,
        NetworkNamed,
        NetworkAliases,
        BindMounts,
        Volumes,
        Tmpfs,
        Labels,
        MemoryLimit,
        CpuLimit,
        Gpu,
        EphemeralStorage,
        PidsLimit,
        StopSignal,
        StopGrace,
        HardenedProfile,
        PlatformProfile,
        Stop,
        SignalEvidence,
        OutOfMemoryEvidence,
        SeparateStreams,
        LogTimestamps,
        BinaryLogs,
        Events,
        ListOwned,
    ]));
}

/// As a rootless place without a cgroup of its own.
#[test]
fn a_place_that_can_hold_nobody_to_limits() {
    passes(&MockConfig::builder().limits(false).build());
}

#[test]
fn a_slow_place() {
    let jobs = Behaviour::builder()
        .prepare(Duration::from_secs(2))
        .launch(Duration::from_millis(700))
        .pending(Duration::from_millis(1_500))
        .late_logs(Duration::from_millis(900))
        .build();
    passes(&MockConfig::builder().jobs(jobs).latency(Duration::from_millis(40)).build());
}

#[test]
fn a_place_with_doubtful_events() {
    for events in [
        EventFaults::builder().twice(true).build(),
        EventFaults::builder().late(Duration::from_secs(3)).build(),
        EventFaults::builder().gap_every(NonZeroU32::MIN).build(),
    ] {
        passes(&MockConfig::builder().events(events).build());
    }
}

#[test]
fn a_place_that_grants_in_steps() {
    let config = MockConfig::builder().memory_step(ByteSize::from_mib(512));
    passes(&config.maybe_cpu_step(Cpu::from_millis(1_000)).build());
}
