//! An executor that breaks one promise, and is otherwise consistent about it.

mod executor;
mod lies;

use longshore_core::{ContainerExecutor, LaunchToken, Termination};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

/// A promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// None: what the wrapper itself does must not matter.
    None,
    /// A plan is made before anything is discovered.
    PlansBlindly,
    /// The same job is planned otherwise each time.
    PlansOnAWhim,
    /// A demand is dropped without a word.
    DropsDemands,
    /// Options that it does not know are ignored.
    IgnoresOptions,
    /// An image's form is declared, and there is no image to prove it.
    DeclaresWhatItCanNotProve,
    /// Images in files and folders are never found.
    LosesLocalImages,
    /// Images in files and folders are run wherever they lie, and also where none lies.
    FindsAnyImage,
    /// What an earlier job wrote into its image is there.
    ReadsWhatOthersWrote,
    /// Limits are granted, and nobody is held to them.
    GrantsLimitsOnPaper,
    /// Limits are dropped, and nobody says why.
    DropsLimitsInSilence,
    /// Limits are said to be dropped, and sent.
    SendsLimitsThatItDrops,
    /// Arguments are split at blanks, as a shell would.
    SplitsArguments,
    /// Variables do not reach the program.
    ForgetsVariables,
    /// Every launch makes two executions.
    LaunchesTwins,
    /// What has finished is run again when its token is launched again.
    RunsAgain,
    /// A launch is sent whatever the deadline.
    IgnoresTheDeadline,
    /// What another owner has launched is adopted.
    AdoptsFromOthers,
    /// What was launched is denied.
    DeniesItsLaunches,
    /// What could not start is still listed.
    LeavesFailedStarts,
    /// A launch whose answer was lost is said to have failed for good.
    CallsLostLaunchesFailed,
    /// A launch hangs for ever.
    Hangs,
    /// An unreachable provider is taken for one that has nothing.
    TakesSilenceForAbsence,
    /// What another program has launched is not known.
    KnowsOnlyItsOwn,
    /// What ran is said to run again.
    GoesBack,
    /// A non-zero exit is an error.
    FailsWithItsJobs,
    /// Whatever ends with 137 is taken for want of memory.
    GuessesAtMemory,
    /// A death by any signal is taken for a stop of ours.
    TakesEverySignalForItsOwn,
    /// A program's own 137 is told as a death by signal.
    TakesEveryExitForASignal,
    /// The last record of a log is dropped.
    DropsTheLastLine,
    /// Line breaks are stripped.
    StripsLineBreaks,
    /// stderr is told to be stdout.
    MixesTheStreams,
    /// What is not UTF-8 is replaced.
    ReplacesBytes,
    /// A log that was cut off is called complete.
    CutsOffInSilence,
    /// A log is read from the beginning, wherever its cursor stands.
    ForgetsItsCursors,
    /// A cursor that is not its own is taken for the beginning.
    TakesAnyCursor,
    /// Pages are as long as they come.
    IgnoresThePageSize,
    /// A log is said to go on for ever.
    NeverEndsItsLogs,
    /// A stop returns before the end.
    StopsOnPaper,
    /// A stop waits for the one before.
    StopsOneByOne,
    /// The grace is not given.
    GivesNoGrace,
    /// What is finished is called cancelled when it is stopped.
    RewritesTheEnd,
    /// A harvest is given before the end.
    HarvestsTooEarly,
    /// A harvest panics.
    Panics,
    /// What runs is stopped and removed.
    CleansUpWhatRuns,
    /// Nothing is ever removed.
    NeverCleansUp,
    /// What is gone already can't be cleaned up.
    RefusesTheSecondCleanup,
    /// Handles of other hosts are taken.
    TakesForeignHandles,
    /// Handles of a version that it can't know are taken.
    TakesNewerHandles,
    /// Handles of older versions are not read.
    ForgetsOlderHandles,
    /// A batch is answered in another order.
    ShufflesTheBatch,
    /// A batch shows an end later than an event tells of it.
    ListsEndsLate,
    /// One bad handle spoils the answers about all.
    FailsTheWholeBatch,
    /// An owner is shown what others have.
    ShowsOthersThings,
    /// Events end, and tell nothing.
    EndsItsEvents,
    /// Secrets are written into the handle.
    WritesSecretsDown,
    /// Secrets are traced.
    TracesSecrets,
}

/// Another executor with a flaw.
#[derive(Debug)]
pub(crate) struct Flawed {
    inner: Arc<dyn ContainerExecutor>,
    flaw: Flaw,
    /// How often it was asked for a plan.
    plans: Mutex<u32>,
    /// What it has launched.
    launched: Mutex<BTreeSet<LaunchToken>>,
    /// The first end that was told of each execution.
    ends: Mutex<Vec<(LaunchToken, Termination)>>,
    /// Held by the stop that is under way.
    stopping: tokio::sync::Mutex<()>,
}

impl Flawed {
    pub(crate) fn new(inner: Arc<dyn ContainerExecutor>, flaw: Flaw) -> Self {
        Self {
            inner,
            flaw,
            plans: Mutex::default(),
            launched: Mutex::default(),
            ends: Mutex::default(),
            stopping: tokio::sync::Mutex::default(),
        }
    }

    fn is(&self, flaw: Flaw) -> bool {
        self.flaw == flaw
    }
}

fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
