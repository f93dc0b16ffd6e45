//! The kit itself is tried: an executor that breaks a promise fails the case that is about it, and passes it
//! otherwise.

#![expect(clippy::panic, reason = "a test fails by panicking")]

mod flawed;
mod harness;

use async_trait::async_trait;
use flawed::{Flaw, Flawed};
use harness::MockHarness;
use longshore_core::{Clock, ContainerExecutor, ExecutionHandle, ImageFormat, JobTemplate, LaunchToken, Result};
use longshore_mock::MockConfig;
use longshore_testkit::kit::{self, Harness, Loss, Outside, SetupError, Verdict};
use std::sync::Arc;

/// The mock's harness, with every executor flawed.
struct FlawedHarness {
    inner: MockHarness,
    flaw: Flaw,
}

impl FlawedHarness {
    async fn start(flaw: Flaw) -> Result<Self, SetupError> {
        Ok(Self { inner: MockHarness::start(MockConfig::default()).await?, flaw })
    }

    fn flawed(&self, executor: Arc<dyn ContainerExecutor>) -> Arc<dyn ContainerExecutor> {
        Arc::new(Flawed::new(executor, self.flaw))
    }
}

#[async_trait]
impl Harness for FlawedHarness {
    async fn executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        Ok(self.flawed(self.inner.executor().await?))
    }

    async fn unreachable_executor(&self) -> Result<Arc<dyn ContainerExecutor>> {
        Ok(self.flawed(self.inner.unreachable_executor().await?))
    }

    async fn lossy_executor(&self, loss: Loss) -> Result<Arc<dyn ContainerExecutor>> {
        Ok(self.flawed(self.inner.lossy_executor(loss).await?))
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.inner.clock()
    }

    fn probe(&self) -> JobTemplate {
        self.inner.probe()
    }

    fn missing_image(&self) -> JobTemplate {
        self.inner.missing_image()
    }

    fn missing_program(&self) -> JobTemplate {
        self.inner.missing_program()
    }

    fn unexecutable_program(&self) -> JobTemplate {
        self.inner.unexecutable_program()
    }

    fn probe_from(&self, format: ImageFormat) -> Option<JobTemplate> {
        self.inner.probe_from(format).filter(|_| self.flaw != Flaw::DeclaresWhatItCanNotProve)
    }

    async fn kill_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        self.inner.kill_outside(handle).await
    }

    async fn remove_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        self.inner.remove_outside(handle).await
    }

    fn older_handles(&self, handle: &ExecutionHandle) -> Vec<ExecutionHandle> {
        self.inner.older_handles(handle)
    }

    async fn starts(&self, token: &LaunchToken) -> Result<Option<u32>> {
        self.inner.starts(token).await
    }
}

fn verdict(case: &str, flaw: Flaw) -> Verdict {
    kit::run_case(case, || FlawedHarness::start(flaw)).unwrap_or_else(|| panic!("there is no case {case}"))
}

/// The flaw fails the case, the case passes without it, and the failure says what it is about.
#[track_caller]
fn catches(flaw: Flaw, case: &str, words: &str) {
    assert_eq!(verdict(case, Flaw::None), Verdict::Passed, "{case} without a flaw");
    match verdict(case, flaw) {
        Verdict::Failed(message) => assert!(message.contains(words), "{case} fails for another reason: {message}"),
        other => panic!("{case} does not catch {flaw:?}: {other:?}"),
    }
}

macro_rules! catches {
    ($($name:ident: $flaw:ident in $case:literal says $words:literal;)+) => {
        $(#[test]
        fn $name() {
            catches(Flaw::$flaw, $case, $words);
        })+

        /// A flaw that no test names would prove nothing.
        #[test]
        fn every_case_that_is_named_exists() {
            let cases: Vec<&str> = kit::cases().collect();
            for case in [$($case),+] {
                assert!(cases.contains(&case), "{case}");
            }
        }
    };
}

