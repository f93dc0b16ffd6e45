//! The other openings of the same database, in this process and in others: which of them live, and what they have changed.
//!
//! Each opening has a file in a folder beside the database. It holds a lock on the file for as long as its process lives,
//! however that ends, and writes into it how often it has told each kind of news; others watch the folder. So a change
//! wakes the others at once, and nobody asks again and again.

use longshore_core::{Error, ErrorKind, Result};
use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};
use uuid::Uuid;

use super::fault::of_io;
use crate::{News, news::NewsBoard};

/// How often each kind of news was told, as it stands in an opening's file.
type Told = [u64; 4];

const KINDS: [News; 4] = {
    const NONE: News = News { queue: false, freed: false, interventions: false, moves: false };
    [
        News { queue: true, ..NONE },
        News { freed: true, ..NONE },
        News { interventions: true, ..NONE },
        News { moves: true, ..NONE },
    ]
};

/// This opening of the database, as its neighbours see it.
#[derive(Debug)]
pub(super) struct Opening {
    name: String,
    folder: PathBuf,
    file: Mutex<(File, Told)>,
}

/// The folder beside a database.
pub(super) fn folder_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-live");
    PathBuf::from(name)
}

impl Opening {
    /// Makes the file of this opening, and removes those of the dead.
    pub(super) fn new(database: &Path) -> Result<Self> {
        let folder = folder_of(database);
        let name = Uuid::new_v4().simple().to_string();
        let file =
            lock_new(&folder, &name).map_err(|error| of_io(error, "can't make a file for this process in", &folder))?;
        let opening = Self { name, folder, file: Mutex::new((file, Told::default())) };
        opening.remove_the_dead();
        Ok(opening)
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Tells the neighbours of news.
    pub(super) fn tell(&self, news: News) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, told) = &mut *file;
        for (count, kind) in told.iter_mut().zip(KINDS) {
            *count += u64::from(has(news, kind));
        }
        if let Err(error) = write_told(file, told) {
            // What was stored is stored; the neighbours find it when they look for themselves.
            tracing::warn!(%error, folder = %self.folder.display(), "could not tell other processes of a change");
        }
    }

    /// Whether the process of another opening has ended.
    pub(super) fn is_dead(&self, other: &str) -> Result<bool> {
        if other == self.name {
            return Ok(false);
        }
        is_dead(&self.folder.join(other)).map_err(|error| of_io(error, "can't look for the living in", &self.folder))
    }

    fn remove_the_dead(&self) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        for path in entries.flatten().map(|entry| entry.path()) {
            if is_opening(&path) && !path.ends_with(&self.name) && matches!(is_dead(&path), Ok(true)) {
                // That it is gone says the same as that it is not locked, and somebody else may have removed it.
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Tells the board of whatever the neighbours change from now on, for as long as what is returned lives.
    pub(super) fn watch(&self, board: Arc<NewsBoard>) -> Result<RecommendedWatcher> {
        let own = self.name.clone();
        let told = Mutex::new(HashMap::new());
        let hear = move |event: notify::Result<Event>| {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            board.tell(heard(&event, &own, &mut told));
        };
        let watching = notify::recommended_watcher(hear).and_then(|mut watcher| {
            watcher.watch(&self.folder, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        watching.map_err(|error| {
            let message = format!(
                "can't watch {} for changes by other processes; on Linux, raise fs.inotify.max_user_instances",
                self.folder.display()
            );
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.folder.join(&self.name));
    }
}

/// A locked file that appears under its name only once it is locked.
fn lock_new(folder: &Path, name: &str) -> io::Result<File> {
    let hidden = folder.join(format!(".{name}"));
    let mut file = OpenOptions::new().write(true).create_new(true).open(&hidden)?;
    file.try_lock()?;
    write_told(&mut file, &Told::default())?;
    fs::rename(hidden, folder.join(name))?;
    Ok(file)
}

fn is_opening(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| Uuid::try_parse(name).is_ok())
}

fn is_dead(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        file => file?,
    };
    match file.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn write_told(file: &mut File, told: &Told) -> io::Result<()> {
    let bytes: Vec<u8> = told.iter().flat_map(|count| count.to_le_bytes()).collect();
    file.rewind()?;
    file.write_all(&bytes)
}

fn read_told(path: &Path) -> io::Result<Told> {
    let mut bytes = [0; size_of::<Told>()];
    File::open(path)?.read_exact(&mut bytes)?;
    let mut told = Told::default();
    for (count, bytes) in told.iter_mut().zip(bytes.as_chunks().0) {
        *count = u64::from_le_bytes(*bytes);
    }
    Ok(told)
}

const fn has(news: News, kind: News) -> bool {
    news.queue && kind.queue
        || news.freed && kind.freed
        || news.interventions && kind.interventions
        || news.moves && kind.moves
}

/// What an event in the folder tells.
fn heard(event: &notify::Result<Event>, own: &str, told: &mut HashMap<PathBuf, Told>) -> News {
    let Ok(event) = event else { return News::EVERYTHING };
    if event.need_rescan() {
        return News::EVERYTHING;
    }
    let neighbours = event.paths.iter().filter(|path| is_opening(path) && !path.ends_with(own));
    let heard = neighbours.map(|path| match event.kind {
        EventKind::Create(_) | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any | ModifyKind::Name(_)) => {
            changed(path, told)
        }
        // Its process has ended, or is about to: what it held can be fenced off, and it may have been killed before it told
        // of what it had committed.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Remove(_) => {
            told.remove(path);
            News::EVERYTHING
        }
        _ => News::default(),
    });
    heard.fold(News::default(), News::or)
}

/// What a neighbour has told since it was last read.
fn changed(path: &Path, told: &mut HashMap<PathBuf, Told>) -> News {
    // A file that is gone already may have told of anything.
    let Ok(now) = read_told(path) else { return News::EVERYTHING };
    let before = told.insert(path.to_owned(), now).unwrap_or_default();
    let newer = KINDS.into_iter().zip(now.iter().zip(before)).filter(|(_, (now, before))| **now != *before);
    newer.fold(News::default(), |news, (kind, _)| news.or(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_lives_until_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("jobs.db");
        fs::create_dir(folder_of(&database)).unwrap();
        let (left, right) = (Opening::new(&database).unwrap(), Opening::new(&database).unwrap());
        assert!(!left.is_dead(right.name()).unwrap());
        assert!(!left.is_dead(left.name()).unwrap());
        let name = right.name().to_owned();
        drop(right);
        assert!(left.is_dead(&name).unwrap());
    }

    #[test]
    fn the_dead_are_removed_and_the_living_stay() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("jobs.db");
        fs::create_dir(folder_of(&database)).unwrap();
        let living = Opening::new(&database).unwrap();
        let dead = folder_of(&database).join(Uuid::nil().simple().to_string());
        fs::write(&dead, [0; 32]).unwrap();
        assert!(living.is_dead(&Uuid::nil().simple().to_string()).unwrap());
        let _other = Opening::new(&database).unwrap();
        assert!(!dead.exists());
        assert!(folder_of(&database).join(living.name()).exists());
    }

    #[test]
    fn what_was_told_is_heard_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("jobs.db");
        fs::create_dir(folder_of(&database)).unwrap();
        let opening = Opening::new(&database).unwrap();
        let path = folder_of(&database).join(opening.name());
        let mut told = HashMap::new();
        assert_eq!(changed(&path, &mut told), News::default());
        let news = News { queue: true, moves: true, ..News::default() };
        opening.tell(news);
        assert_eq!(changed(&path, &mut told), news);
        assert_eq!(changed(&path, &mut told), News::default());
        fs::remove_file(&path).unwrap();
        assert_eq!(changed(&path, &mut told), News::EVERYTHING);
    }

    #[test]
    fn whoever_ends_may_have_had_anything_to_tell() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("jobs.db");
        fs::create_dir(folder_of(&database)).unwrap();
        let opening = Opening::new(&database).unwrap();
        let path = folder_of(&database).join(opening.name());
        opening.tell(News { queue: true, ..News::default() });
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        let event = Ok(Event::new(closed).add_path(path));
        assert_eq!(heard(&event, "another", &mut HashMap::new()), News::EVERYTHING);
        assert_eq!(heard(&event, opening.name(), &mut HashMap::new()), News::default());
    }
}
