//! Looking after a container that runs: its output, wishes to stop it, its end.

use longshore_core::{Clock, LogStream, Signal, StopReason, SystemClock};
use nix::sys::signal::{SigSet, Signal as KernelSignal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{OFlags, fcntl_getfl, fcntl_setfl},
    io::Errno,
    process::Signal as RawSignal,
};
use std::{
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use super::{
    container::Init,
    fault::{Doing, Outcome},
    stops::{Step, Stops},
};
use crate::{
    logs::LogWriter,
    state::{Exit, Folder},
};

/// As much as the program can write at a time before it waits for a reader (`pipe(7)`).
const PIECE: usize = 64 << 10;

/// Wakes the supervisor when a wish to stop was left.
pub(super) struct Bell(SignalFd);

impl Bell {
    /// Blocks every signal that can be blocked: the container is ended through its folder, and not by what a terminal or
    /// an init system sends to whole groups of processes.
    pub(super) fn new() -> Outcome<Self> {
        SigSet::all().thread_block().doing("signals can't be blocked")?;
        let mut rung = SigSet::empty();
        rung.add(KernelSignal::SIGUSR1);
        SignalFd::with_flags(&rung, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .doing("signals can't be read")
    }

    fn silence(&self) {
        while matches!(self.0.read_signal(), Ok(Some(_))) {}
    }
}

/// A container that runs.
pub(super) struct Running<'a> {
    pub(super) init: &'a Init,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    pub(super) bell: &'a Bell,
    pub(super) folder: &'a Folder,
    pub(super) stop_signal: Signal,
    pub(super) log: LogWriter,
}

/// How it went.
pub(super) struct Ran {
    pub(super) exit: Exit,
    pub(super) stop: Option<StopReason>,
    pub(super) log: LogWriter,
}

/// The outputs that are still open, and the buffer that they share.
struct Outputs {
    open: [Option<OwnedFd>; 2],
    buffer: Vec<u8>,
}

impl Running<'_> {
    /// Looks after the container to its end.
    pub(super) fn look_after(mut self) -> Outcome<Ran> {
        for output in [&self.stdout, &self.stderr] {
            let flags = fcntl_getfl(output).doing("an output can't be read")?;
            fcntl_setfl(output, flags | OFlags::NONBLOCK).doing("an output can't be read")?;
        }
        let mut outputs = Outputs { open: [Some(self.stdout), Some(self.stderr)], buffer: vec![0; PIECE] };
        let (mut stops, mut told) = (Stops::default(), None);
        // A wish may have come before the bell was there.
        let mut rung = true;
        loop {
            if let Some(exit) = self.init.ended(false).doing("the container can't be waited for")? {
                outputs.drain(&mut self.log);
                return Ok(Ran { exit, stop: told, log: self.log });
            }
            if rung && stops.look(self.folder, Instant::now()) == Step::Tell {
                told = stops.reason();
                tell(self.init, self.stop_signal);
            }
            let left = stops.time_left(Instant::now());
            if left.is_some_and(|left| left.is_zero()) {
                self.init.signal(RawSignal::KILL);
            }
            rung = outputs.wait(self.init, self.bell, left.filter(|left| !left.is_zero()))?;
            outputs.read(&mut self.log);
        }
    }
}

/// Images of init systems are stopped by real-time signals, which have numbers only.
#[expect(unsafe_code, reason = "the number is one of Linux's: our own type has no others")]
fn tell(init: &Init, signal: Signal) {
    init.signal(unsafe { RawSignal::from_raw_unchecked(signal.number().into()) });
}

impl Outputs {
    /// Waits for output, the bell, the end, or for so long. Returns whether the bell was rung.
    fn wait(&self, init: &Init, bell: &Bell, limit: Option<Duration>) -> Outcome<bool> {
        let mut watched =
            vec![PollFd::new(&init.alive, PollFlags::IN), PollFd::from_borrowed_fd(bell.0.as_fd(), PollFlags::IN)];
        watched.extend(self.open.iter().flatten().map(|output| PollFd::new(output, PollFlags::IN)));
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut watched, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error).doing("the container can't be watched"),
        }
        let rung = !watched[1].revents().is_empty();
        if rung {
            bell.silence();
        }
        Ok(rung)
    }

    /// Reads what is there, a piece of each output, so that neither waits for the other.
    fn read(&mut self, log: &mut LogWriter) -> bool {
        let mut more = false;
        for (output, stream) in self.open.iter_mut().zip([LogStream::Stdout, LogStream::Stderr]) {
            let Some(open) = output else { continue };
            match rustix::io::read(&*open, &mut self.buffer) {
                Ok(0) => *output = None,
                Ok(read) => {
                    log.write(stream, SystemClock.now(), &self.buffer[..read]);
                    more = true;
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => *output = None,
            }
        }
        more
    }

    /// Reads what the program left in its pipes. Nobody of the container lives who could write more.
    fn drain(&mut self, log: &mut LogWriter) {
        while self.read(log) {}
    }
}
