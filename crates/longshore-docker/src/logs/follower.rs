//! Follows one container's log and spills it to disk, so that no reader slows another or the engine.

use http_body_util::BodyExt;
use jiff::Timestamp;
use longshore_core::{ByteSize, Clock, Error, ErrorKind, LogCompleteness, Result};
use std::{
    fs::File,
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

use super::{
    frames::{Frame, FrameParser},
    long_lines::LongLines,
    spill::{Extent, Spill},
};
use crate::{
    client::{LogsQuery, SharedEngine},
    identity::EngineId,
    mapping::{
        facts::keeps_every_byte,
        state::{self, Stage},
    },
    memory::Memory,
};

/// How far records may be out of order: the engine stamps them before it writes them.
const DISORDER: i64 = 5_000_000_000;
/// The first pause before the engine is asked again; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How often to look whether a container that was not started yet has been.
const NOT_STARTED: Duration = Duration::from_millis(50);
/// How long the log of a container that has ended may pause before what the engine keeps of it is read instead.
const SILENCE: Duration = Duration::from_secs(1);
/// How often to look for more where a log can't be followed.
const POLL: Duration = Duration::from_millis(500);

/// What readers see of a log that is being followed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Following {
    /// The file, once it is open.
    pub(crate) file: Option<Arc<File>>,
    /// How much of it is written.
    pub(crate) extent: Extent,
    /// True once the engine has been asked for the log, so that an empty one is no longer only a young one.
    pub(crate) asked: bool,
    /// Set once nothing more can come.
    pub(crate) ended: Option<Ending>,
    /// Why the engine can't be asked just now.
    pub(crate) trouble: Option<String>,
    /// True for as long as the log has been followed without a break, from the start to the end: the engine was there all the
    /// time.
    pub(crate) unbroken: bool,
}

/// How the following of a log ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// With the log.
    Log(LogCompleteness),
    /// The engine has no such container, and nothing had been read of its log.
    NoContainer,
}

/// What to do after one connection's worth.
enum Next {
    Done(Ending),
    AskAgain(Duration),
}

/// The one task that follows a log.
pub(crate) struct Follower {
    pub(crate) engine: SharedEngine,
    pub(crate) container: String,
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
    pub(crate) cap: ByteSize,
    pub(crate) driver: String,
    /// The engine that has the container, where that is known.
    pub(crate) launched_on: Option<EngineId>,
    pub(crate) clock: Arc<dyn Clock>,
    /// True once the container is known to have been started.
    pub(crate) started: AtomicBool,
    pub(crate) following: watch::Sender<Following>,
    /// Whether the container is known to have ended.
    pub(crate) over: watch::Receiver<bool>,
}

/// Why the following of a stream stopped.
enum Pause {
    /// The cap is reached.
    Capped,
    /// The engine ended the stream between two frames.
    End,
    /// The container has not been started yet.
    NotStarted,
}

