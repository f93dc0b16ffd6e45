//! What must outlive this program and the engine can't keep: that a stop was ours, and the last usage seen.

use longshore_core::{ByteSize, Measured, StoredDuration, Usage};
use serde::{Deserialize, Serialize};
use std::{
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::mapping::state::StopNote;

/// The notes of one execution.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) stop: Option<StopNote>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sample: Option<Sample>,
}

/// The usage of a running container, as last seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) cpu_nanos: u64,
    pub(crate) peak_memory: u64,
    pub(crate) received: u64,
    pub(crate) sent: u64,
}

impl Sample {
    /// The usage that this sample tells of an execution of the given length.
    pub(crate) fn usage(sample: Option<Self>, wall_time: Duration) -> Usage {
        let mut usage = Usage::of_wall_time(wall_time);
        let Some(sample) = sample else { return usage };
        usage.cpu_time = Some(Measured::Sampled(StoredDuration(Duration::from_nanos(sample.cpu_nanos))));
        usage.peak_memory = ByteSize::from_bytes(sample.peak_memory).map(Measured::Sampled);
        usage.network_received = Some(Measured::Sampled(sample.received));
        usage.network_sent = Some(Measured::Sampled(sample.sent));
        usage
    }
}

/// Where the notes of one execution are.
#[derive(Debug, Clone)]
pub(crate) struct NotesFile(PathBuf);

impl NotesFile {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        Self(folder.join(format!("{name}.json")))
    }

    /// What is noted; nothing when there is no file, or one that a crash of the machine has damaged.
    pub(crate) fn read(&self) -> Notes {
        std::fs::read(&self.0).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }

    /// Changes the notes and returns what they are then; they are on disk when this returns. One change at a time, among
    /// all programs that share the folder.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Notes)) -> io::Result<Notes> {
        let folder = self.0.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let turn = std::fs::File::open(folder)?;
        turn.lock()?;
        let mut notes = self.read();
        change(&mut notes);
        let new = self.0.with_extension("json.new");
        let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&serde_json::to_vec(&notes)?)?;
        file.sync_all()?;
        std::fs::rename(&new, &self.0)?;
        Ok(notes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::StopReason;

    #[test]
    fn changes_that_are_made_at_once_are_all_kept() {
        let folder = tempfile::tempdir().unwrap();
        let file = NotesFile::new(folder.path(), "execution");
        let begin = || {
            for _ in 0..20 {
                let count = |notes: &mut Notes| {
                    let first = StopNote { reason: StopReason::Cancelled, confirmed: false, unanswered: 0 };
                    notes.stop.get_or_insert(first).unanswered += 1;
                };
                file.change(count).unwrap();
            }
        };
        std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(begin))));
        assert_eq!(file.read().stop.unwrap().unanswered, 80);
    }
}
