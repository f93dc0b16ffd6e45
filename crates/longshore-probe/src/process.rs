//! The script, followed by this process.

use std::{
    env,
    ffi::OsString,
    fs::{self, File, OpenOptions},
    hint::black_box,
    io::{self, ErrorKind, Read, Write},
    os::{fd::AsFd, unix::ffi::OsStringExt},
    process::{self, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use longshore_probe::{
    Action, CHUNK, Context, Dispositions, Effect, Interpreter, ParseError, Program, Reaction, Signal, Stream,
};

use crate::signals;

/// The exit code of a process that nobody reads from any more: what a shell shows for a death by SIGPIPE.
const NOBODY_READS: u8 = 141;
/// `EX_IOERR` of `sysexits.h`.
const IO_ERROR: u8 = 74;
/// The memory that is taken and touched at a time.
const STEP: u64 = 1024 * 1024;

/// Follows the arguments and returns the exit code.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> u8 {
    let program = match Program::parse_arguments(arguments) {
        Ok(program) => program,
        Err(refusal) => {
            // The exit code says it too, if nobody reads this.
            let _ = writeln!(io::stderr(), "longshore-probe: {refusal}");
            return ParseError::EXIT_CODE;
        }
    };
    Process::new(Interpreter::new(program, context())).map_or(IO_ERROR, Process::run)
}

/// Why an effect was not done.
enum Trouble {
    /// The process ends at once.
    End(u8),
    /// The script ends with a complaint.
    Failed(String),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

struct Process {
    interpreter: Interpreter,
    dispositions: Dispositions,
    /// Duplicates of the standard streams without a buffer: what has been written is never lost to a signal.
    stdout: File,
    stderr: File,
    kept: Vec<Vec<u8>>,
    /// Whether this is process 1 of its namespace, which the kernel shields.
    shielded: bool,
}

impl Process {
    fn new(interpreter: Interpreter) -> io::Result<Self> {
        let process = Self {
            interpreter,
            dispositions: Dispositions::new(),
            stdout: File::from(io::stdout().as_fd().try_clone_to_owned()?),
            stderr: File::from(io::stderr().as_fd().try_clone_to_owned()?),
            kept: Vec::new(),
            shielded: process::id() == 1,
        };
        signals::forget_inherited();
        if process.shielded {
            make_mortal(&process.dispositions);
        }
        Ok(process)
    }

    fn run(mut self) -> u8 {
        loop {
            let done = match self.interpreter.next_effect() {
                Effect::Exit(code) => return code,
                effect => self.perform(effect),
            };
            match done {
                Ok(()) => {}
                Err(Trouble::End(code)) => return code,
                Err(Trouble::Failed(reason)) => self.interpreter.fail(&reason),
            }
        }
    }

    fn perform(&mut self, effect: Effect) -> Result<(), Trouble> {
        match effect {
            Effect::Write { stream, bytes } => self.write(stream, &bytes),
            Effect::Sleep(duration) => {
                sleep(duration);
                Ok(())
            }
            Effect::Spin(duration) => {
                spin(duration);
                Ok(())
            }
            Effect::Forever => loop {
                sleep(Duration::MAX);
            },
            Effect::Allocate(size) => self.allocate(size),
            Effect::Disposition { signal, action } => self.set(signal, action),
            Effect::Raise(signal) => self.raise(signal),
            Effect::ReadFile(path) => self.read(&path),
            Effect::WriteFile { path, text, append } => Ok(write_file(&path, &text, append)?),
            Effect::Spawn { count, duration } => Ok(spawn(count, duration)?),
            Effect::Exit(code) => Err(Trouble::End(code)),
        }
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) -> Result<(), Trouble> {
        let written = match stream {
            Stream::Stdout => self.stdout.write_all(bytes),
            Stream::Stderr => self.stderr.write_all(bytes),
        };
        written.map_err(|error| match (error.kind(), stream) {
            (ErrorKind::BrokenPipe, _) => Trouble::End(NOBODY_READS),
            (_, Stream::Stdout) => error.into(),
            (_, Stream::Stderr) => Trouble::End(IO_ERROR),
        })
    }

    fn read(&mut self, path: &str) -> Result<(), Trouble> {
        let mut file = File::open(path)?;
        let mut piece = vec![0; CHUNK];
        loop {
            let length = match file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            };
            self.write(Stream::Stdout, &piece[..length])?;
        }
    }

    /// Takes the memory in small steps, so that the limit is met in the middle of one script's work and not by one
    /// call that is refused as a whole.
    fn allocate(&mut self, size: u64) -> Result<(), Trouble> {
        let mut left = size;
        while left > 0 {
            let step = left.min(STEP);
            let length = usize::try_from(step).unwrap_or(usize::MAX);
            let mut memory = Vec::new();
            memory.try_reserve_exact(length).map_err(|refusal| Trouble::Failed(refusal.to_string()))?;
            memory.resize(length, 1);
            self.kept.push(black_box(memory));
            left -= step;
        }
        Ok(())
    }

    fn set(&mut self, signal: Signal, action: Action) -> Result<(), Trouble> {
        if !signals::set(signal, action) {
            return Err(Trouble::Failed("the system keeps this signal to itself".to_owned()));
        }
        self.dispositions.set(signal, action);
        Ok(())
    }

    fn raise(&mut self, signal: Signal) -> Result<(), Trouble> {
        let fatal = self.dispositions.reaction(signal) == Reaction::Death;
        if fatal && !self.shielded {
            // The standard library ignores SIGPIPE and has handlers for the signals of a broken memory access.
            signals::set(signal, Action::Default);
        }
        signals::send_to_self(signal);
        if fatal { Err(Trouble::End(signal.exit_code())) } else { Ok(()) }
    }
}

/// Process 1 of a namespace gets no signal without a handler, so that it gives each fatal one a handler that ends it.
fn make_mortal(dispositions: &Dispositions) {
    for signal in Signal::all().filter(|signal| dispositions.reaction(*signal) == Reaction::Death) {
        // SIGKILL and the two that the C library keeps for its threads stay as they are.
        signals::set(signal, Action::Exit { code: signal.exit_code(), after: Duration::ZERO });
    }
}

fn context() -> Context {
    let (uid, gid) = signals::user_and_group();
    Context {
        env: env::vars_os().map(|(name, value)| (name.into_vec(), value.into_vec())).collect(),
        working_directory: env::current_dir().map(|path| path.into_os_string().into_vec()).unwrap_or_default(),
        uid,
        gid,
        hostname: fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim_end().to_owned(),
    }
}

#[expect(clippy::disallowed_methods, reason = "to sleep is what the script asks for")]
fn sleep(duration: Duration) {
    thread::sleep(duration);
}

fn spin(duration: Duration) {
    let start = Instant::now();
    while start.elapsed() < duration {
        black_box(start);
    }
}

fn write_file(path: &str, text: &str, append: bool) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).write(true).append(append).truncate(!append).open(path)?;
    file.write_all(text.as_bytes())
}

/// Each child is this program with a script of one instruction. Nobody waits for them: they are left to process 1.
fn spawn(count: u32, duration: Duration) -> io::Result<()> {
    for _ in 0..count {
        let mut child = Command::new("/proc/self/exe");
        child.arg(format!("sleep {}ms", duration.as_millis())).stdin(Stdio::null()).spawn()?;
    }
    Ok(())
}
