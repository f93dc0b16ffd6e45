//! Watching the executions of one host: events where there are any, subscribed before the first look, and behind them the
//! question about all, in batches. A host on which nothing is watched is not asked.

use futures::{
    FutureExt, StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use jiff::Timestamp;
use longshore_core::{
    Error, EventStream, ExecutionEvent, ExecutionHandle, ExecutionStatus, HostName, LaunchToken, Result,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{mpsc, watch};

use crate::scene::{Scene, planted};

/// How many executions one question is about, at most.
const BATCH: usize = 100;
/// How many questions are under way at one time, at most.
const QUESTIONS: usize = 4;
/// The pause after a question that was not answered; it doubles up to the usual interval.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// How long a host is watched for on which nothing is left to watch.
const LINGER: Duration = Duration::from_secs(5);

/// What is known of an execution.
#[derive(Debug, Clone, Default)]
pub(crate) enum Sight {
    /// Nothing yet.
    #[default]
    None,
    /// What its provider said.
    Status(ExecutionStatus),
    /// Its provider has not answered since.
    Silent { since: Timestamp, why: String },
}

/// The watchers of all hosts.
#[derive(Debug, Default)]
pub(crate) struct Watchers(Mutex<BTreeMap<HostName, mpsc::UnboundedSender<Request>>>);

/// An execution to be watched.
#[derive(Debug)]
struct Request {
    handle: ExecutionHandle,
    sight: watch::Sender<Sight>,
}

impl Watchers {
    /// Watches an execution. It is watched for as long as the receiver lives.
    pub(crate) fn watch(&self, scene: &Arc<Scene>, handle: &ExecutionHandle) -> watch::Receiver<Sight> {
        let (sight, seen) = watch::channel(Sight::None);
        let request = Request { handle: handle.clone(), sight };
        let mut watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = match watchers.get(&handle.host) {
            Some(watcher) => watcher.send(request).map_err(|refused| refused.0),
            None => Err(request),
        };
        if let Err(request) = refused {
            let (sender, requests) = mpsc::unbounded_channel();
            let _ = sender.send(request);
            watchers.insert(handle.host.clone(), sender);
            let watcher = Watcher::new(Arc::clone(scene), handle.host.clone(), requests);
            scene.tasks.spawn(watcher.run());
        }
        seen
    }
}

struct Watched {
    handle: ExecutionHandle,
    sight: watch::Sender<Sight>,
}

/// The answers to one question about several executions.
type Answers = (Vec<LaunchToken>, Vec<Result<ExecutionStatus>>);
type Timer = BoxFuture<'static, ()>;

struct Watcher {
    scene: Arc<Scene>,
    host: HostName,
    requests: mpsc::UnboundedReceiver<Request>,
    watched: BTreeMap<LaunchToken, Watched>,
    /// How many turns there were since those that nobody watches any more were looked for.
    turns: usize,
    /// To be asked about now; none of them is being asked about.
    dirty: BTreeSet<LaunchToken>,
    /// Being asked about. One that hangs holds up no other.
    asking: FuturesUnordered<BoxFuture<'static, Answers>>,
    /// What is being asked about, and whether something happened to it since, so that it is to be asked about again.
    asked: BTreeMap<LaunchToken, bool>,
    /// To be asked about again after a pause.
    silent: BTreeSet<LaunchToken>,
    pause: Duration,
    rest: Option<Timer>,
    events: Option<EventStream>,
    /// Whether to subscribe to events before the next question.
    subscribe: bool,
    /// When all are asked about, whatever the events tell.
    round: Timer,
}

impl Watcher {
    fn new(scene: Arc<Scene>, host: HostName, requests: mpsc::UnboundedReceiver<Request>) -> Self {
        Self {
            round: timer(&scene, scene.settings().poll),
            scene,
            host,
            requests,
            watched: BTreeMap::new(),
            turns: 0,
            dirty: BTreeSet::new(),
            asking: FuturesUnordered::new(),
            asked: BTreeMap::new(),
            silent: BTreeSet::new(),
            pause: FIRST_PAUSE,
            rest: None,
            events: None,
            subscribe: true,
        }
    }

    async fn run(mut self) {
        loop {
            self.take_requests();
            if self.watched.is_empty() && !self.linger().await {
                return;
            }
            if std::mem::take(&mut self.subscribe) {
                self.subscribe().await;
            }
            self.ask();
            self.hear().await;
        }
    }

    /// Waits a little for something to watch; the subscription may be needed again soon.
    async fn linger(&mut self) -> bool {
        let clock = Arc::clone(&self.scene.parts.clock);
        tokio::select! {
            biased;
            request = self.requests.recv() => request.is_some_and(|request| { self.take(request); true }),
            () = clock.sleep(LINGER) => {
                // Closing first leaves no gap: who comes later finds the door shut and opens another.
                self.requests.close();
                self.take_requests();
                !self.watched.is_empty()
            }
        }
    }

    fn take_requests(&mut self) {
        while let Ok(request) = self.requests.try_recv() {
            self.take(request);
        }
        // Looked for once in as many turns as there are, so that a turn costs the same with any number.
        self.turns += 1;
        if self.turns >= self.watched.len() {
            self.turns = 0;
            self.forget_the_unwatched();
        }
    }

    fn forget_the_unwatched(&mut self) {
        self.watched.retain(|_, watched| !watched.sight.is_closed());
        let watched = &self.watched;
        self.dirty.retain(|token| watched.contains_key(token));
        self.silent.retain(|token| watched.contains_key(token));
    }

    fn take(&mut self, Request { handle, sight }: Request) {
        self.doubt(handle.token);
        self.watched.insert(handle.token, Watched { handle, sight });
    }

    /// What is known of it may be old: it is asked about, and where it is being asked about, once more after that.
    fn doubt(&mut self, token: LaunchToken) {
        match self.asked.get_mut(&token) {
            Some(again) => *again = true,
            None => drop(self.dirty.insert(token)),
        }
    }

    fn doubt_all(&mut self) {
        let tokens: Vec<_> = self.watched.keys().copied().collect();
        tokens.into_iter().for_each(|token| self.doubt(token));
    }

    async fn subscribe(&mut self) {
        let settings = self.scene.settings();
        if let Ok(executor) = self.scene.executor(&self.host) {
            self.events = executor.events(&settings.owner).await.ok();
        }
        self.start_round();
        // What changed before the subscription nobody will tell.
        self.doubt_all();
    }

    fn start_round(&mut self) {
        let settings = self.scene.settings();
        let asks = self.events.is_none() || !planted!(self.scene, BelievesEvents);
        let interval = if self.events.is_some() { settings.reconcile } else { settings.poll };
        let interval = if asks { interval } else { Duration::MAX };
        self.round = timer(&self.scene, interval);
    }

    /// Asks about what may have changed, several questions at a time.
    fn ask(&mut self) {
        while self.asking.len() < QUESTIONS {
            let handles = self.next_doubtful();
            if handles.is_empty() {
                return;
            }
            let tokens: Vec<LaunchToken> = handles.iter().map(|handle| handle.token).collect();
            self.asked.extend(tokens.iter().map(|token| (*token, false)));
            let executor = self.scene.executor(&self.host);
            self.asking.push(Box::pin(async move {
                let answers = match executor {
                    Ok(executor) => executor.check_statuses(&handles).await,
                    Err(error) => handles.iter().map(|_| Err(error.repeated())).collect(),
                };
                (tokens, answers)
            }));
        }
    }

    /// What the next question is about.
    fn next_doubtful(&mut self) -> Vec<ExecutionHandle> {
        let mut handles = Vec::new();
        while handles.len() < BATCH
            && let Some(token) = self.dirty.pop_first()
        {
            let watched = self.watched.get(&token).filter(|watched| !watched.sight.is_closed());
            handles.extend(watched.map(|watched| watched.handle.clone()));
        }
        handles
    }

    /// Waits for whatever comes first, and takes it in.
    async fn hear(&mut self) {
        let mut no_events = stream::pending().boxed();
        let mut no_rest: Timer = Box::pin(std::future::pending());
        let events = self.events.as_mut().unwrap_or(&mut no_events);
        let rest = self.rest.as_mut().unwrap_or(&mut no_rest);
        tokio::select! {
            biased;
            request = next_of(&mut self.requests) => self.take(request),
            Some(answers) = self.asking.next(), if !self.asking.is_empty() => self.take_answers(answers),
            event = events.next() => self.take_event(event),
            () = rest => {
                self.rest = None;
                std::mem::take(&mut self.silent).into_iter().for_each(|token| self.doubt(token));
            }
            () = &mut self.round => {
                self.start_round();
                self.doubt_all();
            }
        }
    }

    fn take_event(&mut self, event: Option<ExecutionEvent>) {
        let mut next = event;
        loop {
            match next {
                Some(ExecutionEvent::Changed { token, .. }) if self.watched.contains_key(&token) => {
                    self.doubt(token);
                }
                Some(ExecutionEvent::Changed { .. }) => {}
                Some(_) => self.doubt_all(),
                None => {
                    self.events = None;
                    self.subscribe = true;
                    return;
                }
            }
            // Whatever else is there already is asked about in the same question.
            let Some(more) = self.events.as_mut().and_then(|events| events.next().now_or_never()) else { return };
            next = more;
        }
    }

    fn take_answers(&mut self, (tokens, answers): Answers) {
        let mut answered = false;
        for (token, answer) in tokens.into_iter().zip(answers) {
            if self.asked.remove(&token) == Some(true) {
                self.dirty.insert(token);
            }
            match answer {
                Ok(status) => {
                    answered = true;
                    self.show(token, status);
                }
                Err(error) => self.show_silence(token, &error),
            }
        }
        if answered {
            self.pause = FIRST_PAUSE;
        }
        if !self.silent.is_empty() && self.rest.is_none() {
            self.rest = Some(timer(&self.scene, self.pause));
            self.pause = (self.pause * 2).min(self.scene.settings().reconcile);
        }
    }

    fn show(&self, token: LaunchToken, status: ExecutionStatus) {
        if let Some(watched) = self.watched.get(&token) {
            watched.sight.send_replace(Sight::Status(status));
        }
    }

    /// It has been silent since the first question that was not answered.
    fn show_silence(&mut self, token: LaunchToken, error: &Error) {
        let now = self.scene.clock().now();
        let Some(watched) = self.watched.get(&token) else { return };
        self.scene.trouble(&self.host, error, "no answer about what runs there; asking again");
        self.silent.insert(token);
        watched.sight.send_modify(|sight| {
            let since = if let Sight::Silent { since, .. } = sight { *since } else { now };
            *sight = Sight::Silent { since, why: error.chain() };
        });
    }
}

fn timer(scene: &Arc<Scene>, duration: Duration) -> Timer {
    let clock = Arc::clone(&scene.parts.clock);
    Box::pin(async move { clock.sleep(duration).await })
}

/// The next request; none will ever come where the door is shut.
async fn next_of(requests: &mut mpsc::UnboundedReceiver<Request>) -> Request {
    match requests.recv().await {
        Some(request) => request,
        None => std::future::pending().await,
    }
}
