//! What is wrong on purpose: bugs of the dispatcher, and of a store.

/// Something that somebody might get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Planted {
    /// In the dispatcher.
    #[cfg(feature = "planted")]
    Bug(longshore_dispatcher::planted::Bug),
    /// In the store.
    Flaw(Flaw),
}

/// What a store might get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Whoever was fenced off can still write.
    NoFencing,
    /// A session is fenced off although its pulse has moved.
    EpochIgnored,
    /// A claim also gives what another has claimed.
    DoubleClaim,
    /// What is in use is read before the claiming transaction begins.
    StaleUse,
    /// Nobody is told that a job was submitted.
    LostWakeUp,
    /// What is written is answered before it is durable, and is forgotten at times.
    ForgetsWrites,
    /// An idempotency key is not kept.
    ForgetsKeys,
    /// Whoever adopts what was launching is not told that it was another's.
    NoQuiet,
}

impl Flaw {
    #[cfg(feature = "planted")]
    pub(crate) const ALL: [Self; 8] = [
        Self::NoFencing,
        Self::EpochIgnored,
        Self::DoubleClaim,
        Self::StaleUse,
        Self::LostWakeUp,
        Self::ForgetsWrites,
        Self::ForgetsKeys,
        Self::NoQuiet,
    ];
}
