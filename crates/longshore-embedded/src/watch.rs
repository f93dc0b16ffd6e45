//! Learning of changes in folders without asking again and again: one inotify instance and one thread for all.

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags},
};
use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStringExt,
    },
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
};
use tokio::sync::Notify;

/// Tells of changes in folders for as long as it lives.
#[derive(Debug, Clone)]
pub(crate) struct Watcher(Arc<Owner>);

/// The last of these ends the thread.
#[derive(Debug)]
struct Owner {
    hub: Arc<Hub>,
    end: Arc<OwnedFd>,
}

#[derive(Debug)]
struct Hub {
    inotify: OwnedFd,
    folders: Mutex<HashMap<i32, Folder>>,
}

#[derive(Debug)]
struct Folder {
    path: Arc<Path>,
    bells: Vec<Weak<Bell>>,
}

/// Rung by changes in the folders that it was put into.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    notify: Notify,
    news: Mutex<News>,
}

/// What has changed since it was last asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct News {
    /// In which folders, and which of their entries.
    pub(crate) changed: HashSet<(Arc<Path>, OsString)>,
    /// There was more than could be kept: anything may have changed.
    pub(crate) gap: bool,
}

/// A bell that hangs in a folder, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    hub: Arc<Hub>,
    id: i32,
    bell: Arc<Bell>,
}

/// Writing, finished writing, coming, going; also the end of a process that held a file open for writing.
const CHANGES: WatchFlags = WatchFlags::MODIFY
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::CREATE)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVE_SELF)
    .union(WatchFlags::DELETE_SELF);

impl Watcher {
    /// # Errors
    /// When the kernel gives no more inotify instances (`fs.inotify.max_user_instances`).
    pub(crate) fn new() -> io::Result<Self> {
        let hub = Arc::new(Hub {
            inotify: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            folders: Mutex::default(),
        });
        let end = Arc::new(eventfd(0, EventfdFlags::CLOEXEC)?);
        let (thread_hub, thread_end) = (Arc::clone(&hub), Arc::clone(&end));
        std::thread::Builder::new().name("longshore-watch".to_owned()).spawn(move || thread_hub.listen(&thread_end))?;
        Ok(Self(Arc::new(Owner { hub, end })))
    }

    /// Hangs the bell into the folder.
    ///
    /// # Errors
    /// `NotFound` when there is no such folder; when the kernel gives no more watches (`fs.inotify.max_user_watches`).
    pub(crate) fn watch(&self, folder: &Path, bell: &Arc<Bell>) -> io::Result<Watch> {
        let hub = &self.0.hub;
        let mut folders = hub.folders();
        let id = inotify::add_watch(&hub.inotify, folder, CHANGES | WatchFlags::ONLYDIR)?;
        let entry = folders.entry(id).or_insert_with(|| Folder { path: folder.into(), bells: Vec::new() });
        entry.bells.push(Arc::downgrade(bell));
        drop(folders);
        Ok(Watch { hub: Arc::clone(hub), id, bell: Arc::clone(bell) })
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = rustix::io::write(&self.end, &1u64.to_ne_bytes());
    }
}

impl Watch {
    /// The bell that hangs here.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut folders = self.hub.folders();
        let Some(folder) = folders.get_mut(&self.id) else { return };
        let own = Arc::downgrade(&self.bell);
        if let Some(at) = folder.bells.iter().position(|bell| bell.ptr_eq(&own)) {
            folder.bells.swap_remove(at);
        }
        if folder.bells.is_empty() {
            folders.remove(&self.id);
            // The kernel has removed it already when the folder is gone.
            let _ = inotify::remove_watch(&self.hub.inotify, self.id);
        }
    }
}

impl Bell {
    /// Waits until it is rung. What rang it before anybody waited rings it still.
    pub(crate) async fn rung(&self) {
        self.notify.notified().await;
    }

    /// What has changed since this was last asked.
    pub(crate) fn news(&self) -> News {
        std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ring(&self, change: Option<(Arc<Path>, OsString)>) {
        let mut news = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        match change {
            Some(change) => drop(news.changed.insert(change)),
            None => news.gap = true,
        }
        drop(news);
        self.notify.notify_one();
    }
}

impl Hub {
    fn folders(&self) -> MutexGuard<'_, HashMap<i32, Folder>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread: until it is told to end.
    fn listen(&self, end: &OwnedFd) {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        loop {
            let mut watched = [PollFd::new(&self.inotify, PollFlags::IN), PollFd::new(end, PollFlags::IN)];
            match poll(&mut watched, None) {
                Ok(_) if !watched[1].revents().is_empty() => return,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return self.ring_all(),
            }
            let mut reader = inotify::Reader::new(self.inotify.as_fd(), &mut buffer);
            while let Ok(event) = reader.next() {
                if event.events().contains(ReadFlags::QUEUE_OVERFLOW) {
                    self.ring_all();
                } else {
                    let name = event.file_name().map(|name| OsString::from_vec(name.to_bytes().to_vec()));
                    self.ring(event.wd(), name.unwrap_or_default());
                }
            }
        }
    }

    fn ring(&self, id: i32, name: OsString) {
        let folders = self.folders();
        let Some(folder) = folders.get(&id) else { return };
        for bell in folder.bells.iter().filter_map(Weak::upgrade) {
            bell.ring(Some((Arc::clone(&folder.path), name.clone())));
        }
    }

    fn ring_all(&self) {
        for bell in self.folders().values().flat_map(|folder| &folder.bells).filter_map(Weak::upgrade) {
            bell.ring(None);
        }
    }
}

/// The folders and entries, for a test.
#[cfg(test)]
pub(crate) fn names(news: &News) -> Vec<(std::path::PathBuf, OsString)> {
    let mut names: Vec<_> = news.changed.iter().map(|(folder, name)| (folder.to_path_buf(), name.clone())).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn rung(bell: &Bell) -> bool {
        tokio::time::timeout(Duration::from_secs(10), bell.rung()).await.is_ok()
    }

    #[tokio::test]
    async fn a_bell_tells_what_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let (watcher, bell) = (Watcher::new().unwrap(), Arc::new(Bell::default()));
        let watch = watcher.watch(folder.path(), &bell).unwrap();
        std::fs::write(folder.path().join("x"), "1").unwrap();
        assert!(rung(watch.bell()).await);
        let mut found = Vec::new();
        while found.is_empty() {
            found = names(&bell.news());
        }
        assert_eq!(found, [(folder.path().to_owned(), OsString::from("x"))]);
    }

    #[tokio::test]
    async fn bells_in_the_same_folder_are_rung_each_and_no_longer_than_they_hang() {
        let folder = tempfile::tempdir().unwrap();
        let watcher = Watcher::new().unwrap();
        let (one, two) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
        let first = watcher.watch(folder.path(), &one).unwrap();
        let _second = watcher.watch(folder.path(), &two).unwrap();
        std::fs::write(folder.path().join("x"), "1").unwrap();
        assert!(rung(&one).await && rung(&two).await);
        drop((first, one.news(), two.news()));
        std::fs::write(folder.path().join("y"), "1").unwrap();
        assert!(rung(&two).await);
        assert!(!names(&one.news()).iter().any(|(_, name)| name == "y"));
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let (watcher, bell) = (Watcher::new().unwrap(), Arc::new(Bell::default()));
        assert_eq!(watcher.watch(Path::new("/no/such"), &bell).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
