//! One session, from its opening to its end: everything that works in it ends with it.

use futures::{StreamExt, future::BoxFuture};
use longshore_core::{Error, ErrorKind, JobId, Result};
use longshore_store::{Actor, Intervention, Request, SessionId};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    task::{JoinError, JoinSet},
};

use crate::{
    DrainMode, Parts, claims, pulse,
    recorder::{Recorder, Recording},
    report,
    scene::{Attention, Scene, Tasks},
    scout, sweep,
    time::StoreClock,
};

const PAUSE: Duration = Duration::from_secs(1);
/// When an attempt is taken up again whose driver broke.
const MENDING: Duration = Duration::from_secs(30);

/// How a session ended.
#[derive(Debug)]
pub(crate) enum End {
    /// As it was asked to.
    Drained,
    /// It was fenced off.
    Lost(Error),
}

pub(crate) async fn run(
    parts: &Parts,
    drain: &Arc<watch::Sender<DrainMode>>,
    idle: &watch::Sender<bool>,
) -> Result<End> {
    idle.send_replace(false);
    let session = SessionId::new(parts.clock.now());
    let time = tokio::select! {
        biased;
        // While the store is away nothing can be held that is to be waited for.
        () = reached(drain, DrainMode::StopJobs) => {
            close_if_it_answers(parts, session).await;
            return Ok(End::Drained);
        }
        begun = begin(parts, session) => match begun {
            Ok(time) => time,
            // Opened by a call whose answer was lost, it was fenced off before it was asked for again.
            Err(error) if error.kind() == ErrorKind::LeaseLost => return Ok(End::Lost(error)),
            Err(error) => return Err(error),
        },
    };
    let (recorder, recordings) = Recorder::new(&parts.store, &parts.clock, session);
    let (tasks, handed_in) = mpsc::unbounded_channel();
    let (draining, is_draining) = watch::channel(false);
    let scene =
        Arc::new(Scene::new(parts.clone(), session, time, recorder, Tasks(tasks), is_draining, drain.subscribe()));
    let mut services = services(&scene, recordings, idle);
    let end = tokio::select! {
        biased;
        ended = services.join_next() => lost(ended),
        never = work(&scene, handed_in) => match never {},
        () = drained(&scene, drain, &draining) => End::Drained,
    };
    if let Err(error) = parts.store.close_session(session).await {
        report::note(&error, "the session could not be closed; it will be fenced off");
    }
    Ok(end)
}

/// Opens the session, and learns the time.
async fn begin(parts: &Parts, session: SessionId) -> Result<StoreClock> {
    open(parts, session).await?;
    tell_time(parts).await
}

/// Whether it was opened nobody knows; where it was, and can't be closed now, it is fenced off later.
async fn close_if_it_answers(parts: &Parts, session: SessionId) {
    tokio::select! {
        biased;
        _ = parts.store.close_session(session) => {}
        () = parts.clock.sleep(PAUSE) => {}
    }
}

/// What works for as long as the session lasts.
fn services(scene: &Arc<Scene>, recordings: Vec<Recording>, idle: &watch::Sender<bool>) -> JoinSet<Error> {
    let mut services = JoinSet::new();
    for recording in recordings {
        services.spawn(recording.run());
    }
    services.spawn(claims::run(Arc::clone(scene), idle.clone()));
    services.spawn(pulse::run(Arc::clone(scene)));
    services.spawn(hear_news(Arc::clone(scene)));
    services.spawn(attend(Arc::clone(scene)));
    services.spawn(heed_reloads(Arc::clone(scene)));
    scene.tasks.spawn(sweep::run(Arc::clone(scene)));
    services
}

/// A service has ended, which it does only when the session is lost.
fn lost(ended: Option<Result<Error, JoinError>>) -> End {
    match ended {
        Some(Ok(error)) => End::Lost(error),
        Some(Err(broken)) => {
            End::Lost(Error::new(ErrorKind::Unexpected, "a part of the dispatcher broke").with_source(broken))
        }
        None => End::Drained,
    }
}

async fn open(parts: &Parts, session: SessionId) -> Result<()> {
    loop {
        match parts.store.open_session(session, &parts.settings.name).await {
            Err(error) if error.is_lost_contact() => {
                report::trouble(&error, "no session can be opened; trying again");
                parts.clock.sleep(PAUSE).await;
            }
            opened => {
                opened?;
                report::opened(session);
                return Ok(());
            }
        }
    }
}

/// A clock that shows the store's time.
async fn tell_time(parts: &Parts) -> Result<StoreClock> {
    loop {
        match StoreClock::new(parts.store.as_ref(), Arc::clone(&parts.clock), parts.settings.lease).await {
            Err(error) if error.is_lost_contact() => {
                report::trouble(&error, "the store does not tell the time; trying again");
                parts.clock.sleep(PAUSE).await;
            }
            told => return told,
        }
    }
}

