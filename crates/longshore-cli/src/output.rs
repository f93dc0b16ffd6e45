//! Where everything that a run shows is written, in its order, by one task.
//!
//! Whoever reads us may stop reading. Only the delivery of logs then waits: a notice is put into the queue and
//! never waited for, so that the job's time limits and its stop do not hang on a frozen terminal.

use bytes::{Bytes, BytesMut};
use longshore::{LogRecord, LogStream};
use std::{
    io::{self, IsTerminal},
    time::Duration,
};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt, Stderr, Stdout},
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::timeout,
};

/// How long the last words may take when nobody waits for the job any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The way to the writing task. Nothing is written any more once this is dropped.
#[derive(Debug)]
pub(crate) struct Output {
    queue: mpsc::UnboundedSender<Item>,
    writer: JoinHandle<()>,
}

#[derive(Debug)]
enum Item {
    /// Output of the job, in pieces for one stream each.
    Logs(Vec<(LogStream, Bytes)>, oneshot::Sender<io::Result<()>>),
    /// A line of our own for stderr.
    Line(String),
    /// A result for stdout.
    Result(String, oneshot::Sender<io::Result<()>>),
}

impl Output {
    /// Starts writing to our own stdout and stderr; with `all_to_stderr` the job's stdout goes there too.
    pub(crate) fn start(all_to_stderr: bool) -> Self {
        let one_screen = io::stdout().is_terminal() && io::stderr().is_terminal();
        Self::to(Sinks::new(tokio::io::stdout(), tokio::io::stderr(), all_to_stderr, one_screen))
    }

    fn to<O: Sink, E: Sink>(sinks: Sinks<O, E>) -> Self {
        let (queue, items) = mpsc::unbounded_channel();
        Self { queue, writer: tokio::spawn(write_all(items, sinks)) }
    }

    /// Writes the job's output, byte for byte, and returns when it is written.
    pub(crate) async fn logs(&self, records: &[LogRecord]) -> io::Result<()> {
        let (written, answer) = oneshot::channel();
        let pieces = records.chunk_by(|a, b| a.stream == b.stream).map(|run| (run[0].stream, joined(run)));
        self.send(Item::Logs(pieces.collect(), written));
        answer.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Puts a line of our own into the queue.
    pub(crate) fn line(&self, line: impl Into<String>) {
        self.send(Item::Line(line.into()));
    }

    /// Writes a result to stdout, and returns when it is written.
    pub(crate) async fn result(&self, text: String) -> io::Result<()> {
        let (written, answer) = oneshot::channel();
        self.send(Item::Result(text, written));
        answer.await.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Waits until everything is written; in haste, for a second at most.
    pub(crate) async fn close(self, in_haste: bool) {
        drop(self.queue);
        let limit = if in_haste { LAST_WORDS } else { Duration::MAX };
        let _ = timeout(limit, self.writer).await;
    }

    fn send(&self, item: Item) {
        // The task ends only after this sender has, or with the whole runtime.
        let _ = self.queue.send(item);
    }
}

/// Somewhere to write to.
trait Sink: AsyncWrite + Send + Unpin + 'static {}
impl<T: AsyncWrite + Send + Unpin + 'static> Sink for T {}

struct Sinks<O = Stdout, E = Stderr> {
    stdout: O,
    stderr: E,
    all_to_stderr: bool,
    /// True when both are shown on the same screen.
    one_screen: bool,
    /// True when the last byte that was shown where stderr is did not end its line.
    inside_line: bool,
}

async fn write_all<O: Sink, E: Sink>(mut items: mpsc::UnboundedReceiver<Item>, mut sinks: Sinks<O, E>) {
    while let Some(item) = items.recv().await {
        match item {
            Item::Logs(pieces, written) => {
                let _ = written.send(sinks.logs(&pieces).await);
            }
            Item::Line(line) => sinks.line(&line).await,
            Item::Result(text, written) => {
                let _ = written.send(write(&mut sinks.stdout, text.as_bytes()).await);
            }
        }
    }
}

impl<O: Sink, E: Sink> Sinks<O, E> {
    fn new(stdout: O, stderr: E, all_to_stderr: bool, one_screen: bool) -> Self {
        Self { stdout, stderr, all_to_stderr, one_screen, inside_line: false }
    }

    async fn logs(&mut self, pieces: &[(LogStream, Bytes)]) -> io::Result<()> {
        for (stream, bytes) in pieces {
            let to_stderr = self.all_to_stderr || *stream == LogStream::Stderr;
            if to_stderr || self.one_screen {
                self.inside_line = bytes.last().map_or(self.inside_line, |last| *last != b'\n');
            }
            if to_stderr {
                write(&mut self.stderr, bytes).await?;
            } else {
                write(&mut self.stdout, bytes).await?;
            }
        }
        Ok(())
    }

    /// Our own words begin a line of their own. Where they can't be written there is nobody to tell.
    async fn line(&mut self, line: &str) {
        let lead = if std::mem::take(&mut self.inside_line) { "\n" } else { "" };
        let _ = write(&mut self.stderr, format!("{lead}{line}\n").as_bytes()).await;
    }
}

/// The bytes of records that go to the same place, in one piece: one write for a page instead of one a line.
fn joined(records: &[LogRecord]) -> Bytes {
    if let [only] = records {
        return only.bytes.clone();
    }
    let mut all = BytesMut::with_capacity(records.iter().map(|record| record.bytes.len()).sum());
    records.iter().for_each(|record| all.extend_from_slice(&record.bytes));
    all.freeze()
}

async fn write(sink: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    sink.write_all(bytes).await?;
    sink.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt, DuplexStream, duplex},
        time::Instant,
    };

