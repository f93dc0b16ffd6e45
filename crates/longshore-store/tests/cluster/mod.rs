//! A PostgreSQL server of the tests' own: in a temporary folder, on a unix socket, ended by its process id.

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, Executor, PgConnection};
use std::{
    fs,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long a server may take to start or to end. It only ends what hangs.
const LIMIT: Duration = Duration::from_secs(60);

const USER: &str = "longshore";

/// Somebody who needs a password, and what it is.
pub(crate) const GUARDED: (&str, &str) = ("guarded", "open-sesame");

pub(crate) struct Cluster {
    folder: TempDir,
    programs: PathBuf,
    /// Who it runs as, where that is not whoever runs the tests: it refuses to run as root.
    runs_as: Option<(u32, u32)>,
    server: Mutex<Option<Child>>,
    /// Ends the server when this process is gone, however it went: it waits for the end of its input.
    _watcher: Child,
}

/// What the watcher does, with the folder as its argument.
const WATCH: &str = "read _; kill -QUIT $(head -n 1 $0/data/postmaster.pid) && rm -rf $0";

/// The cluster that all tests share, each with a database of its own.
static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();

pub(crate) fn shared() -> Result<&'static Cluster, String> {
    SHARED.get_or_init(Cluster::start).as_ref().map_err(Clone::clone)
}

/// Ends the shared cluster, if it was started.
pub(crate) fn stop_shared() {
    if let Some(Ok(cluster)) = SHARED.get() {
        cluster.stop(Signal::INT);
        let _ = fs::remove_dir_all(cluster.folder.path());
    }
}

impl Cluster {
    pub(crate) fn start() -> Result<Self, String> {
        let programs = programs()?;
        let runs_as = ordinary_user()?;
        let folder = tempfile::Builder::new().prefix("pg-").tempdir().unwrap();
        if let Some((user, group)) = runs_as {
            chown(folder.path(), Some(user), Some(group)).unwrap();
        }
        let mut watcher = Command::new("sh");
        watcher.args(["-c", WATCH]).arg(folder.path()).stdin(Stdio::piped()).stderr(Stdio::null());
        let watcher = as_user(&mut watcher, runs_as).spawn().unwrap();
        let cluster = Self { folder, programs, runs_as, server: Mutex::default(), _watcher: watcher };
        let made = cluster
            .command("initdb")
            .args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username", USER, "--pgdata"])
            .arg(cluster.data())
            .output()
            .unwrap();
        assert_success(&made);
        fs::write(
            cluster.data().join("pg_hba.conf"),
            format!("local all {} scram-sha-256\nlocal all all trust\n", GUARDED.0),
        )
        .unwrap();
        cluster.launch();
        Ok(cluster)
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.env_clear().stdin(Stdio::null());
        as_user(&mut command, self.runs_as);
        command
    }

    /// Starts the server, and waits until it takes connections.
    pub(crate) fn launch(&self) {
        let log = fs::File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let socket = format!("unix_socket_directories={}", self.folder.path().display());
        let settings =
            ["listen_addresses=", &socket, "max_connections=200", "log_lock_waits=on", "shared_buffers=64MB"];
        let server = self
            .command("postgres")
            .arg("-D")
            .arg(self.data())
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.server.lock().unwrap() = Some(server);
        let began = Instant::now();
        while !self.is_ready() {
            assert!(began.elapsed() < LIMIT, "the server did not start:\n{}", self.log());
            // The server tells nobody that it is ready; there is nothing else to wait for.
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    fn is_ready(&self) -> bool {
        let asked = self.command("pg_isready").arg("-q").arg("-h").arg(self.folder.path()).status().unwrap();
        asked.success()
    }

    /// Ends the server with this signal: `INT` lets nobody finish, `QUIT` is a crash, after which it recovers.
    pub(crate) fn stop(&self, signal: Signal) {
        let Some(mut server) = self.server.lock().unwrap().take() else { return };
        kill_process(Pid::from_child(&server), signal).unwrap();
        server.wait().unwrap();
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// A database's URL for somebody.
    pub(crate) fn url_for(&self, user: &str, database: &str) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://{user}@{folder}/{database}")
    }

    pub(crate) fn url(&self, database: &str) -> String {
        self.url_for(USER, database)
    }

    /// The URL of a new database.
    pub(crate) async fn database(&self) -> String {
        let name = format!("test_{}", uuid::Uuid::new_v4().simple());
        let mut connection = PgConnection::connect(&self.url("postgres")).await.unwrap();
        connection.execute(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).await.unwrap();
        self.url(&name)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop(Signal::QUIT);
    }
}

/// The folder of the server's programs: that of Debian's newest version, or wherever `postgres` is found.
fn programs() -> Result<PathBuf, String> {
    let debian = (15..30).rev().map(|version| PathBuf::from(format!("/usr/lib/postgresql/{version}/bin")));
    let mut places = debian.chain(["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    let complete = |place: &Path| ["initdb", "postgres", "pg_isready"].iter().all(|it| place.join(it).exists());
    places
        .find(|place| complete(place))
        .ok_or_else(|| "there is no PostgreSQL server here; on Debian: apt-get install postgresql".to_owned())
}

/// The user that the package makes, for root; nobody else is needed for anybody else.
fn ordinary_user() -> Result<Option<(u32, u32)>, String> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &str| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut numbers = line.split(':').skip(2).map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    let found = of("postgres").or_else(|| of("nobody"));
    found
        .map(Some)
        .ok_or_else(|| "PostgreSQL does not run as root, and there is no user postgres or nobody here".to_owned())
}

/// In a folder and a process group of its own: what is typed at the terminal is not for it.
fn as_user(command: &mut Command, runs_as: Option<(u32, u32)>) -> &mut Command {
    if let Some((user, group)) = runs_as {
        command.uid(user).gid(group);
    }
    command.current_dir("/").process_group(0)
}

fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
