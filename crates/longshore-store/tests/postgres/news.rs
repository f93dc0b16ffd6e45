//! News across processes, and across a lost connection.

use futures::StreamExt;
use longshore_store::News;
use longshore_testkit::{suite::Test, tests};

use crate::{beside, cluster, open, run, support::submit_named, until};

pub(crate) const TESTS: &[Test] = &tests![what_one_stores_another_hears, after_a_lost_connection_everything_is_new];

const LISTENS: &str =
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%')";

/// Hears until there is news of the queue.
async fn hear_of_the_queue(news: &mut longshore_store::NewsStream) -> News {
    loop {
        let heard = news.next().await.unwrap();
        if heard.queue {
            return heard;
        }
    }
}

async fn what_one_stores_another_hears() {
    let url = cluster::shared().unwrap().database().await;
    let (one, other) = (open(&url).await, open(&url).await);
    let mut news = other.news().await.unwrap();
    assert_eq!(news.next().await.unwrap(), News::EVERYTHING);
    submit_named(&one, "on-a").await;
    let heard = hear_of_the_queue(&mut news).await;
    assert!(!heard.freed, "{heard:?}");
}

async fn after_a_lost_connection_everything_is_new() {
    let url = cluster::shared().unwrap().database().await;
    let (one, other) = (open(&url).await, open(&url).await);
    let mut news = other.news().await.unwrap();
    assert_eq!(news.next().await.unwrap(), News::EVERYTHING);
    let mut connection = beside(&url).await;
    until(&mut connection, LISTENS).await;
    let end = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
               WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    run(&mut connection, end).await;
    // Whatever was told while nobody listened is covered by this.
    submit_named(&one, "on-a").await;
    while news.next().await.unwrap() != News::EVERYTHING {}
    submit_named(&one, "on-a").await;
    hear_of_the_queue(&mut news).await;
}
