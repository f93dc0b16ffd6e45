//! The actions of signals, which the standard library can't set.
#![expect(unsafe_code, reason = "a signal's action is set by C functions alone; they are declared and called here")]

use std::{
    ffi::{c_int, c_ulong, c_void},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use longshore_probe::{Action, Signal};

// `signal` rather than `sigaction`: no structure whose layout differs between platforms. In glibc and musl the handler
// stays and its own signal is held back while it runs.
unsafe extern "C" {
    safe fn _exit(code: c_int) -> !;
    safe fn getuid() -> u32;
    safe fn getgid() -> u32;
    fn poll(descriptors: *mut c_void, count: c_ulong, millis: c_int) -> c_int;
    safe fn raise(signal: c_int) -> c_int;
    fn signal(signal: c_int, action: usize) -> usize;
}

const DEFAULT: usize = 0;
const IGNORE: usize = 1;
const FAILED: usize = usize::MAX;

/// For each signal the end that its handler makes: the milliseconds to take, and in the lowest byte the exit code.
static ENDS: [AtomicU64; 65] = [const { AtomicU64::new(0) }; 65];

/// Gives the signal the action, and says whether the system let it.
pub(crate) fn set(target: Signal, action: Action) -> bool {
    let number = c_int::from(target.number());
    let action = match action {
        Action::Default => DEFAULT,
        Action::Ignore => IGNORE,
        Action::Exit { code, after } => {
            // The language's longest duration leaves the highest byte free.
            let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX >> 8);
            ENDS[usize::from(target.number())].store((millis << 8) | u64::from(code), Ordering::SeqCst);
            end as *const () as usize
        }
    };
    // SAFETY: the action is one of the two constants of <signal.h> or a handler of the right type, and the handler
    // calls nothing but what is safe in one.
    unsafe { signal(number, action) != FAILED }
}

/// Gives the signals that a parent may have had ignored, as `nohup` does, their usual actions, so that a script means the
/// same whoever starts it. The standard library needs SIGBUS, SIGSEGV and SIGPIPE (7, 11 and 13) as they are.
pub(crate) fn forget_inherited() {
    const KEPT: [u8; 3] = [7, 11, 13];
    for signal in Signal::all().filter(|signal| !KEPT.contains(&signal.number())) {
        set(signal, Action::Default);
    }
}

/// Sends this process the signal and returns if it is still there.
pub(crate) fn send_to_self(target: Signal) {
    raise(c_int::from(target.number()));
}

/// The real user and group of this process.
pub(crate) fn user_and_group() -> (u32, u32) {
    (getuid(), getgid())
}

/// The handler: takes its time and ends the process. What the signal broke into is thereby stopped, whatever it was.
/// It reads an atomic and the clock, waits by `poll` and ends by `_exit`; all of them are safe in a handler
/// (`signal-safety(7)`).
extern "C" fn end(number: c_int) {
    let end = usize::try_from(number).ok().and_then(|number| ENDS.get(number));
    let end = end.map_or(0, |end| end.load(Ordering::SeqCst));
    wait(Duration::from_millis(end >> 8));
    _exit((end & 0xff) as c_int)
}

fn wait(duration: Duration) {
    let start = Instant::now();
    while let Some(left) = duration.checked_sub(start.elapsed()).filter(|left| !left.is_zero()) {
        let millis = c_int::try_from(left.as_millis().saturating_add(1)).unwrap_or(c_int::MAX);
        // SAFETY: no descriptor is given, so that nothing is read or written through the pointer.
        unsafe { poll(ptr::null_mut(), 0, millis) };
    }
}
