//! Stores, and everything that can be read from them.

use longshore_core::{ByteSize, LaunchToken, LogCompleteness, LogQuery, LogRecord, Result};
use longshore_store::{LogReference, LogStore, SavedLog};
use std::{
    ffi::OsString,
    future::{Future, poll_fn},
    path::{Path, PathBuf},
    pin::pin,
    task::Poll,
};

use crate::program::Program;

pub(crate) const CAP: ByteSize = ByteSize::from_mib(1024);

/// A log store in a folder that goes away with it.
pub(crate) struct Folder {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: LogStore,
}

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = LogStore::local(folder.path()).unwrap();
        Self { folder, store }
    }

    /// All files, with their content.
    pub(crate) fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        collect(self.folder.path(), &mut files);
        files.sort();
        files
    }

    /// All files by their names alone, with their content.
    pub(crate) fn named(&self) -> Vec<(OsString, Vec<u8>)> {
        let name = |path: PathBuf| path.file_name().unwrap().to_owned();
        self.files().into_iter().map(|(path, content)| (name(path), content)).collect()
    }

    /// All files by their paths, those of a log in the order of its chunks.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files().into_iter().map(|(path, _)| path).collect()
    }
}

fn collect(folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            let content = std::fs::read(&path).unwrap();
            files.push((path, content));
        }
    }
}

pub(crate) async fn save(store: &LogStore, program: &Program, token: LaunchToken) -> SavedLog {
    store.save(program, &program.handle(token), CAP).await.unwrap()
}

/// Everything from the query's place on, in pages of its size, and what the end says.
pub(crate) async fn read_on(
    store: &LogStore,
    reference: &LogReference,
    mut query: LogQuery,
) -> Result<(Vec<LogRecord>, LogCompleteness)> {
    let mut records = Vec::new();
    loop {
        let page = store.read(reference, &query).await?;
        let went_on = query.cursor.as_ref() != Some(&page.next);
        records.extend(page.records);
        if let Some(completeness) = page.ended {
            return Ok((records, completeness));
        }
        assert!(went_on, "a page without an end leads nowhere");
        query.cursor = Some(page.next);
    }
}

pub(crate) async fn read_all(store: &LogStore, reference: &LogReference) -> Vec<LogRecord> {
    read_on(store, reference, LogQuery::from_start()).await.unwrap().0
}

pub(crate) fn bytes_of(records: &[LogRecord]) -> Vec<u8> {
    records.iter().flat_map(|record| record.bytes.to_vec()).collect()
}

/// What can be read, going on behind whatever can't, and the errors in between.
pub(crate) async fn read_what_is_left(store: &LogStore, reference: &LogReference) -> (Vec<u8>, Vec<String>) {
    let (mut bytes, mut errors) = (Vec::new(), Vec::new());
    let mut query = LogQuery::from_start();
    loop {
        match store.read(reference, &query).await {
            Ok(page) => {
                bytes.extend(bytes_of(&page.records));
                if page.ended.is_some() {
                    return (bytes, errors);
                }
                query.cursor = Some(page.next);
            }
            Err(error) => {
                errors.push(error.to_string());
                let start = store.seek(reference, longshore_store::LogPosition::AfterBytes(0)).await.unwrap();
                match store.skip(reference, query.cursor.as_ref().unwrap_or(&start)).await.unwrap() {
                    Some(next) => query.cursor = Some(next),
                    None => return (bytes, errors),
                }
            }
        }
    }
}

/// Runs to the end, unless it has to wait more often than so many times: then it is dropped there.
pub(crate) async fn at_most_waiting<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut waited = 0;
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if waited == times => Poll::Ready(None),
        Poll::Pending => {
            waited += 1;
            Poll::Pending
        }
    })
    .await
}
