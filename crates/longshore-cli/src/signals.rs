//! Ctrl-C and SIGTERM: once asks, twice kills, three times leaves.

use longshore::{Error, ErrorKind, Result, Signal, StopLevel, StopSwitch};
use std::sync::OnceLock;
use tokio::signal::unix::{self, SignalKind};

/// The signals by which somebody asks this program to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
}

impl Signals {
    /// From now on these signals no longer end the program.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn install() -> Result<Self> {
        let refused = |error| Error::new(ErrorKind::Unexpected, "signals can't be received").with_source(error);
        Ok(Self {
            interrupt: unix::signal(SignalKind::interrupt()).map_err(refused)?,
            terminate: unix::signal(SignalKind::terminate()).map_err(refused)?,
        })
    }

    /// The next one. Cancel-safe.
    async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
        }
    }
}

/// Returns at the next signal. Cancel-safe.
pub(crate) async fn any() {
    match Signals::install() {
        Ok(mut signals) => {
            signals.next().await;
        }
        Err(_) => std::future::pending().await,
    }
}

/// What the signals of a run have asked for so far.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Stops the run.
    pub(crate) switch: StopSwitch,
    first: OnceLock<Signal>,
}

impl Asked {
    /// The signal that first asked for a stop.
    pub(crate) fn signal(&self) -> Option<Signal> {
        self.first.get().copied()
    }

    /// Passes signals on to the run, each with a word to the user, and returns at the third, which is for when even
    /// a kill does not come through because the host can't be reached. Cancel-safe.
    pub(crate) async fn listen(&self, signals: &mut Signals, tell: impl Fn(&str)) {
        for (level, words) in STEPS {
            let signal = signals.next().await;
            self.first.get_or_init(|| signal);
            self.switch.stop(level);
            tell(words);
        }
        signals.next().await;
    }
}

const STEPS: [(StopLevel, &str); 2] = [
    (StopLevel::Graceful, "stopping the job; Ctrl-C again kills it"),
    (StopLevel::Kill, "killing the job; Ctrl-C again leaves it as it is"),
];
