//! What is saved is what is read.

use bytes::Bytes;
use longshore_core::{ByteSize, ContainerName, ErrorKind, LogCompleteness, LogCursor, LogQuery, LogRecord, LogStream};
use longshore_store::{LogPosition, LogReference, LogStore};
use longshore_testkit::suite::Test;

use crate::{
    program::{Program, line, token},
    support::{CAP, Folder, bytes_of, read_all, read_on, save},
};

pub(crate) const TESTS: &[Test] = &longshore_testkit::tests![
    every_byte_is_read_back,
    the_form_does_not_hang_on_the_pages,
    an_empty_log_has_an_end,
    what_is_no_whole_record_loses_no_byte,
    any_place_is_found,
    the_cap_cuts_visibly,
    json_is_parsed,
    a_log_without_an_end_is_not_saved,
    a_strange_cursor_or_reference_is_refused,
];

async fn every_byte_is_read_back() {
    let folder = Folder::new();
    for (records, chunks) in [(1, 0), (10, 0), (200, 1), (3_400, 5)] {
        let program = Program::writing(records, line);
        for store in [&folder.store, &LogStore::in_memory()] {
            let saved = save(store, &program, token()).await;
            let stored = if let LogReference::Stored { chunks, .. } = &saved.reference { *chunks } else { 0 };
            assert_eq!(stored, chunks);
            let expected = program.records();
            for max_bytes in [1 << 30, 100_000] {
                let query = LogQuery::from_start().with_max_bytes(max_bytes);
                let (found, completeness) = read_on(store, &saved.reference, query).await.unwrap();
                assert!(found == expected, "{records} records in pages of {max_bytes} bytes");
                assert_eq!(completeness, LogCompleteness::Complete);
            }
            let of = |stream| {
                expected.iter().filter(move |record| record.stream == stream).map(|record| record.bytes.len() as u64)
            };
            assert_eq!(saved.summary.stdout_bytes, of(LogStream::Stdout).sum::<u64>());
            assert_eq!(saved.summary.stderr_bytes, of(LogStream::Stderr).sum::<u64>());
        }
    }
}

async fn the_form_does_not_hang_on_the_pages() {
    let (folder, token) = (Folder::new(), token());
    let mut program = Program::writing(1_900, line);
    let first = save(&folder.store, &program, token).await;
    let files = folder.files();
    for page in [7, 1_000_000] {
        program.page = page;
        assert_eq!(save(&folder.store, &program, token).await, first);
        assert!(folder.files() == files);
    }
    let one = LogQuery::from_start().with_max_bytes(0);
    assert_eq!(folder.store.read(&first.reference, &one).await.unwrap().records, [line(0)]);
}

async fn an_empty_log_has_an_end() {
    let store = LogStore::in_memory();
    let mut program = Program::that_wrote(Vec::new());
    let lossy = LogCompleteness::Lossy { reason: "rotated".to_owned() };
    program.ended = Some(lossy.clone());
    let saved = save(&store, &program, token()).await;
    assert!(matches!(saved.reference, LogReference::Inline(_)));
    assert_eq!(read_on(&store, &saved.reference, LogQuery::from_start()).await.unwrap(), (Vec::new(), lossy));
}

async fn what_is_no_whole_record_loses_no_byte() {
    let store = LogStore::in_memory();
    let long = LogRecord::new(LogStream::Stdout, None, Bytes::from(vec![b'x'; 5 << 20]));
    let mut sidecar = line(1);
    sidecar.container = ContainerName::new("proxy").unwrap();
    let empty = LogRecord::new(LogStream::Stderr, None, Bytes::new());
    let program = Program::that_wrote(vec![empty.clone(), long, empty, sidecar.clone()]);
    let saved = save(&store, &program, token()).await;
    let found = read_all(&store, &saved.reference).await;
    assert!(found.iter().all(|record| !record.bytes.is_empty() && record.bytes.len() <= 1 << 20));
    assert!(bytes_of(&found) == program.bytes());
    assert_eq!(found.last(), Some(&sidecar));
}

