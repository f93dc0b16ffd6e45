//! What may happen to a SQLite file and to those who use it: damage, full disks, power cuts, killed processes, neighbours.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod child;
#[path = "../stores/desk.rs"]
#[expect(dead_code, reason = "shared with the suite, which uses more of it")]
mod desk;
mod full;
mod killed;
mod locked;
mod opening;
mod power;
mod sharing;
#[path = "../stores/support.rs"]
#[expect(dead_code, reason = "shared with the suite, which uses more of it")]
mod support;

use longshore_testkit::{
    suite::{self, Group, Test},
    tests,
};
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(child::CHILD) {
        return child::main(arguments);
    }
    use {full::*, killed::*, locked::*, opening::*, power::*, sharing::*};
    const ANYWHERE: &[Test] = &tests![
        it_is_made_at_first_use_for_its_owner_alone,
        many_open_a_new_file_at_once,
        what_is_not_a_database_is_left_alone,
        a_database_of_another_program_is_left_alone,
        a_damaged_file_is_told_of_at_the_latest_by_the_check,
        a_contradiction_is_found_by_the_check,
        a_database_that_needs_a_newer_version_is_refused,
        what_a_newer_version_has_added_does_no_harm,
        what_a_newer_version_keeps_of_attempts_hinders_nobody,
        jobs_of_a_newer_version_hide_none_in_the_queue,
        a_path_where_no_file_can_be_is_refused,
        a_locked_file_is_waited_for_and_then_told_of,
        a_lock_that_ends_in_time_goes_unnoticed,
        a_long_reader_keeps_nobody_from_writing,
        a_power_cut_leaves_a_prefix_with_all_that_was_acknowledged,
        killed_at_any_moment_nothing_acknowledged_is_lost,
        a_killed_process_is_known_to_be_dead,
        two_processes_claim_each_job_once,
        a_change_by_one_process_wakes_the_other,
    ];
    const AS_ROOT: &[Test] = &tests![a_full_disk_loses_nothing_and_heals, what_may_not_be_written_is_told_of];
    const GROUPS: &[Group] =
        &[("anywhere", || Box::pin(async { Ok(()) }), ANYWHERE), ("as_root", || Box::pin(full::needs_root()), AS_ROOT)];
    suite::main(GROUPS)
}
