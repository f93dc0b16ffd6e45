//! The kit itself is tried: an executor that breaks a promise fails the case that is about it, and passes it
//! otherwise.

mod flawed;
mod harness;

use async_trait::async_trait;
use flawed::{Flaw, Flawed};
use harness::MockHarness;
use longshore_core::{Clock, ContainerExecutor, ExecutionHandle, JobTemplate, LaunchToken, Result};
use longshore_testkit::kit::{self, Harness, Loss, Outside, SetupError, Verdict};
use std::sync::Arc;

/// The mock's harness, with every executor flawed.
struct FlawedHarness {
    inner: MockHarness,
    flaw: Flaw,
}

impl FlawedHarness {
    async fn start(flaw: Flaw) -> Result<Self, SetupError> {
        Ok(Self { inner: MockHarness::start().await?, flaw })
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

    async fn kill_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        self.inner.kill_outside(handle).await
    }

    async fn remove_outside(&self, handle: &ExecutionHandle) -> Result<Outside> {
        self.inner.remove_outside(handle).await
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
    twins: LaunchesTwins in "launching::a_token_launched_again_is_the_same_execution" says "nobody asked for";
    deadline: IgnoresTheDeadline in "launching::a_request_past_its_deadline_is_refused_unsent" says "past its deadline";
    foreign_token: AdoptsFromOthers in "launching::the_token_of_another_owner_is_refused" says "somebody else has used";
    denied: DeniesItsLaunches in "ambiguity::an_answer_lost_after_the_effect_is_found" says "what was launched is found";
    denied_in_a_run: DeniesItsLaunches in "launching::what_was_launched_is_found" says "what was launched is found";
    silence: TakesSilenceForAbsence in "contact::an_unreachable_provider_knows_nothing" says "the status";
    last_line: DropsTheLastLine in "output::a_last_line_without_newline_survives" says "log";
    doubled: ForgetsItsCursors in "reading::a_cursor_may_be_used_again" says "the beginning and the rest";
    any_cursor: TakesAnyCursor in "reading::a_cursor_that_nobody_gave_is_refused" says "the cursor";
    line_breaks: StripsLineBreaks in "output::line_breaks_and_blanks_are_kept" says "log";
    streams: MixesTheStreams in "output::stdout_and_stderr_are_kept_apart" says "log";
    silent_cut: CutsOffInSilence in "volume::a_log_beyond_its_cap_is_cut_off_there" says "log";
    replaced: ReplacesBytes in "output::binary_output_is_kept_byte_for_byte" says "log";
    guessed: GuessesAtMemory in "exits::a_137_of_its_own_is_an_exit" says "OutOfMemory";
    own_signals: TakesEverySignalForItsOwn in "contact::a_kill_from_outside_is_no_cancellation" says "Cancelled";
    errors: FailsWithItsJobs in "exits::one_is_a_status_and_no_error" says "the container failed";
    early: HarvestsTooEarly in "settling::harvest_before_the_end_is_refused" says "before the end";
    violent: CleansUpWhatRuns in "settling::cleanup_of_a_running_execution_is_refused_and_harmless" says "still runs";
    leaks: NeverCleansUp in "settling::after_cleanup_there_is_nothing" says "still listed after its cleanup";
    leaks_anywhere: NeverCleansUp in "exits::zero_completes" says "still listed after its cleanup";
    rewritten: RewritesTheEnd in "stopping::a_finished_execution_keeps_its_own_end" says "what the stop returns";
    hasty: GivesNoGrace in "stopping::grace_lets_the_program_end_by_itself" says "the exit code";
    hastier: GivesNoGrace in "stopping::what_ignores_the_signal_is_killed_after_the_grace" says "given in full";
    foreign_handle: TakesForeignHandles in "handles::of_another_host" says "refused as [Invalid]";
    newer_handle: TakesNewerHandles in "handles::of_a_newer_version" says "refused as [Invalid]";
    shuffled: ShufflesTheBatch in "batches::two_hundred_handles_are_answered_in_order" says "in its place";
    shown: ShowsOthersThings in "owners::an_owner_sees_only_its_own" says "what the owner has";
    deaf: EndsItsEvents in "events::an_end_is_told_or_admitted_to_be_missed" says "never ends by itself";
    written_down: WritesSecretsDown in "secrets::a_file_reaches_the_job_and_nobody_else" says "the stored handle";
    options: IgnoresOptions in "refusals::an_unknown_option_of_its_own_is_refused" says "does not know";
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
    assert_eq!(kit::run_case("exits::of_nobody", MockHarness::start), None);
}
