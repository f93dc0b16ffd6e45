//! Word that something has changed, so that nobody needs to ask all the time.

use futures::{StreamExt, stream, stream::BoxStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// What may have changed; several changes may be told as one. Whoever hears it asks the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct News {
    /// There may be jobs to claim.
    pub queue: bool,
    /// There may be attempts to adopt, or another session to watch.
    pub freed: bool,
    /// People have asked something of jobs or hosts.
    pub interventions: bool,
    /// Jobs have moved.
    pub moves: bool,
}

impl News {
    /// Anything may have changed: what is said after a time in which nothing could be heard.
    pub const EVERYTHING: Self = Self { queue: true, freed: true, interventions: true, moves: true };

    /// What either of the two tells.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self {
            queue: self.queue || other.queue,
            freed: self.freed || other.freed,
            interventions: self.interventions || other.interventions,
            moves: self.moves || other.moves,
        }
    }

    /// Whether there is any.
    #[must_use]
    pub const fn is_any(self) -> bool {
        self.queue || self.freed || self.interventions || self.moves
    }
}

/// News as they come. Never ends by itself; begins with [`News::EVERYTHING`], and says it again whenever something may have
/// been missed.
pub type NewsStream = BoxStream<'static, News>;

/// Where a store tells news to the listeners of its own process. They are woken in the order in which they wait, so that a
/// simulation is the same each time; tokio's own `watch` wakes in an order of chance.
#[derive(Debug)]
pub(crate) struct NewsBoard(Arc<Board>);

#[derive(Debug, Default)]
struct Board {
    told: Mutex<Told>,
    news: Notify,
}

/// How often each kind of news was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Told {
    queue: u64,
    freed: u64,
    interventions: u64,
    moves: u64,
}

impl Told {
    const fn since(self, earlier: Self) -> News {
        News {
            queue: self.queue > earlier.queue,
            freed: self.freed > earlier.freed,
            interventions: self.interventions > earlier.interventions,
            moves: self.moves > earlier.moves,
        }
    }
}

impl Board {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something else was told than what was seen.
    async fn changed(&self, seen: Told) -> Told {
        loop {
            // From here on the wait hears whatever is told.
            let news = self.news.notified();
            let told = *self.told();
            if told != seen {
                return told;
            }
            news.await;
        }
    }
}

impl NewsBoard {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    pub(crate) fn tell(&self, news: News) {
        if news.is_any() {
            let mut told = self.0.told();
            told.queue += u64::from(news.queue);
            told.freed += u64::from(news.freed);
            told.interventions += u64::from(news.interventions);
            told.moves += u64::from(news.moves);
            drop(told);
            self.0.news.notify_waiters();
        }
    }

    /// The news from now on. While nobody listens they gather.
    pub(crate) fn listen(&self) -> NewsStream {
        let (board, seen) = (Arc::clone(&self.0), *self.0.told());
        let rest = stream::unfold((board, seen), |(board, seen)| async move {
            let told = board.changed(seen).await;
            Some((told.since(seen), (board, told)))
        });
        stream::once(async { News::EVERYTHING }).chain(rest).boxed()
    }
}
