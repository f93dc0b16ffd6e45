//! News of executions: from the folder of all, and from each one's own.

use futures::stream::{self, StreamExt};
use longshore_core::{EventStream, ExecutionEvent, HostName, LaunchToken, Owner};
use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
    sync::Arc,
};

use crate::{
    state::{Folder, Home},
    watch::{Bell, News, Watch, Watcher},
};

/// News of one owner's executions on one host.
struct Listener {
    home: Home,
    host: HostName,
    owner: Owner,
    watcher: Watcher,
    bell: Arc<Bell>,
    _all: Watch,
    each: HashMap<LaunchToken, Watch>,
    told: VecDeque<ExecutionEvent>,
}

/// Begins to listen.
///
/// # Errors
/// When the folder can't be watched.
pub(crate) fn listen(home: &Home, host: &HostName, owner: &Owner, watcher: &Watcher) -> io::Result<EventStream> {
    let bell = Arc::new(Bell::default());
    let mut listener = Listener {
        home: home.clone(),
        host: host.clone(),
        owner: owner.clone(),
        watcher: watcher.clone(),
        _all: watcher.watch(&home.executions(), &bell)?,
        bell,
        each: HashMap::new(),
        told: VecDeque::new(),
    };
    listener.look_at_all();
    listener.told.clear();
    Ok(stream::unfold(listener, |mut listener| async { Some((listener.next().await, listener)) }).boxed())
}

impl Listener {
    async fn next(&mut self) -> ExecutionEvent {
        loop {
            if let Some(event) = self.told.pop_front() {
                return event;
            }
            self.bell.rung().await;
            self.take(self.bell.news());
        }
    }

    fn take(&mut self, news: News) {
        if news.gap {
            self.look_at_all();
            self.told.push_back(ExecutionEvent::Gap);
        }
        for (folder, name) in news.changed {
            if *folder == *self.home.executions() {
                name.to_str().and_then(|name| name.parse().ok()).into_iter().for_each(|token| self.look_at(token));
            } else if name == Folder::STARTED || name == Folder::ENDED || name == LOCK {
                self.tell(&folder);
            }
        }
    }

    fn look_at_all(&mut self) {
        match self.home.all() {
            Ok(all) => all.into_iter().for_each(|(token, _)| self.look_at(token)),
            Err(_) => self.told.push_back(ExecutionEvent::Gap),
        }
    }

    /// Listens to an execution that has come, or no longer to one that has gone.
    fn look_at(&mut self, token: LaunchToken) {
        let folder = self.home.execution(token);
        let Ok(Some(launched)) = folder.launched() else {
            if self.each.remove(&token).is_some() {
                self.change(token);
            }
            return;
        };
        if (launched.owner, launched.host) != (self.owner.clone(), self.host.clone()) || self.each.contains_key(&token)
        {
            return;
        }
        match self.watcher.watch(folder.path(), &self.bell) {
            Ok(watch) => drop(self.each.insert(token, watch)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(_) => self.told.push_back(ExecutionEvent::Gap),
        }
        // It may have changed before it was listened to.
        self.change(token);
    }

    fn tell(&mut self, folder: &Path) {
        let token = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
        token.into_iter().for_each(|token| self.change(token));
    }

    fn change(&mut self, token: LaunchToken) {
        self.told.push_back(ExecutionEvent::Changed { token, at: None });
    }
}

/// Closed by the kernel when the supervisor ends, whatever it dies of.
const LOCK: &str = "lock";
