//! News through LISTEN and NOTIFY: sent with the commit of what they tell of, once a transaction.

use longshore_core::{Error, Result};
use sqlx::{
    Executor,
    postgres::{PgConnection, PgListener, PgPoolOptions},
};
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;

use super::{Failure, failure, pool::Pool, schema::Installation};
use crate::{News, news::NewsBoard};

/// After so long without any news the connection is asked whether it is still there: a firewall or a failover may have cut it
/// without a word.
const SILENCE: Duration = Duration::from_secs(60);

/// How long an answer to that may take, and making a connection.
const ANSWER: Duration = Duration::from_secs(10);

/// The pause between attempts to listen again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Sends news with the commit of this transaction.
pub(super) async fn send(
    connection: &mut PgConnection,
    installation: &Installation,
    news: News,
) -> Result<(), Failure> {
    if news.is_any() {
        sqlx::query("SELECT pg_notify($1, $2)")
            .bind(&installation.channel)
            .bind(written(news))
            .execute(connection)
            .await?;
    }
    Ok(())
}

const LETTERS: [char; 4] = ['q', 'f', 'i', 'm'];

/// A letter for each kind of news.
fn written(news: News) -> String {
    let told = [news.queue, news.freed, news.interventions, news.moves];
    LETTERS.iter().zip(told).filter(|(_, told)| *told).map(|(letter, _)| letter).collect()
}

/// What a message says. One that a newer version sent may say anything.
fn read(message: &str) -> News {
    if message.is_empty() || message.chars().any(|letter| !LETTERS.contains(&letter)) {
        return News::EVERYTHING;
    }
    let [queue, freed, interventions, moves] = LETTERS.map(|letter| message.contains(letter));
    News { queue, freed, interventions, moves }
}

/// A connection that listens.
async fn listen(pool: &Pool, channel: &str) -> Result<PgListener> {
    let one = PgPoolOptions::new().max_connections(1).acquire_timeout(ANSWER).idle_timeout(None).max_lifetime(None);
    let connected = async {
        let mut listener = PgListener::connect_with(&one.connect_lazy_with(pool.options().clone())).await?;
        listener.eager_reconnect(false);
        listener.listen(channel).await?;
        Ok(listener)
    };
    connected
        .await
        .map_err(|error: sqlx::Error| failure::not_connected(pool.server(), error).with_operation("listen for news"))
}

/// Listens from now on, for as long as the returned task runs: tells the board what comes, and of everything after a time in
/// which nothing could be heard.
///
/// # Errors
/// As the server can be reached.
pub(super) async fn start(
    pool: Arc<Pool>,
    installation: Installation,
    board: Arc<NewsBoard>,
) -> Result<tokio::task::JoinHandle<()>, Error> {
    let mut listener = listen(&pool, &installation.channel).await?;
    board.tell(News::EVERYTHING);
    Ok(tokio::spawn(async move {
        loop {
            hear(&mut listener, &board).await;
            listener = listen_again(&pool, &installation.channel).await;
            board.tell(News::EVERYTHING);
        }
    }))
}

/// Tells the board what comes, until the connection is lost.
async fn hear(listener: &mut PgListener, board: &NewsBoard) {
    loop {
        match timeout(SILENCE, listener.try_recv()).await {
            Ok(Ok(Some(notification))) => {
                let mut news = read(notification.payload());
                while let Some(more) = listener.next_buffered() {
                    news = news.or(read(more.payload()));
                }
                board.tell(news);
            }
            Ok(Ok(None) | Err(_)) => return,
            Err(_) => {
                if !matches!(timeout(ANSWER, listener.execute("SELECT 1")).await, Ok(Ok(_))) {
                    return;
                }
            }
        }
    }
}

async fn listen_again(pool: &Pool, channel: &str) -> PgListener {
    let (mut pause, longest) = PAUSES;
    loop {
        match listen(pool, channel).await {
            Ok(listener) => return listener,
            Err(error) => tracing::warn!(error = %error.chain(), "no news from the database"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn news_are_read_as_they_were_written() {
        for bits in 1..16_u8 {
            let bit = |n: u8| bits & (1 << n) != 0;
            let news = News { queue: bit(0), freed: bit(1), interventions: bit(2), moves: bit(3) };
            assert_eq!(read(&written(news)), news);
        }
        assert_eq!(read("qx"), News::EVERYTHING);
        assert_eq!(read(""), News::EVERYTHING);
    }
}