/// Runs whatever is handed in.
async fn work(
    scene: &Arc<Scene>,
    mut handed_in: mpsc::UnboundedReceiver<BoxFuture<'static, ()>>,
) -> std::convert::Infallible {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            Some(done) = tasks.join_next(), if !tasks.is_empty() => {
                if let Err(broken) = done {
                    tracing::error!(%broken, "a task broke; what it drove is taken up again soon");
                    let scene = Arc::clone(scene);
                    tasks.spawn(Box::pin(async move {
                        let asking = scene.begin_asking();
                        scene.clock().sleep(MENDING).await;
                        let _ = claims::take_up_held(&scene).await;
                        asking.answered();
                    }) as BoxFuture<'static, ()>);
                }
            }
            Some(task) = handed_in.recv() => {
                tasks.spawn(task);
            }
        }
    }
}

/// Wakes those whom news concern.
async fn hear_news(scene: Arc<Scene>) -> Error {
    loop {
        match scene.store().news().await {
            Ok(mut news) => {
                while let Some(news) = news.next().await {
                    wake(&scene, news);
                }
            }
            Err(error) => report::trouble(&error, "no news can be heard; trying again"),
        }
        scene.clock().sleep(PAUSE).await;
    }
}

fn wake(scene: &Scene, news: longshore_store::News) {
    if news.queue || news.interventions {
        scene.wakes.queue.notify_one();
    }
    if news.freed {
        scene.wakes.freed.notify_one();
    }
    if news.interventions {
        scene.wakes.interventions.notify_one();
    }
}

/// A new configuration may have room where there was none, and may serve hosts on which something was left.
async fn heed_reloads(scene: Arc<Scene>) -> Error {
    let mut reloads = scene.router().reloads();
    while reloads.changed().await.is_ok() {
        scout::discover(&scene);
        scene.wakes.freed.notify_one();
        while let Err(error) = scene.store().wake_queue(scene.session).await {
            if error.kind() == ErrorKind::LeaseLost {
                return error;
            }
            report::trouble(&error, "the queue can't be looked at with the new configuration; trying again");
            scene.clock().sleep(PAUSE).await;
        }
        scene.wakes.queue.notify_one();
    }
    std::future::pending().await
}

/// Passes on what people ask of jobs.
async fn attend(scene: Arc<Scene>) -> Error {
    loop {
        scene.wakes.interventions.notified().await;
        while !pass_on(&scene).await {
            scene.clock().sleep(PAUSE).await;
        }
    }
}

/// Whether everybody was told: a job may be held whose driver only begins.
async fn pass_on(scene: &Scene) -> bool {
    match scene.store().interventions(scene.session).await {
        Ok(jobs) => jobs.iter().fold(true, |told, job| {
            let is_over = job.status.is_terminal();
            let wanted = Attention { cancel: job.cancel.is_some() && !is_over, settled: is_over };
            scene.attend(job.id(), wanted) && told
        }),
        Err(error) => error.kind() == ErrorKind::LeaseLost,
    }
}

/// Waits until the session is to end and has nothing under way that it must not leave.
async fn drained(scene: &Scene, drain: &Arc<watch::Sender<DrainMode>>, draining: &watch::Sender<bool>) {
    reached(drain, DrainMode::Finish).await;
    tokio::select! {
        biased;
        () = reached(drain, DrainMode::HandOver) => {}
        () = finished(scene, drain) => {}
    }
    draining.send_replace(true);
    tokio::select! {
        biased;
        () = scene.load.is_undriven() => {}
        () = scene.clock().sleep(scene.settings().drain) => {}
    }
}

async fn reached(drain: &watch::Sender<DrainMode>, least: DrainMode) {
    if drain.subscribe().wait_for(|mode| *mode >= least).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Waits until all that is held has ended, by itself or because it is cancelled, and nothing more can come.
async fn finished(scene: &Scene, drain: &watch::Sender<DrainMode>) {
    tokio::select! {
        biased;
        () = scene.load.becomes(true) => return,
        () = reached(drain, DrainMode::StopJobs) => {}
    }
    // What others have left is left.
    scene.load.has_adopted();
    loop {
        scene.load.is_answered().await;
        cancel_all(scene).await;
        tokio::select! {
            biased;
            () = scene.load.becomes(true) => return,
            () = scene.wakes.gained.notified() => {}
        }
    }
}

async fn cancel_all(scene: &Scene) {
    let held = loop {
        match scene.store().held(scene.session).await {
            Ok(held) => break held,
            Err(error) if error.kind() == ErrorKind::LeaseLost => return,
            Err(_) => scene.clock().sleep(PAUSE).await,
        }
    };
    for held in held.into_iter().filter(|held| held.job.cancel.is_none()) {
        cancel(scene, held.job.id()).await;
    }
}

/// Cancels a job, however long the store takes, unless it has ended.
async fn cancel(scene: &Scene, job: JobId) {
    loop {
        let request =
            Request::new(Actor::Dispatcher(scene.session), scene.clock().now()).because("the dispatcher stops");
        match scene.store().intervene(job, Intervention::Cancel, request).await {
            Err(error) if ![ErrorKind::Conflict, ErrorKind::NotFound].contains(&error.kind()) => {
                report::trouble(&error, "a job can't be cancelled now; trying again");
                scene.clock().sleep(PAUSE).await;
            }
            _ => return,
        }
    }
}
