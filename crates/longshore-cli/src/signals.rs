//! Ctrl-C, SIGTERM and the hang-up of a terminal: once asks, twice kills, three times leaves.

use longshore::{Error, ErrorKind, Result, Signal, StopLevel, StopSwitch};
use std::sync::OnceLock;
use tokio::signal::unix::{self, SignalKind};

/// What a terminal sends when it closes.
const HANG_UP: Signal = match Signal::from_number(1) {
    Some(signal) => signal,
    None => Signal::TERM,
};

/// The signals by which somebody asks this program to end.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    /// Absent where `nohup` has had it ignored, which must stay so.
    hang_up: Option<unix::Signal>,
}

impl Signals {
    /// From now on these signals no longer end the program.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub(crate) fn install() -> Result<Self> {
        let receive = |kind| {
            let refused = |error| Error::new(ErrorKind::Unexpected, "signals can't be received").with_source(error);
            unix::signal(kind).map_err(refused)
        };
        Ok(Self {
            interrupt: receive(SignalKind::interrupt())?,
            terminate: receive(SignalKind::terminate())?,
            hang_up: hang_up_ends_us().then(|| receive(SignalKind::hangup())).transpose()?,
        })
    }

    /// The same, but a hang-up means something else here.
    pub(crate) fn without_hang_up(self) -> Self {
        Self { hang_up: None, ..self }
    }

    /// The next one. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Signal {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Signal::INT,
            _ = self.terminate.recv() => Signal::TERM,
            _ = hang_up => HANG_UP,
        }
    }
}

/// True when a hang-up would end this program, or already comes to it. Where the system does not tell what is
/// ignored, it stays as it is.
fn hang_up_ends_us() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| !ignores(&status, HANG_UP).unwrap_or(true))
}

/// Whether a process ignores a signal, by the mask in its `/proc/PID/status` (`proc_pid_status(5)`).
fn ignores(status: &str, signal: Signal) -> Option<bool> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    let mask = u64::from_str_radix(mask.trim(), 16).ok()?;
    Some(mask >> (signal.number() - 1) & 1 == 1)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let status = |mask: &str| format!("Name:\tlongshore\nSigBlk:\tffffffffffffffff\nSigIgn:\t{mask}\n");
        assert_eq!(ignores(&status("0000000000000001"), HANG_UP), Some(true));
        assert_eq!(ignores(&status("fffffffffffffffe"), HANG_UP), Some(false));
        assert_eq!(ignores(&status("0000000000004000"), Signal::TERM), Some(true));
        assert_eq!(ignores("Name:\tlongshore\n", HANG_UP), None);
        assert_eq!(ignores(&status("nothing"), HANG_UP), None);
    }
}