catches! {
    blind: PlansBlindly in "life_cycle::nothing_is_planned_before_discovery" says "before the first discovery";
    whim: PlansOnAWhim in "life_cycle::a_plan_is_pure_and_answers_every_demand" says "the second plan";
    dropped: DropsDemands in "life_cycle::a_plan_is_pure_and_answers_every_demand" says "what became of";
    dropped_by_name: DropsDemands in "demands::what_is_declared_is_granted_or_refused_by_name" says "what became of";
    options: IgnoresOptions in "refusals::an_unknown_option_of_its_own_is_refused" says "does not know";
    split: SplitsArguments in "mapping::arguments_are_never_split" says "told to print";
    variables: ForgetsVariables in "mapping::environment" says "the variables";
    twins: LaunchesTwins in "launching::a_token_launched_again_is_the_same_execution" says "nobody asked for";
    again: RunsAgain in "launching::a_finished_execution_is_not_run_again" says "the second launch";
    deadline: IgnoresTheDeadline in "launching::a_request_past_its_deadline_is_refused_unsent" says "past its deadline";
    foreign_token: AdoptsFromOthers in "launching::the_token_of_another_owner_is_refused" says "somebody else has used";
    denied: DeniesItsLaunches in "launching::what_was_launched_is_found" says "what was launched is found";
    denied_after_a_loss: DeniesItsLaunches in "ambiguity::an_answer_lost_after_the_effect_is_found" says "what was launched is found";
    wrong_advice: CallsLostLaunchesFailed in "ambiguity::an_answer_lost_after_the_effect_is_found" says "the advice";
    failed_starts: LeavesFailedStarts in "starting::an_image_that_does_not_exist" says "nothing is left behind";
    silence: TakesSilenceForAbsence in "contact::an_unreachable_provider_knows_nothing" says "the status";
    own_only: KnowsOnlyItsOwn in "adoption::a_running_execution_goes_on_under_another_program" says "not found";
    own_only_in_lists: KnowsOnlyItsOwn in "adoption::two_programs_see_the_same" says "listed for any of its programs";
    back: GoesBack in "life_cycle::statuses_only_go_forward" says "the status after the end";
    errors: FailsWithItsJobs in "exits::one_is_a_status_and_no_error" says "the container failed";
    guessed: GuessesAtMemory in "exits::a_137_of_its_own_is_an_exit" says "found:    OutOfMemory";
    own_signals: TakesEverySignalForItsOwn in "contact::a_kill_from_outside_is_no_cancellation" says "found:    Cancelled";
    own_exits: TakesEveryExitForASignal in "exits::a_137_of_its_own_is_an_exit" says "found:    Signalled";
    last_line: DropsTheLastLine in "output::a_last_line_without_newline_survives" says "stdout: differs from byte 6";
    line_breaks: StripsLineBreaks in "output::line_breaks_and_blanks_are_kept" says "stdout: differs from byte 0";
    streams: MixesTheStreams in "output::stdout_and_stderr_are_kept_apart" says "stdout: differs";
    replaced: ReplacesBytes in "output::binary_output_is_kept_byte_for_byte" says "the binary output: differs";
    silent_cut: CutsOffInSilence in "volume::a_log_beyond_its_cap_is_cut_off_there" says "Truncated";
    doubled: ForgetsItsCursors in "reading::a_cursor_may_be_used_again" says "the beginning and the rest";
    any_cursor: TakesAnyCursor in "reading::a_cursor_that_nobody_gave_is_refused" says "the cursor";
    long_pages: IgnoresThePageSize in "reading::page_by_page_by_many_programs" says "about where asked";
    endless_logs: NeverEndsItsLogs in "output::an_empty_log_is_complete" says "the log goes on or ends";
    on_paper: StopsOnPaper in "stopping::grace_lets_the_program_end_by_itself" says "the exit code";
    one_by_one: StopsOneByOne in "stopping::a_second_stop_with_less_grace_cuts_the_first_short" says "less grace counts";
    hasty: GivesNoGrace in "stopping::grace_lets_the_program_end_by_itself" says "the exit code";
    hastier: GivesNoGrace in "stopping::what_ignores_the_signal_is_killed_after_the_grace" says "given in full";
    rewritten: RewritesTheEnd in "stopping::a_finished_execution_keeps_its_own_end" says "what the stop returns";
    early: HarvestsTooEarly in "settling::harvest_before_the_end_is_refused" says "before the end";
    violent: CleansUpWhatRuns in "settling::cleanup_of_a_running_execution_is_refused_and_harmless" says "still runs";
    leaks: NeverCleansUp in "settling::after_cleanup_there_is_nothing" says "the status";
    leaks_anywhere: NeverCleansUp in "exits::zero_completes" says "still listed after its cleanup";
    second_cleanup: RefusesTheSecondCleanup in "settling::cleanup_twice_is_fine" says "nothing to clean up";
    foreign_handle: TakesForeignHandles in "handles::of_another_host" says "refused as [Invalid]";
    newer_handle: TakesNewerHandles in "handles::of_a_newer_version" says "refused as [Invalid]";
    older_handle: ForgetsOlderHandles in "handles::of_every_older_version" says "too old";
    shuffled: ShufflesTheBatch in "batches::two_hundred_handles_are_answered_in_order" says "in its place";
    spoilt: FailsTheWholeBatch in "batches::a_bad_handle_spoils_only_its_own_answer" says "in its place";
    shown: ShowsOthersThings in "owners::an_owner_sees_only_its_own" says "what the owner has";
    deaf: EndsItsEvents in "events::an_end_is_told_or_admitted_to_be_missed" says "never ends by itself";
    late_lists: ListsEndsLate in "events::an_end_is_told_or_admitted_to_be_missed" says "no news of a change";
    written_down: WritesSecretsDown in "secrets::a_file_reaches_the_job_and_nobody_else" says "the stored handle";
    traced: TracesSecrets in "secrets::a_variable_reaches_the_job_and_nobody_else" says "the traces";
    unproven: DeclaresWhatItCanNotProve in "images::from_a_docker_archive" says "has no image to prove it";
    lost_images: LosesLocalImages in "images::from_an_oci_archive" says "there is no such image";
    lost_layouts: LosesLocalImages in "images::from_an_oci_layout" says "there is no such image";
    lost_folders: LosesLocalImages in "images::from_a_root_folder" says "there is no such image";
    any_folder: FindsAnyImage in "images::outside_of_the_allowed_folders_are_refused_by_the_plan" says "not allowed it";
    any_file: FindsAnyImage in "images::that_are_not_there_are_told_as_that" says "which is not there";
    left_files: ReadsWhatOthersWrote in "images::are_not_changed_by_what_runs_in_them" says "an earlier one wrote";
    endless_memory: GrantsLimitsOnPaper in "exits::want_of_memory" says "the job's status";
    endless_processes: GrantsLimitsOnPaper in "mapping::limit_on_processes" says "more processes than it may";
    endless_cpu: GrantsLimitsOnPaper in "mapping::limit_on_cpu" says "of CPU";
    silent_memory: DropsLimitsInSilence in "exits::want_of_memory" says "why it is dropped";
    silent_processes: DropsLimitsInSilence in "mapping::limit_on_processes" says "why it is dropped";
    silent_cpu: DropsLimitsInSilence in "mapping::limit_on_cpu" says "why it is dropped";
    silent_anywhere: DropsLimitsInSilence in "demands::what_is_declared_is_granted_or_refused_by_name" says "why it is dropped";
    secret_limits: SendsLimitsThatItDrops in "mapping::limit_on_processes" says "whether the plan sends a limit";
    hanging: Hangs in "exits::zero_completes" says "did not end within";
    panicking: Panics in "exits::zero_completes" says "no harvest today";
}

#[test]
fn a_place_that_is_not_there_is_no_failure() {
    let nowhere = || async { Err::<MockHarness, _>(SetupError::unavailable("no engine answers; start one")) };
    let verdict = kit::run_case("exits::zero_completes", nowhere);
    assert_eq!(verdict, Some(Verdict::Unavailable("no engine answers; start one".to_owned())));
    let broken = || async { Err::<MockHarness, _>(SetupError::broken("its image can't be made")) };
    assert!(
        matches!(kit::run_case("exits::zero_completes", broken), Some(Verdict::Failed(why)) if why.contains("image"))
    );
    assert_eq!(kit::run_case("exits::of_nobody", || MockHarness::start(MockConfig::default())), None);
}
