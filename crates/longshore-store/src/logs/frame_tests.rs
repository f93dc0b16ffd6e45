use super::*;
use proptest::prelude::*;

fn record() -> impl Strategy<Value = LogRecord> {
    let time = prop_oneof![
        (-1_000_000_000_000_i128..2_000_000_000_000_000_000).prop_map(|time| Timestamp::from_nanosecond(time).ok()),
        Just(Some(Timestamp::MIN)),
        Just(Some(Timestamp::MAX)),
        Just(None),
    ];
    let container = prop_oneof![Just("main".to_owned()), "[a-z0-9][a-z0-9-]{0,62}"];
    let bytes = prop::collection::vec(any::<u8>(), 1..300);
    (any::<bool>(), time, container, bytes).prop_map(|(stderr, time, container, bytes)| {
        let stream = if stderr { LogStream::Stderr } else { LogStream::Stdout };
        let mut record = LogRecord::new(stream, time, bytes.into());
        record.container = ContainerName::new(container).unwrap();
        record
    })
}

fn ending() -> impl Strategy<Value = Ending> {
    let completeness = prop_oneof![
        Just(LogCompleteness::Complete),
        ".*".prop_map(|reason| LogCompleteness::Missing { reason }),
        (1..u64::MAX)
            .prop_map(|cap| LogCompleteness::Truncated { cap: longshore_core::ByteSize::from_bytes(cap).unwrap() }),
    ];
    let entry = (any::<[u8; ChunkHash::BYTES]>(), any::<u64>(), any::<u64>())
        .prop_map(|(hash, content, newlines)| IndexEntry { hash: ChunkHash(hash), content, newlines });
    (completeness, any::<[u64; 3]>(), prop::collection::vec(entry, 0..5)).prop_map(
        |(completeness, [stdout_bytes, stderr_bytes, beyond_cap], index)| Ending {
            completeness,
            stdout_bytes,
            stderr_bytes,
            beyond_cap,
            index,
        },
    )
}

fn encode(records: &[LogRecord], ending: &Ending) -> Bytes {
    let mut writer = ChunkWriter::new();
    records.iter().for_each(|record| writer.record(record, &record.bytes));
    writer.ending(ending).unwrap();
    writer.into_bytes()
}

/// The records and the ending up to the first damage, and the damage.
fn decode(bytes: &Bytes) -> (Vec<LogRecord>, Option<Ending>, Option<Damage>) {
    let (mut records, mut ending) = (Vec::new(), None);
    let frames = match Frames::of(bytes) {
        Ok(frames) => frames,
        Err(damage) => return (records, ending, Some(damage)),
    };
    for frame in frames {
        match frame {
            Ok(Frame::Record(piece)) => match piece.into_record(0) {
                Ok(record) => records.push(record),
                Err(damage) => return (records, ending, Some(damage)),
            },
            Ok(Frame::Ending(found)) => ending = Some(found),
            Err(damage) => return (records, ending, Some(damage)),
        }
    }
    (records, ending, None)
}

proptest! {
    #[test]
    fn what_was_written_is_read(records in prop::collection::vec(record(), 0..20), ending in ending()) {
        let bytes = encode(&records, &ending);
        prop_assert_eq!(decode(&bytes), (records, Some(ending), None));
    }

    #[test]
    fn bytes_that_are_cut_give_what_stands_before_the_cut(
        records in prop::collection::vec(record(), 0..6),
        ending in ending(),
        cut in any::<prop::sample::Index>(),
    ) {
        let whole = encode(&records, &ending);
        let (found, end, damage) = decode(&whole.slice(..cut.index(whole.len())));
        prop_assert!(records.starts_with(&found));
        prop_assert_eq!(end, None);
        prop_assert!(matches!(damage, None | Some(Damage::CutOff)), "{:?}", damage);
    }

    #[test]
    fn foreign_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), headed in any::<bool>()) {
        let mut chunk = if headed { ChunkWriter::new().into_bytes().to_vec() } else { Vec::new() };
        chunk.extend(bytes);
        decode(&chunk.into());
    }

    #[test]
    fn a_changed_byte_never_panics(
        records in prop::collection::vec(record(), 1..6),
        ending in ending(),
        place in any::<prop::sample::Index>(),
        change in 1..=u8::MAX,
    ) {
        let mut bytes = encode(&records, &ending).to_vec();
        let place = place.index(bytes.len());
        bytes[place] ^= change;
        decode(&bytes.into());
    }
}

#[test]
fn a_newer_form_is_said_to_be_newer() {
    assert_eq!(decode(&Bytes::from_static(b"LSLG\x02")).2, Some(Damage::Newer(2)));
    assert_eq!(
        decode(&Bytes::from_static(b"\x7fELF\x01")).2,
        Some(Damage::Malformed("it does not begin as a log does"))
    );
}

#[test]
fn a_line_costs_few_bytes_more_than_its_own() {
    let times =
        [1_764_000_000_000_000_000, 1_764_000_000_000_250_000].map(|time| Timestamp::from_nanosecond(time).ok());
    let line = Bytes::from_static(b"sixteen bytes..\n");
    let mut writer = ChunkWriter::new();
    let lengths = times.map(|time| {
        let before = writer.len();
        writer.record(&LogRecord::new(LogStream::Stdout, time, line.clone()), &line);
        writer.len() - before - line.len()
    });
    assert_eq!(lengths, [11, 5]);
    assert_eq!((writer.content(), writer.newlines()), (32, 2));
}
