//! Word that something has changed, so that nobody needs to ask all the time.

use futures::{StreamExt, stream, stream::BoxStream};
use tokio::sync::watch;

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

/// Where a store tells news to the listeners of its own process.
#[derive(Debug)]
pub(crate) struct NewsBoard(watch::Sender<Told>);

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

impl NewsBoard {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(Told::default()))
    }

    pub(crate) fn tell(&self, news: News) {
        if news.is_any() {
            self.0.send_modify(|told| {
                told.queue += u64::from(news.queue);
                told.freed += u64::from(news.freed);
                told.interventions += u64::from(news.interventions);
                told.moves += u64::from(news.moves);
            });
        }
    }

    /// The news from now on. While nobody listens they gather.
    pub(crate) fn listen(&self) -> NewsStream {
        let listener = self.0.subscribe();
        let seen = *listener.borrow();
        let rest = stream::unfold((listener, seen), |(mut listener, seen)| async move {
            if listener.changed().await.is_err() {
                // The store is gone; there will be no news.
                std::future::pending::<()>().await;
            }
            let told = *listener.borrow_and_update();
            Some((told.since(seen), (listener, told)))
        });
        stream::once(async { News::EVERYTHING }).chain(rest).boxed()
    }
}