    fn record(stream: LogStream, bytes: &'static [u8]) -> LogRecord {
        LogRecord::new(stream, None, Bytes::from_static(bytes))
    }

    fn output(room: usize, all_to_stderr: bool) -> (Output, DuplexStream, DuplexStream) {
        let (stdout, out) = duplex(room);
        let (stderr, err) = duplex(room);
        (Output::to(Sinks::new(stdout, stderr, all_to_stderr, false)), out, err)
    }

    async fn read(mut stream: DuplexStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        bytes
    }

    #[tokio::test]
    async fn streams_stay_apart_and_bytes_stay_bytes() {
        let records = [
            record(LogStream::Stdout, b"a\xff"),
            record(LogStream::Stdout, b"\0\r\n"),
            record(LogStream::Stderr, b"\x1b[31me"),
            record(LogStream::Stdout, b"b"),
        ];
        for (all_to_stderr, expected_out, expected_err) in [
            (false, b"a\xff\0\r\nb".as_slice(), b"\x1b[31me\nlongshore: x\n".as_slice()),
            (true, b"".as_slice(), b"a\xff\0\r\n\x1b[31meb\nlongshore: x\n".as_slice()),
        ] {
            let (output, out, err) = output(1024, all_to_stderr);
            output.logs(&records).await.unwrap();
            output.line("longshore: x");
            output.close(false).await;
            assert_eq!((read(out).await.as_slice(), read(err).await.as_slice()), (expected_out, expected_err));
        }
    }

    #[tokio::test]
    async fn on_one_screen_our_words_begin_a_line_of_their_own() {
        for (one_screen, expected) in [(true, b"\nlongshore: x\n".as_slice()), (false, b"longshore: x\n".as_slice())] {
            let ((stdout, _out), (stderr, err)) = (duplex(1024), duplex(1024));
            let output = Output::to(Sinks::new(stdout, stderr, false, one_screen));
            output.logs(&[record(LogStream::Stdout, b"no newline")]).await.unwrap();
            output.line("longshore: x");
            output.close(false).await;
            assert_eq!(read(err).await, expected);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_reader_holds_up_only_the_logs() {
        let (output, _out, _err) = output(4, false);
        let records = [record(LogStream::Stdout, b"more than fits")];
        assert!(timeout(Duration::from_secs(60), output.logs(&records)).await.is_err());
        output.line("longshore: does not wait");
        let closing = Instant::now();
        output.close(true).await;
        assert_eq!(closing.elapsed(), LAST_WORDS);
    }

    #[tokio::test]
    async fn a_closed_reader_ends_the_delivery() {
        let (output, out, err) = output(1024, false);
        drop(out);
        let error = output.logs(&[record(LogStream::Stdout, b"x")]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        output.line("longshore: still here");
        output.close(false).await;
        assert_eq!(read(err).await, b"longshore: still here\n");
    }
}
