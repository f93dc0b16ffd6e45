//! Which engine answers, so that none ever answers for another that stands under the same host's name.

use bollard::models::SystemInfo;
use longshore_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use std::{
    fmt,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::client::Engine;

/// How many characters of an id people are shown.
const SHOWN: usize = 14;

/// What an engine calls itself, for as long as it keeps its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct EngineId(String);

impl EngineId {
    pub(crate) const fn new(id: String) -> Self {
        Self(id)
    }

    /// What the engine tells of itself. Podman makes an id up for each answer.
    pub(crate) fn of(info: &SystemInfo, is_podman: bool) -> Option<Self> {
        info.id.clone().filter(|id| !is_podman && !id.is_empty()).map(Self)
    }

    fn short(&self) -> &str {
        self.0.get(..SHOWN).unwrap_or(&self.0).trim_end_matches([':', '-'])
    }
}

impl fmt::Display for EngineId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Refuses what belongs to another engine than the one that answers.
///
/// # Errors
/// `Unavailable`: of what another engine has, this one knows nothing.
pub(crate) fn compare(theirs: &EngineId, now: Option<&EngineId>, address: &dyn fmt::Display) -> Result<()> {
    if Some(theirs) == now {
        return Ok(());
    }
    let answering = now.map_or("one that tells no id", EngineId::short);
    let message = format!(
        "this belongs to the engine {}, and at {address} answers {answering}, which knows nothing of it; a host's name must \
         mean the same engine for everybody who shares the database: give each machine's own engine a host with a name of \
         its own, or settle the job by `longshore jobs settle --lost` where that engine is gone",
        theirs.short()
    );
    Err(Error::new(ErrorKind::Unavailable, message))
}

/// Who has told its id last.
#[derive(Debug, Default)]
pub(crate) struct LastSeen(Mutex<Option<Seen>>);

#[derive(Debug, Clone)]
struct Seen {
    id: Option<EngineId>,
    /// How often contact had been lost when it was asked.
    losses: u64,
}

impl LastSeen {
    pub(crate) fn note(&self, id: Option<EngineId>, losses: u64) {
        *self.lock() = Some(Seen { id, losses });
    }

    fn lock(&self) -> MutexGuard<'_, Option<Seen>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was this one; with `losses`, only if no other can have come in its place since.
    fn is(&self, id: &EngineId, losses: Option<u64>) -> bool {
        let seen = self.lock();
        let good = |seen: &&Seen| losses.is_none_or(|losses| losses == seen.losses);
        seen.as_ref().filter(good).is_some_and(|seen| seen.id.as_ref() == Some(id))
    }
}

impl Engine {
    /// The engine that has told its id last.
    pub(crate) fn last_id(&self) -> Option<EngineId> {
        self.last_seen.lock().as_ref().and_then(|seen| seen.id.clone())
    }

    /// Whether the engine that was seen last is this one. What names no engine is of any.
    pub(crate) fn was_last(&self, theirs: Option<&EngineId>) -> bool {
        theirs.is_none_or(|theirs| self.last_seen.is(theirs, None))
    }

    /// The id of the engine that answers now.
    pub(crate) async fn id_now(&self) -> Result<Option<EngineId>> {
        match self.info().await {
            Ok(info) => Ok(EngineId::of(&info, self.is_podman())),
            // Nobody must take it for an answer about an execution.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Err(Error::new(ErrorKind::Unavailable, "the engine does not tell its id").with_source(error))
            }
            Err(error) => Err(error),
        }
    }

    /// Asks the engine who it is. That must come before anything is concluded from what it does not have.
    ///
    /// # Errors
    /// `Unavailable` when it is another one; otherwise as the engine answers, and never `NotFound`.
    pub(crate) async fn confirm(&self, theirs: Option<&EngineId>) -> Result<()> {
        let Some(theirs) = theirs else { return Ok(()) };
        compare(theirs, self.id_now().await?.as_ref(), &self.address())
    }

    /// The same where a wrong answer would be found out: the engine is asked only if another one was seen last.
    pub(crate) async fn recognize(&self, theirs: Option<&EngineId>) -> Result<()> {
        if self.was_last(theirs) { Ok(()) } else { self.confirm(theirs).await }
    }

    /// The same before something is sent: the engine is asked also if contact was lost since it was seen last.
    pub(crate) async fn recognize_again(&self, theirs: Option<&EngineId>) -> Result<()> {
        let losses = Some(self.contact.losses());
        let is_same = theirs.is_none_or(|theirs| self.last_seen.is(theirs, losses));
        if is_same { Ok(()) } else { self.confirm(theirs).await }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> EngineId {
        EngineId::new(text.to_owned())
    }

    #[test]
    fn only_an_engine_that_keeps_its_id_has_one() {
        let info = |id: Option<&str>| SystemInfo { id: id.map(str::to_owned), ..SystemInfo::default() };
        let text = "DQOT:IW4T:NQKJ:OOBN:PAZX:DOMC:TFUV:SRFP:KXIP:BW2H:H7EZ:FMLP";
        assert_eq!(EngineId::of(&info(Some(text)), false), Some(id(text)));
        assert_eq!(EngineId::of(&info(Some("")), false), None);
        assert_eq!(EngineId::of(&info(None), false), None);
        assert_eq!(EngineId::of(&info(Some("8c0c5ac5-3f6e-4b0c-9d65-3f1f3c1f6f0a")), true), None);
    }

    #[test]
    fn another_engine_is_refused_with_both_ids_and_the_way_out() {
        let theirs = id("DQOT:IW4T:NQKJ:OOBN:PAZX:DOMC:TFUV:SRFP:KXIP:BW2H:H7EZ:FMLP");
        compare(&theirs, Some(&theirs.clone()), &"unix:///s").unwrap();
        let other = id("8c0c5ac5-3f6e-4b0c-9d65-3f1f3c1f6f0a");
        for (now, words) in [(Some(&other), "answers 8c0c5ac5-3f6e,"), (None, "answers one that tells no id,")] {
            let error = compare(&theirs, now, &"unix:///s").unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            for words in ["the engine DQOT:IW4T:NQKJ,", "unix:///s", words, "a name of its own", "settle --lost"] {
                assert!(error.message().contains(words), "{words}: {error}");
            }
        }
    }

    #[test]
    fn the_last_engine_counts_before_a_launch_only_while_contact_is_kept() {
        let seen = LastSeen::default();
        assert!(!seen.is(&id("a"), None));
        seen.note(Some(id("a")), 3);
        assert!(seen.is(&id("a"), None) && seen.is(&id("a"), Some(3)));
        assert!(!seen.is(&id("a"), Some(4)) && !seen.is(&id("b"), None));
    }
}
