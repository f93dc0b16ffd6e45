//! A line of any length is saved and read in the same little memory. Alone in its program, because it measures the program.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "this test needs only a part of it")]
#[path = "logs/program.rs"]
mod program;

use bytes::Bytes;
use longshore_core::{ByteSize, LogQuery, LogRecord, LogStream};
use longshore_store::LogStore;
use program::Program;

/// What saving and reading may take beside what the program has before: a quarter of the line.
const MOST: u64 = 16 << 20;
const PIECE: usize = 256 << 10;
const PIECES: usize = 256;

/// The most memory that the program has had since the last call, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn a_line_without_end_takes_little_memory() {
    let piece = |number: usize| LogRecord::new(LogStream::Stdout, None, Bytes::from(vec![number as u8 | 0x80; PIECE]));
    let program = Program::writing(PIECES, piece);
    let folder = tempfile::tempdir().unwrap();
    let store = LogStore::local(folder.path()).unwrap();
    peak();
    let before = peak();
    let saved = store.save(&program, &program.handle(program::token()), ByteSize::from_mib(1 << 20)).await.unwrap();
    let saving = peak() - before;
    let (mut query, mut length) = (LogQuery::from_start(), 0);
    loop {
        let page = store.read(&saved.reference, &query).await.unwrap();
        for record in &page.records {
            assert!(record.bytes == piece(length / PIECE).bytes);
            length += record.bytes.len();
        }
        if page.ended.is_some() {
            break;
        }
        query.cursor = Some(page.next);
    }
    let reading = peak() - before;
    assert_eq!(length, PIECE * PIECES);
    assert!(saving < MOST && reading < MOST, "saving took {saving} bytes, reading {reading}");
}
