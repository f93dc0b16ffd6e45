//! Bugs on purpose. The simulation runs with each of them and must notice; nothing else is ever built with them.

/// A bug that somebody might write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Bug {
    /// An adopted attempt is launched without looking whether it was launched before.
    LaunchesWithoutLooking,
    /// A launch that can't be proven either way is launched again as another attempt.
    RunsTheUnprovableAgain,
    /// An execution that is not found counts as failed, and is run again.
    RunsTheLostAgain,
    /// A provider that can't be reached counts as the end.
    TakesSilenceForTheEnd,
    /// The container is removed before its log is kept.
    CleansUpBeforeTheLog,
    /// The container is removed although a former holder may still launch.
    CleansUpTooEarly,
    /// What the attempt left behind is never removed.
    ForgetsToCleanUp,
    /// The deadline of a request is put off when it is launched.
    IgnoresTheDeadline,
    /// A stop that failed counts as done.
    BelievesItsStop,
    /// What ended by itself while it was being cancelled counts as cancelled.
    CallsItCancelled,
    /// A job is run again while a former attempt may still begin.
    RetriesTooEarly,
    /// The outcome is stored before the execution has ended.
    SettlesWhenStopped,
    /// The estimate stays charged beside the actual cost.
    ChargesTwice,
    /// Attempts that were refused are not closed.
    KeepsTheRefused,
    /// What was claimed when the answer was lost is forgotten.
    ForgetsWhatItClaimed,
    /// Attempts of the dead are never adopted.
    AdoptsNothing,
    /// A cancellation that comes during the launch is forgotten.
    ForgetsTheCancelledLaunch,
    /// A refused launch ends the job, though it may pass.
    GivesUpAtTheFirstRefusal,
    /// Places are counted when claims begin, and not as they are taken.
    OverbooksHosts,
    /// Others are fenced off as soon as they miss one sign of life.
    FencesTheLiving,
    /// A second run counts as the first by the retry policy.
    MiscountsRuns,
    /// After a wait nobody looks again whether it was launched.
    BelievesItsFirstLook,
    /// A launch that was not answered can't take effect later.
    TrustsSilence,
    /// What the store told late is taken for what is so now.
    ActsOnOldAnswers,
    /// Nothing is ever stopped for taking too long.
    ForgetsLimits,
    /// What events don't tell is never asked about.
    BelievesEvents,
    /// Stored times are compared with the machine's own clock.
    BelievesItsOwnClock,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 27] = [
        Self::LaunchesWithoutLooking,
        Self::RunsTheUnprovableAgain,
        Self::RunsTheLostAgain,
        Self::TakesSilenceForTheEnd,
        Self::CleansUpBeforeTheLog,
        Self::CleansUpTooEarly,
        Self::ForgetsToCleanUp,
        Self::IgnoresTheDeadline,
        Self::BelievesItsStop,
        Self::CallsItCancelled,
        Self::RetriesTooEarly,
        Self::SettlesWhenStopped,
        Self::ChargesTwice,
        Self::KeepsTheRefused,
        Self::ForgetsWhatItClaimed,
        Self::AdoptsNothing,
        Self::ForgetsTheCancelledLaunch,
        Self::GivesUpAtTheFirstRefusal,
        Self::OverbooksHosts,
        Self::FencesTheLiving,
        Self::MiscountsRuns,
        Self::BelievesItsFirstLook,
        Self::TrustsSilence,
        Self::ActsOnOldAnswers,
        Self::ForgetsLimits,
        Self::BelievesEvents,
        Self::BelievesItsOwnClock,
    ];
}
