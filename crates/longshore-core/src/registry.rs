//! The kinds of executor that a program knows, registered explicitly.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use crate::{
    Clock, ContainerExecutor, Error, ErrorKind, ExecutionHost, ExecutorType, LocalSecrets, Result, SecretResolver,
    SystemClock, nearest,
};

/// What an executor is given by the program that it is part of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ExecutorContext {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where secrets are found.
    pub secrets: Arc<dyn SecretResolver>,
    /// A folder for what an executor must keep on disk; it makes its own folder below.
    pub state_dir: PathBuf,
}

impl ExecutorContext {
    /// The system's clock and secrets of this machine, with the given folder for what is kept.
    pub fn new(state_dir: impl Into<PathBuf>) -> Self {
        Self { clock: Arc::new(SystemClock), secrets: Arc::new(LocalSecrets), state_dir: state_dir.into() }
    }

    /// The same with another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same with another source of secrets.
    #[must_use]
    pub fn with_secrets(mut self, secrets: Arc<dyn SecretResolver>) -> Self {
        self.secrets = secrets;
        self
    }
}

/// Makes the executor of a host from its configuration, without talking to it.
pub type BuildExecutor = fn(&ExecutionHost, &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>>;

/// A kind of executor: its name, what it is, how one is made, and the schemas of its own sections.
#[derive(Clone)]
#[non_exhaustive]
pub struct ExecutorKind {
    /// The name that configurations use.
    pub executor_type: ExecutorType,
    /// One line for people.
    pub description: &'static str,
    /// Makes one.
    pub build: BuildExecutor,
    /// The schema of `executor_config`.
    pub config_schema: fn() -> schemars::Schema,
    /// The schema of the job's `executor_options` section.
    pub options_schema: fn() -> schemars::Schema,
}

impl ExecutorKind {
    /// A kind of executor.
    #[must_use]
    pub const fn new(
        executor_type: ExecutorType,
        description: &'static str,
        build: BuildExecutor,
        config_schema: fn() -> schemars::Schema,
        options_schema: fn() -> schemars::Schema,
    ) -> Self {
        Self { executor_type, description, build, config_schema, options_schema }
    }
}

impl fmt::Debug for ExecutorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecutorKind")
            .field("executor_type", &self.executor_type)
            .field("description", &self.description)
            .finish_non_exhaustive()
    }
}

/// The kinds of executor that a program knows. What is not registered does not exist: nothing registers itself.
#[derive(Debug, Clone, Default)]
pub struct ExecutorRegistry {
    kinds: BTreeMap<ExecutorType, ExecutorKind>,
    absent: BTreeMap<ExecutorType, &'static str>,
}

impl ExecutorRegistry {
    /// A registry that knows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind; one of the same name is replaced.
    pub fn register(&mut self, kind: ExecutorKind) {
        self.kinds.insert(kind.executor_type.clone(), kind);
    }

    /// Tells of a kind that this program was built without, and of what would add it: a name that is missed is then
    /// answered with that.
    pub fn tell_absent(&mut self, kind: ExecutorType, added_by: &'static str) {
        self.absent.insert(kind, added_by);
    }

    /// The kinds, by name.
    pub fn kinds(&self) -> impl Iterator<Item = &ExecutorKind> {
        self.kinds.values()
    }

    /// Makes the executor of a host.
    ///
    /// # Errors
    /// `Unsupported` when the kind is not registered, naming those that are; `Invalid` when its configuration is.
    pub fn build(&self, host: &ExecutionHost, context: &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>> {
        let kind = self.kinds.get(&host.executor_type).ok_or_else(|| self.unknown(&host.executor_type))?;
        (kind.build)(host, context).map_err(|error| error.with_context("host", &host.name))
    }

    /// What is wrong with the name of a kind that is not registered: what there is instead, and what would add it.
    #[must_use]
    pub fn unknown(&self, wanted: &ExecutorType) -> Error {
        let known: Vec<&str> = self.kinds.keys().map(ExecutorType::as_str).collect();
        let listed = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        let way_out = match (self.absent.get(wanted), nearest(wanted.as_str(), known)) {
            (Some(added_by), _) => format!("{added_by} adds it; available: {listed}"),
            (None, Some(near)) => format!("did you mean `{near}`? available: {listed}"),
            (None, None) => format!("available: {listed}"),
        };
        Error::new(ErrorKind::Unsupported, format!("there is no executor `{wanted}` in this program; {way_out}"))
    }
}