async fn any_place_is_found() {
    let store = LogStore::in_memory();
    for records in [0, 1, 3, 1_500] {
        for closed in [true, false] {
            let mut written = Program::writing(records, line).records();
            written.extend((!closed).then(|| LogRecord::new(LogStream::Stdout, None, Bytes::from_static(b"no break"))));
            let program = Program::that_wrote(written);
            let saved = save(&store, &program, token()).await;
            let whole = program.bytes();
            for number in [0, 1, 2, 17, 8_000, 20_000, u64::MAX] {
                let behind = usize::try_from(number).unwrap_or(usize::MAX).min(whole.len());
                for (position, expected) in [
                    (LogPosition::LastLines(number), last_lines(&whole, number)),
                    (LogPosition::LastBytes(number), &whole[whole.len() - behind..]),
                    (LogPosition::AfterBytes(behind as u64), &whole[behind..]),
                ] {
                    let cursor = store.seek(&saved.reference, position).await.unwrap();
                    let found = read_on(&store, &saved.reference, LogQuery::after(cursor)).await.unwrap().0;
                    assert!(bytes_of(&found) == expected, "{records} records, {closed}, {position:?}");
                }
            }
        }
    }
}

fn last_lines(whole: &[u8], lines: u64) -> &[u8] {
    let mut starts: Vec<usize> = whole
        .split_inclusive(|byte| *byte == b'\n')
        .scan(0, |at, line| {
            let start = *at;
            *at += line.len();
            Some(start)
        })
        .collect();
    starts.reverse();
    let Some(last) = lines.checked_sub(1) else { return &[] };
    let start = usize::try_from(last).ok().and_then(|last| starts.get(last)).copied().unwrap_or_default();
    &whole[start..]
}

async fn the_cap_cuts_visibly() {
    let store = LogStore::in_memory();
    let program = Program::writing(2_400, line);
    let whole = program.bytes();
    for bytes in [1, 1000, 2_000_001] {
        let cap = ByteSize::from_bytes(bytes).unwrap();
        let saved = store.save(&program, &program.handle(token()), cap).await.unwrap();
        let truncated = LogCompleteness::Truncated { cap };
        assert_eq!((&saved.summary.completeness, saved.beyond_cap), (&truncated, whole.len() as u64 - bytes));
        assert_eq!(saved.summary.stdout_bytes + saved.summary.stderr_bytes, bytes);
        let (found, completeness) = read_on(&store, &saved.reference, LogQuery::from_start()).await.unwrap();
        assert!(bytes_of(&found) == whole[..bytes as usize]);
        assert_eq!(completeness, truncated);
    }
}

async fn json_is_parsed() {
    let store = LogStore::in_memory();
    let text = |text: &'static str| LogRecord::new(LogStream::Stdout, None, Bytes::from_static(text.as_bytes()));
    let mut program = Program::that_wrote(vec![text("{\"a\":\n"), line(0), text("[1]}\n")]);
    let saved = save(&store, &program, token()).await;
    assert_eq!(saved.parsed_output, Some(serde_json::json!({"a": [1]})));
    let short = ByteSize::from_bytes(18).unwrap();
    assert_eq!(store.save(&program, &program.handle(token()), short).await.unwrap().parsed_output, None);
    program.ended = Some(LogCompleteness::Missing { reason: "the disk died".to_owned() });
    assert_eq!(save(&store, &program, token()).await.parsed_output, None);
}

async fn a_log_without_an_end_is_not_saved() {
    let folder = Folder::new();
    let mut program = Program::writing(200, line);
    program.ended = None;
    let error = folder.store.save(&program, &program.handle(token()), CAP).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("save it again"), "{error}");
}

async fn a_strange_cursor_or_reference_is_refused() {
    let store = LogStore::in_memory();
    let stored = save(&store, &Program::writing(200, line), token()).await.reference;
    let inline = save(&store, &Program::writing(5, line), token()).await.reference;
    let behind = store.seek(&stored, LogPosition::AfterBytes(u64::MAX)).await.unwrap();
    let theirs = store.seek(&inline, LogPosition::AfterBytes(0)).await.unwrap();
    for cursor in [behind, theirs, LogCursor::new(""), LogCursor::new("x:1"), LogCursor::new("../x")] {
        let error = store.read(&stored, &LogQuery::after(cursor.clone())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{cursor:?}: {error}");
    }
    let strange = LogReference::Stored { name: "../../etc/passwd".to_owned(), chunks: 1, bytes: 1 };
    assert_eq!(store.read(&strange, &LogQuery::from_start()).await.unwrap_err().kind(), ErrorKind::Invalid);
    assert_eq!(store.remove(&strange).await.unwrap_err().kind(), ErrorKind::Invalid);
}