impl Follower {
    /// Follows to the end. Whatever goes wrong on the way is tried again for as long as somebody holds the log.
    pub(crate) async fn run(self) {
        let mut spill = match self.open().await {
            Ok(spill) => spill,
            Err(error) => return self.trouble(format!("the log can't be kept in {}: {error}", self.folder.display())),
        };
        let mut pause = FIRST_PAUSE;
        loop {
            let before = spill.extent();
            match self.follow(&mut spill).await {
                Ok(Next::Done(ending)) => return self.end(ending),
                Ok(Next::AskAgain(after)) => {
                    self.clock.sleep(after).await;
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    match self.engine.confirm(self.launched_on.as_ref()).await {
                        Ok(()) => return self.end(Self::gone(&spill)),
                        Err(other) => self.trouble(other.chain()),
                    }
                }
                Err(error) => self.trouble(error.chain()),
            }
            if spill.extent() != before {
                pause = FIRST_PAUSE;
            }
            self.clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn open(&self) -> io::Result<Spill> {
        let (folder, name) = (self.folder.clone(), self.name.clone());
        let spill =
            tokio::task::spawn_blocking(move || Spill::open(&folder, &name)).await.map_err(io::Error::other)??;
        self.following.send_modify(|following| {
            following.file = Some(spill.file());
            following.extent = spill.extent();
        });
        Ok(spill)
    }

    fn end(&self, ending: Ending) {
        self.following.send_modify(|following| {
            // A log that reaches its cap is left before the container's end.
            following.unbroken &= !matches!(ending, Ending::Log(LogCompleteness::Truncated { .. }));
            following.ended = Some(ending);
        });
    }

    fn trouble(&self, why: String) {
        tracing::debug!(container = self.container, "log following interrupted: {why}");
        self.following.send_modify(|following| {
            following.trouble = Some(why);
            following.unbroken = false;
        });
    }

    fn gone(spill: &Spill) -> Ending {
        if spill.extent().end == 0 {
            return Ending::NoContainer;
        }
        let reason = "the container was removed before its log had been read to the end".to_owned();
        Ending::Log(LogCompleteness::Missing { reason })
    }

    /// One connection's worth.
    async fn follow(&self, spill: &mut Spill) -> Result<Next> {
        match self.stream(spill, true).await? {
            Pause::Capped => return Ok(self.capped()),
            Pause::NotStarted => return Ok(Next::AskAgain(NOT_STARTED)),
            Pause::End if !self.lives().await? => {}
            Pause::End if self.engine.is_podman() => return Ok(Next::AskAgain(POLL)),
            Pause::End => return Err(Error::new(ErrorKind::Unavailable, "the engine ended the log before its end")),
        }
        // The engine can end a followed log before its last pieces (measured on Engine 20.10 with a long line that
        // has no end); what it keeps of a container that has ended is whole.
        if !self.has_the_last(spill).await? && matches!(self.stream(spill, false).await?, Pause::Capped) {
            return Ok(self.capped());
        }
        Ok(Next::Done(Ending::Log(self.completeness(spill).await?)))
    }

    const fn capped(&self) -> Next {
        Next::Done(Ending::Log(LogCompleteness::Truncated { cap: self.cap }))
    }

    async fn lives(&self) -> Result<bool> {
        Ok(state::live_status(&self.engine.inspect(&self.container).await?).is_some())
    }

    async fn has_started(&self) -> Result<bool> {
        if !self.started.load(Ordering::Relaxed) {
            let container = self.engine.inspect(&self.container).await?;
            let started = !matches!(state::stage(&container), Stage::Created { failed_start: None });
            self.started.store(started, Ordering::Relaxed);
        }
        Ok(self.started.load(Ordering::Relaxed))
    }

    fn asked(&self) {
        self.following.send_if_modified(|following| !std::mem::replace(&mut following.asked, true));
    }

    async fn completeness(&self, spill: &Spill) -> Result<LogCompleteness> {
        if spill.is_open_ended() {
            let reason = "the engine does not tell whether the last line, of more than 16 KiB, ended with a line break";
            return Ok(LogCompleteness::Lossy { reason: reason.to_owned() });
        }
        if !keeps_every_byte(&self.driver) {
            let reason = format!("the engine's {} log driver may change or lose bytes", self.driver);
            return Ok(LogCompleteness::Lossy { reason });
        }
        if !self.was_attended(spill).await? {
            let reason = "the engine may have been down while the container ran; what is written meanwhile can be lost";
            return Ok(LogCompleteness::Lossy { reason: reason.to_owned() });
        }
        Ok(LogCompleteness::Complete)
    }

    /// Whether the engine is known to have been there for all of the run. Only where the following was broken, or began
    /// late, must it be asked. What was found out is kept beside the log, because the engine soon forgets.
    async fn was_attended(&self, spill: &Spill) -> Result<bool> {
        if self.engine.is_podman() || spill.is_attended() {
            return Ok(true);
        }
        let attended = self.following.borrow().unbroken || {
            let container = self.engine.inspect(&self.container).await?;
            Memory::of(&self.engine, &self.container).await?.has_the_run(&container)
        };
        if attended {
            spill.attended().map_err(|error| unwritable(&error))?;
        }
        Ok(attended)
    }

    /// Reads from the last place on, skipping what is stored, until the stream ends.
    async fn stream(&self, spill: &mut Spill, follow: bool) -> Result<Pause> {
        if spill.extent().content() >= self.cap.bytes() {
            return Ok(Pause::Capped);
        }
        let (since, mut skip) = resume_point(spill).map_err(|error| unwritable(&error))?;
        if !self.has_started().await? {
            self.asked();
            return Ok(Pause::NotStarted);
        }
        self.asked();
        // Podman loses lines of a log that it is to follow (measured on Podman 4.3), and none of one that it reads.
        let follow = follow && !self.engine.is_podman();
        let query = LogsQuery::since(since, follow);
        let response = tokio::select! {
            response = self.engine.logs(&self.container, &query) => response?,
            () = self.falls_silent(), if follow => return Ok(Pause::End),
        };
        self.following.send_if_modified(|following| following.trouble.take().is_some());
        let mut body = response.into_body();
        let mut parser = FrameParser::default();
        loop {
            let part = tokio::select! {
                part = body.frame() => part,
                () = self.falls_silent(), if follow => None,
            };
            let Some(part) = part else { break };
            let part =
                part.map_err(|error| Error::new(ErrorKind::Unavailable, "the log was cut").with_source(error))?;
            parser.push(part.data_ref().map_or(&[], |data| data));
            let capped = self.take(&mut parser, spill, &mut skip).map_err(|error| unwritable(&error))?;
            if capped {
                return Ok(Pause::Capped);
            }
        }
        if parser.is_between_frames() {
            return Ok(Pause::End);
        }
        Err(Error::new(ErrorKind::Unavailable, "the log was cut in the middle of a frame"))
    }

    /// The engine can leave a followed log open whose container has ended: where the following began at that very moment, where
    /// it does not know of the end, and where it is gone and its successor has answered.
    async fn falls_silent(&self) {
        let mut over = self.over.clone();
        if over.wait_for(|over| *over).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.clock.sleep(SILENCE).await;
        self.following.send_modify(|following| following.unbroken = false);
    }

    /// Stores what the parser holds; true once the cap is reached.
    fn take(&self, parser: &mut FrameParser, spill: &mut Spill, skip: &mut u64) -> io::Result<bool> {
        let mut capped = false;
        while let Some(frame) = parser.next()? {
            if *skip > 0 {
                *skip -= 1;
                continue;
            }
            capped = self.add(frame, spill);
            if capped {
                break;
            }
        }
        spill.flush()?;
        self.following
            .send_if_modified(|following| std::mem::replace(&mut following.extent, spill.extent()) != spill.extent());
        Ok(capped)
    }

    /// Adds what the cap leaves room for; true when that was not all. A log of exactly the cap is whole.
    fn add(&self, mut frame: Frame, spill: &mut Spill) -> bool {
        let room = self.cap.bytes() - spill.extent().content();
        let over = frame.bytes.len() as u64 > room;
        if over {
            frame.bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        }
        if !over || !frame.bytes.is_empty() {
            spill.add(&frame);
        }
        over
    }

    /// True when the engine's last record is beyond doubt the one that was stored last.
    async fn has_the_last(&self, spill: &Spill) -> Result<bool> {
        let response = self.engine.logs(&self.container, &LogsQuery::last_record()).await?;
        let body = response.into_body().collect().await;
        let body =
            body.map_err(|error| Error::new(ErrorKind::Unavailable, "the log's end was cut").with_source(error))?;
        let mut parser = FrameParser::default();
        parser.push(&body.to_bytes());
        let last = parser.next().map_err(|error| unwritable(&error))?;
        Ok(last.as_ref() == spill.last() && !last.is_some_and(|last| LongLines::is_piece(&last)))
    }
}

/// From which time to ask again, and how many of the records that then come are stored already. Asks for a
/// little more than is needed, because records may be out of order by a little.
fn resume_point(spill: &Spill) -> io::Result<(Option<Timestamp>, u64)> {
    let Some(newest) = spill.extent().newest else { return Ok((None, 0)) };
    let since = newest - DISORDER;
    let time = Timestamp::from_nanosecond(i128::from(since)).map_err(io::Error::other)?;
    Ok((Some(time), spill.count_since(since)?))
}

fn unwritable(error: &io::Error) -> Error {
    Error::new(ErrorKind::Unavailable, format!("the log can't be kept: {error}"))
}
