//! Whoever listens hears of what has changed.

use futures::StreamExt;
use longshore_core::JobStatus;
use longshore_store::{Intervention, JobStore, News, NewsStream, Pause};
use std::{sync::Arc, time::Duration};

use crate::{
    ground::Ground,
    support::{Dispatcher, host, in_status, request, submit_named},
};

/// Waits until all of this was told; several changes may be told as one, and more may be told than has changed.
async fn told(stream: &mut NewsStream, wanted: impl Fn(News) -> bool) {
    let mut heard = News::default();
    let hearing = async {
        while !wanted(heard) {
            heard = heard.or(stream.next().await.expect("news never end"));
        }
    };
    tokio::time::timeout(Duration::from_secs(60), hearing).await.expect("it is told in time");
}

/// A listener, and the opening of the store that it listens at, which must live as long.
struct Listener {
    stream: NewsStream,
    _store: Arc<dyn JobStore>,
}

/// Listeners that have heard that anything may have changed, here and as another process hears it.
async fn listeners(ground: &Ground) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for store in [ground.store.clone(), ground.another().await] {
        let mut stream = store.news().await.unwrap();
        assert_eq!(stream.next().await, Some(News::EVERYTHING));
        listeners.push(Listener { stream, _store: store });
    }
    listeners
}

pub(crate) async fn a_submission_is_told_of(ground: Ground) {
    for mut listener in listeners(&ground).await {
        submit_named(&ground.store, "on-a").await;
        told(&mut listener.stream, |news| news.queue && news.moves).await;
    }
}

pub(crate) async fn what_people_ask_is_told_of(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    for mut listener in listeners(&ground).await {
        let job = in_status(&dispatcher, JobStatus::Running).await;
        ground.store.intervene(job, Intervention::Cancel, request(9)).await.unwrap();
        told(&mut listener.stream, |news| news.interventions).await;
    }
    for mut listener in listeners(&ground).await {
        ground.store.pause(Pause::new(Some(host("a")), request(1))).await.unwrap();
        told(&mut listener.stream, |news| news.interventions).await;
    }
    for mut listener in listeners(&ground).await {
        ground.store.resume(Some(&host("a")), request(1)).await.unwrap();
        told(&mut listener.stream, |news| news.interventions && news.queue).await;
    }
}

pub(crate) async fn what_comes_free_is_told_of(ground: Ground) {
    for mut listener in listeners(&ground).await {
        let dispatcher = Dispatcher::new(&ground.store).await;
        in_status(&dispatcher, JobStatus::Running).await;
        dispatcher.store.close_session(dispatcher.session).await.unwrap();
        told(&mut listener.stream, |news| news.freed).await;
    }
}

pub(crate) async fn a_new_session_is_told_of(ground: Ground) {
    for mut listener in listeners(&ground).await {
        Dispatcher::new(&ground.store).await;
        told(&mut listener.stream, |news| news.freed).await;
    }
}

pub(crate) async fn an_end_is_told_of(ground: Ground) {
    let dispatcher = Dispatcher::new(&ground.store).await;
    for mut listener in listeners(&ground).await {
        in_status(&dispatcher, JobStatus::Completed).await;
        told(&mut listener.stream, |news| news.queue && news.moves).await;
    }
}

pub(crate) async fn whoever_comes_late_hears_it_all_the_same(ground: Ground) {
    let other = ground.another().await;
    let mut stream = other.news().await.unwrap();
    submit_named(&ground.store, "on-a").await;
    // Nobody has listened yet; what came meanwhile is not lost.
    tokio::task::yield_now().await;
    assert_eq!(stream.next().await, Some(News::EVERYTHING));
    submit_named(&ground.store, "on-a").await;
    told(&mut stream, |news| news.queue).await;
}
