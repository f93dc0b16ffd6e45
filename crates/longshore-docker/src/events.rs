//! The engine's events, taken once and shared out to any number of listeners.

use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use jiff::Timestamp;
use longshore_core::{Clock, Error, ErrorKind, EventStream, ExecutionEvent, HostName, Owner, Result, clock::earlier};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Semaphore, broadcast, watch},
    task::JoinHandle,
};

use crate::{
    client::SharedEngine,
    mapping::{
        answers,
        labels::{self, Identity},
    },
};

/// How many events a listener may be behind before it is told of a gap.
const BEHIND: usize = 1024;
/// The pause before the engine is asked again.
const PAUSE: Duration = Duration::from_millis(500);
/// How far back the engine's own clock may be, for nothing to be missed at the beginning of a subscription.
const SKEW: Duration = Duration::from_secs(300);
/// How many containers that have ended are inspected at one time, at most.
const INSPECTIONS: usize = 16;
/// How long a new listener waits for the first subscription.
const SUBSCRIBE: Duration = Duration::from_secs(5);

/// One event, and whose it is; no owner for a gap, which is everybody's.
#[derive(Debug, Clone)]
struct News {
    owner: Option<Owner>,
    event: ExecutionEvent,
}

/// The events of one engine.
#[derive(Debug)]
pub(crate) struct Events {
    engine: SharedEngine,
    host: HostName,
    clock: Arc<dyn Clock>,
    pump: Mutex<Option<Pump>>,
}

#[derive(Debug)]
struct Pump {
    task: JoinHandle<()>,
    news: broadcast::Sender<News>,
    subscribed: watch::Receiver<bool>,
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Events {
    pub(crate) const fn new(engine: SharedEngine, host: HostName, clock: Arc<dyn Clock>) -> Self {
        Self { engine, host, clock, pump: Mutex::new(None) }
    }

    /// The owner's events from now on, and perhaps some that came before. When this returns the engine has been subscribed
    /// to, or the stream begins with a gap.
    pub(crate) async fn listen(&self, owner: Owner) -> EventStream {
        let (news, mut subscribed) = self.pump();
        let in_time = tokio::time::timeout(SUBSCRIBE, subscribed.wait_for(|subscribed| *subscribed)).await;
        let first = (!matches!(in_time, Ok(Ok(_)))).then_some(ExecutionEvent::Gap);
        let news = stream::unfold((news, owner), |(mut news, owner)| async move {
            loop {
                match news.recv().await {
                    Ok(News { owner: Some(theirs), .. }) if theirs != owner => {}
                    Ok(News { event, .. }) => return Some((event, (news, owner))),
                    Err(broadcast::error::RecvError::Lagged(_)) => return Some((ExecutionEvent::Gap, (news, owner))),
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        stream::iter(first).chain(news).boxed()
    }

    /// Subscribes to the pump, which runs from the first listener on.
    fn pump(&self) -> (broadcast::Receiver<News>, watch::Receiver<bool>) {
        let mut pump = self.pump.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pump) = pump.as_ref().filter(|pump| !pump.task.is_finished()) {
            return (pump.news.subscribe(), pump.subscribed.clone());
        }
        let (news, listener) = broadcast::channel(BEHIND);
        let (said, subscribed) = watch::channel(false);
        let task = tokio::spawn(run(self.engine.clone(), self.host.clone(), self.clock.clone(), news.clone(), said));
        *pump = Some(Pump { task, news, subscribed: subscribed.clone() });
        (listener, subscribed)
    }
}

/// Subscribes again whenever the stream ends; each time something may have been missed.
async fn run(
    engine: SharedEngine,
    host: HostName,
    clock: Arc<dyn Clock>,
    news: broadcast::Sender<News>,
    subscribed: watch::Sender<bool>,
) {
    let mut missed = false;
    let of_this_host = labels::of_host(&host);
    loop {
        let ended = match engine.events(&filters(&of_this_host), earlier(clock.now(), SKEW)).await {
            Ok(response) => {
                subscribed.send_replace(true);
                if std::mem::replace(&mut missed, true) {
                    let _ = news.send(News { owner: None, event: ExecutionEvent::Gap });
                }
                forward(response.into_body(), &engine, &host, &news).await
            }
            Err(error) => Err(error),
        };
        subscribed.send_replace(false);
        if let Err(error) = ended {
            tracing::debug!(%host, "events interrupted: {}", error.chain());
        }
        let _ = news.send(News { owner: None, event: ExecutionEvent::Gap });
        clock.sleep(PAUSE).await;
    }
}

/// What is asked for, in Docker's words and in Podman's, which has other names for the events of an end, and no
/// filter by a label without its value.
fn filters(of_this_host: &str) -> HashMap<&'static str, Vec<&str>> {
    HashMap::from([
        ("type", vec!["container"]),
        ("label", vec![of_this_host]),
        ("event", vec!["start", "die", "died", "oom", "destroy", "remove"]),
    ])
}

/// Passes on what the engine tells. It tells of an end some milliseconds before its lists show it; only an inspection waits
/// for that.
async fn forward(
    mut body: Incoming,
    engine: &SharedEngine,
    host: &HostName,
    news: &broadcast::Sender<News>,
) -> Result<()> {
    let places = Arc::new(Semaphore::new(INSPECTIONS));
    let mut buffer = Vec::new();
    while let Some(part) = body.frame().await {
        let part =
            part.map_err(|error| Error::new(ErrorKind::Unavailable, "the events were cut").with_source(error))?;
        buffer.extend_from_slice(part.data_ref().map_or(&[], |data| data));
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let Some((item, container)) = read(&line, host) else { continue };
            let (engine, news, places) = (engine.clone(), news.clone(), Arc::clone(&places));
            match container {
                Some(ended) => drop(tokio::spawn(async move {
                    let _place = places.acquire().await;
                    // Whatever the answer, it comes after the lists have been brought up to date.
                    let _ = engine.inspect(&ended).await;
                    let _ = news.send(item);
                })),
                None => drop(news.send(item)),
            }
        }
    }
    Ok(())
}

/// An event of a container of ours on this host, and the container where it has ended; anything else is nothing to us.
fn read(line: &[u8], host: &HostName) -> Option<(News, Option<String>)> {
    let message: answers::Event = serde_json::from_slice(line).ok()?;
    let identity = Identity::read(&message.actor.attributes, host)?;
    let at = message.time_nano.and_then(|nanos| Timestamp::from_nanosecond(i128::from(nanos)).ok());
    let ended = matches!(message.action.as_str(), "die" | "died").then_some(message.actor.id);
    Some((News { owner: Some(identity.owner), event: ExecutionEvent::Changed { token: identity.token, at } }, ended))
}
