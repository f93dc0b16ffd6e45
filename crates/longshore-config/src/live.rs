//! A configuration in force: followed when its file changes, kept when the new version is bad.

use arc_swap::ArcSwap;
use longshore_core::{
    Clock, ContainerExecutor, ExecutionHost, HostName, Result,
    route::{RoutedHost, Router, RoutingTable},
};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::sync::{Mutex, Notify};

use crate::{Config, Loader, Problems};

/// Makes the executor of a host.
pub type Build = dyn Fn(&ExecutionHost) -> Result<Arc<dyn ContainerExecutor>> + Send + Sync;

/// How long a file must rest after a change before it is read: editors write in several steps.
const REST: Duration = Duration::from_millis(100);
/// How often the file is looked at although nobody has told of a change.
pub const LOOK: Duration = Duration::from_secs(5);
/// How long a new host may take to say what it is before the configuration is put in force without that.
const PATIENCE: Duration = Duration::from_secs(5);

/// A configuration file and the router that it feeds.
///
/// A new version takes effect as a whole or not at all: while anything is wrong with it, the former one stays in force.
/// Jobs that run are not touched by it. A host whose settings stay the same keeps its executor, with all that this one
/// knows; whoever holds the executor of a host that is gone can go on using it.
pub struct LiveConfig {
    path: PathBuf,
    loader: Loader,
    build: Box<Build>,
    clock: Arc<dyn Clock>,
    router: Arc<Router>,
    beside: Vec<RoutedHost>,
    config: ArcSwap<Config>,
    executors: Mutex<Executors>,
}

type Executors = HashMap<HostName, (ExecutionHost, Arc<dyn ContainerExecutor>)>;

impl LiveConfig {
    /// Reads a configuration, makes its executors, asks them what they are, each for five seconds at most, and puts it in
    /// force. Relative references in it begin at its folder.
    ///
    /// # Errors
    /// Everything that is wrong with it. A host that does not answer is no error.
    pub async fn open(
        path: impl Into<PathBuf>,
        loader: Loader,
        clock: Arc<dyn Clock>,
        build: impl Fn(&ExecutionHost) -> Result<Arc<dyn ContainerExecutor>> + Send + Sync + 'static,
    ) -> Result<Self, Problems> {
        Self::open_beside(path, loader, clock, Vec::new(), build).await
    }

    /// The same with further hosts, which stay whatever the file says. One with the name of a configured host is left out.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_beside(
        path: impl Into<PathBuf>,
        loader: Loader,
        clock: Arc<dyn Clock>,
        beside: Vec<RoutedHost>,
        build: impl Fn(&ExecutionHost) -> Result<Arc<dyn ContainerExecutor>> + Send + Sync + 'static,
    ) -> Result<Self, Problems> {
        let path = path.into();
        let config = loader.read(&path)?;
        let table = config.table_beside(&beside, &build)?;
        let executors = executors_of(&table);
        let router = Arc::new(Router::new(table));
        router.discover(None, clock.as_ref(), PATIENCE).await;
        Ok(Self {
            path,
            loader,
            build: Box::new(build),
            clock,
            router,
            beside,
            config: ArcSwap::from_pointee(config),
            executors: Mutex::new(executors),
        })
    }

    /// The router, which always has the version in force.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.router
    }

    /// The same router, to be shared.
    #[must_use]
    pub fn shared_router(&self) -> Arc<Router> {
        Arc::clone(&self.router)
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The version in force.
    #[must_use]
    pub fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Reads the file again, and puts it in force when nothing is wrong with it. Cancel-safe: dropped before its end, it
    /// leaves the former version in force.
    ///
    /// # Errors
    /// Everything that is wrong with it; the former version stays in force.
    pub async fn reload(&self) -> Result<Arc<Config>, Problems> {
        let mut executors = self.executors.lock().await;
        let config = Arc::new(self.loader.read(&self.path)?);
        let build = |host: &ExecutionHost| kept(&executors, host).map_or_else(|| (self.build)(host), Ok);
        let table = config.table_beside(&self.beside, build)?;
        let fresh = table.hosts().iter().filter(|host| host.host.enabled && host.executor.facts().is_none());
        let asked = fresh.map(|host| async {
            tokio::select! {
                _ = host.executor.discover() => {}
                () = self.clock.sleep(PATIENCE) => {}
            }
        });
        futures::future::join_all(asked).await;
        *executors = executors_of(&table);
        self.router.reload(table);
        self.config.store(Arc::clone(&config));
        Ok(config)
    }

    /// Follows the file, and on Unix the signal SIGHUP, and reloads at each change; `tell` hears what became of it. Goes
    /// on until it is dropped, which leaves the version that is then in force.
    ///
    /// A change is seen at once where the system tells of it, however it is made: in place, by another file, or by a link
    /// that is turned. Where it does not tell, as when a whole folder is replaced, it is seen within [`LOOK`].
    ///
    /// # Errors
    /// When the file's folder can't be watched to begin with, or the signal not be listened to.
    pub async fn follow(&self, mut tell: impl FnMut(Result<Arc<Config>, Problems>)) -> std::io::Result<()> {
        let mut watch = Watch::begin(&self.path)?;
        let mut hangup = Hangup::listen()?;
        // What was changed between the first reading and the beginning of the watch is not missed.
        let mut seen = self.content();
        if seen.as_deref() != Some(self.config.load().source.text().as_bytes()) {
            tell(self.reload().await);
        }
        loop {
            let by_signal = tokio::select! {
                () = watch.changed() => {
                    self.clock.sleep(REST).await;
                    false
                }
                () = self.clock.sleep(LOOK) => false,
                () = hangup.received() => true,
            };
            watch.renew(&self.path);
            let now = self.content();
            if by_signal || now != seen {
                seen = now;
                tell(self.reload().await);
            }
        }
    }

    /// What the file holds, without the mark of Unicode; none when it can't be read.
    fn content(&self) -> Option<Vec<u8>> {
        let bytes = crate::loader::bytes_of(&self.path).ok()?;
        Some(bytes.strip_prefix("\u{feff}".as_bytes()).map_or(bytes.clone(), <[u8]>::to_vec))
    }
}

impl fmt::Debug for LiveConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveConfig").field("path", &self.path).finish_non_exhaustive()
    }
}

fn executors_of(table: &RoutingTable) -> Executors {
    let hosts = table.hosts().iter();
    hosts.map(|host| (host.host.name.clone(), (settings(&host.host), Arc::clone(&host.executor)))).collect()
}

/// The executor of a host whose settings have stayed the same.
fn kept(executors: &Executors, host: &ExecutionHost) -> Option<Arc<dyn ContainerExecutor>> {
    let (before, executor) = executors.get(&host.name)?;
    (*before == settings(host)).then(|| Arc::clone(executor))
}

/// What an executor is made of: not what only the router reads.
fn settings(host: &ExecutionHost) -> ExecutionHost {
    let mut settings = host.clone();
    settings.enabled = true;
    settings.max_concurrent_jobs = None;
    settings.weight = 1;
    settings.labels.clear();
    settings
}

/// The folders whose changes the system tells of: those of the file, and of every link on the way to it.
struct Watch {
    watcher: RecommendedWatcher,
    folders: BTreeSet<PathBuf>,
    changed: Arc<Notify>,
}

impl Watch {
    fn begin(path: &Path) -> std::io::Result<Self> {
        let changed = Arc::new(Notify::new());
        let teller = Arc::clone(&changed);
        let tell = move |event: notify::Result<notify::Event>| {
            // Our own reading is no change.
            if !event.is_ok_and(|event| event.kind.is_access()) {
                teller.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(tell).map_err(std::io::Error::other)?;
        let mut watch = Self { watcher, folders: BTreeSet::new(), changed };
        for folder in folders(path) {
            watch.watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(std::io::Error::other)?;
            watch.folders.insert(folder);
        }
        Ok(watch)
    }

    async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Watches the folders that are on the way now. One that was replaced has to be watched anew, and nobody tells which.
    fn renew(&mut self, path: &Path) {
        let now = folders(path);
        for folder in self.folders.union(&now) {
            let _ = self.watcher.unwatch(folder);
        }
        self.folders = now.into_iter().filter(|folder| self.watch(folder)).collect();
    }

    fn watch(&mut self, folder: &Path) -> bool {
        self.watcher.watch(folder, RecursiveMode::NonRecursive).is_ok()
    }
}

/// How many links are followed.
const MOST_LINKS: usize = 16;

/// The folder of a path, and where it is a link, of what it links to, and so on; and the real folder.
fn folders(path: &Path) -> BTreeSet<PathBuf> {
    let folder = |path: &Path| match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => PathBuf::from("."),
        folder => folder.unwrap_or(path).to_owned(),
    };
    let mut found = BTreeSet::from([folder(path)]);
    let mut next = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = std::fs::read_link(&next) else { break };
        next = folder(&next).join(target);
        found.insert(folder(&next));
        // A folder on the way may be a link itself.
        found.extend(std::fs::read_link(folder(&next)).ok().map(|_| folder(&folder(&next))));
    }
    found.extend(std::fs::canonicalize(path).ok().map(|path| folder(&path)));
    found
}

/// The signal by which services are told to read their configuration again.
struct Hangup {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Hangup {
    #[cfg(unix)]
    fn listen() -> std::io::Result<Self> {
        tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).map(|signal| Self { signal })
    }

    #[cfg(unix)]
    async fn received(&mut self) {
        // None would mean that no signal can come any more.
        if self.signal.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }

    #[cfg(not(unix))]
    fn listen() -> std::io::Result<Self> {
        Ok(Self {})
    }

    #[cfg(not(unix))]
    async fn received(&mut self) {
        std::future::pending::<()>().await;
    }
}
