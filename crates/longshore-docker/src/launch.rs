//! Create and start as one act, whatever answers are lost and whoever else tries the same.

use jiff::Timestamp;
use longshore_core::{
    Advice, Clock, Error, ErrorKind, ExecutionHandle, LaunchRequest, LaunchSearch, Result, SecretResolver, clock::since,
};
use std::time::Duration;

use crate::{
    client::Engine,
    mapping::{
        answers::Container,
        create::{self, Frozen},
        errors::{from_failed_start, is_refused_start, may_have_happened},
        labels::{Identity, Metadata},
        state::{self, Stage},
    },
    memory::Memory,
    secret_files,
};

/// A launcher sends its start within this time of the container's creation, or not at all.
const START_WINDOW: Duration = Duration::from_secs(5);
/// Somebody who finds a container created and not started waits this long for its creator, who by then has
/// started it or has given up. Longer than [`START_WINDOW`] by the time that a start may be on its way.
const CREATOR_WINDOW: Duration = Duration::from_secs(7);
/// Why nobody can say whether a container was started.
const FORGOTTEN: &str = "the engine does not remember making the container, and would not know if it has run since";
const CUT_OFF: &str = "the engine lost its runtime during the start, and does not know if the container has run";
/// How often to look meanwhile.
const LOOK: Duration = Duration::from_millis(100);

/// One launch under way.
pub(crate) struct Launch<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) secrets: &'a dyn SecretResolver,
    pub(crate) request: &'a LaunchRequest,
}

/// A launch that has happened.
pub(crate) struct Launched {
    pub(crate) handle: ExecutionHandle,
    /// Whether it was this launch that started the container, and the engine has said so.
    pub(crate) just_started: bool,
}

impl Launched {
    const fn adopted(handle: ExecutionHandle) -> Self {
        Self { handle, just_started: false }
    }
}

impl Launch<'_> {
    /// Launches, or adopts what an earlier launch of the same token has made.
    pub(crate) async fn run(&self) -> Result<Launched> {
        let template = &self.request.plan.template;
        let frozen = self.frozen()?;
        let metadata = Metadata {
            log_cap: log_cap(self.request)?,
            log_driver: frozen.log_driver.clone(),
            engine: frozen.engine.clone(),
        };
        let variables = secret_files::variables(template, self.secrets).await?;
        let body = create::body(self.request, &frozen, &metadata, variables);
        let platform = template.platform.as_ref().map(ToString::to_string);
        let began = self.clock.now();
        let mut was_taken = false;
        loop {
            let unsent = |error: Error| if was_taken { error.with_advice(Advice::LookUpFirst) } else { error };
            self.engine.recognize_again(frozen.engine.as_ref()).await.map_err(unsent)?;
            self.request.check_deadline(self.clock)?;
            match self.engine.create(&self.name(), platform.as_deref(), &body).await {
                Ok(id) => {
                    // A container that was made where nobody will look for it is not started.
                    if let Err(other) = self.engine.recognize_again(frozen.engine.as_ref()).await {
                        return Err(self.give_up(&id, other).await);
                    }
                    let just_started = self.start(&id).await?;
                    return Ok(Launched { handle: self.new_handle(&id, metadata), just_started });
                }
                Err(error) if error.kind() == ErrorKind::NotFound => return Err(not_created(&error)),
                Err(error) if error.kind() != ErrorKind::Conflict => return Err(may_have_happened(error)),
                Err(conflict) => match self.adopt(began).await? {
                    Some(handle) => return Ok(Launched::adopted(handle)),
                    None if since(self.clock.now(), began) >= CREATOR_WINDOW => {
                        return Err(vanished().with_source(conflict));
                    }
                    None => {
                        was_taken = true;
                        self.clock.sleep(LOOK).await;
                    }
                },
            }
        }
    }

    /// The handle of the container that was just made.
    fn new_handle(&self, id: &str, metadata: Metadata) -> ExecutionHandle {
        let LaunchRequest { plan, owner, token, .. } = self.request;
        let identity = Identity { owner: owner.clone(), token: *token, metadata };
        identity.handle(id, &plan.executor_type, &plan.host)
    }

    /// Says whether the launch happened. A container that was made and not started proves that it did not, as long as
    /// the engine has lived since: only a start that is sent before the deadline could still change that, and a second
    /// launch finds the same name.
    pub(crate) async fn find(&self) -> Result<LaunchSearch> {
        let container = self.inspect().await?;
        // After the look: nothing follows from what another engine has or has not.
        self.engine.confirm(self.frozen()?.engine.as_ref()).await?;
        let Some(container) = container else { return Ok(LaunchSearch::Absent) };
        let handle = self.handle(&container)?;
        match state::stage(&container) {
            Stage::Created { failed_start } => {
                let doubt = self.doubt(&container, failed_start.as_deref()).await?;
                Ok(doubt.map_or(LaunchSearch::Absent, |reason| LaunchSearch::Unprovable { reason }))
            }
            Stage::Running { .. } | Stage::Ended => Ok(LaunchSearch::Found(handle)),
        }
    }

    /// Why a container that was made and, as the engine says, not started may have run all the same. An engine that was
    /// killed in the middle of a start comes back with such a container although its program has run to its end, and one
    /// whose containerd was killed calls such a start a failure (both measured on Engine 20.10). Only an engine that has lived
    /// since the making, and can still show it, is beyond the first doubt. Podman asks its runtime.
    async fn doubt(&self, container: &Container, failed_start: Option<&str>) -> Result<Option<String>> {
        if let Some(words) = failed_start {
            return Ok(from_failed_start(words).is_none().then(|| format!("{CUT_OFF}: {words}")));
        }
        if self.engine.is_podman() {
            return Ok(None);
        }
        let memory = Memory::of(self.engine, &container.id).await?;
        Ok((!memory.has_the_making(container)).then(|| FORGOTTEN.to_owned()))
    }

    fn name(&self) -> String {
        self.request.token.to_string()
    }

    fn frozen(&self) -> Result<Frozen> {
        let settings = &self.request.plan.host_settings;
        if settings.version != Frozen::VERSION {
            let message = format!(
                "the plan's host settings are of version {}, and this version reads {}",
                settings.version,
                Frozen::VERSION
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        serde_json::from_value(settings.settings.clone()).map_err(|error| {
            Error::new(ErrorKind::Invalid, "the plan's host settings can't be read").with_source(error)
        })
    }

    async fn inspect(&self) -> Result<Option<Container>> {
        match self.engine.inspect(&self.name()).await {
            Ok(container) => Ok(Some(container)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The handle of a container that is ours; anybody else's of the same name is a conflict.
    fn handle(&self, container: &Container) -> Result<ExecutionHandle> {
        let plan = &self.request.plan;
        let identity = Identity::read(&container.config.labels, &plan.host)
            .filter(|identity| identity.owner == self.request.owner && identity.token == self.request.token);
        identity.map(|identity| identity.handle(&container.id, &plan.executor_type, &plan.host)).ok_or_else(|| {
            let message = format!("a container named {} exists that is not ours; remove or rename it", self.name());
            Error::new(ErrorKind::Conflict, message).with_context("container", &container.id)
        })
    }

    /// The name is taken: by an earlier launch of the same token, or by somebody else. `None` when there is no such
    /// container after all: it is only being made, or was just removed.
    async fn adopt(&self, began: Timestamp) -> Result<Option<ExecutionHandle>> {
        loop {
            // Whoever has made it may have started it.
            let open = |error: Error| error.with_advice(Advice::LookUpFirst);
            let Some(container) = self.inspect().await.map_err(open)? else { return Ok(None) };
            let handle = self.handle(&container)?;
            let Stage::Created { failed_start } = state::stage(&container) else { return Ok(Some(handle)) };
            let id = &handle.external_execution_id;
            if let Some((kind, words)) = failed_start.as_deref().and_then(refusal) {
                return Err(self.discard(id, kind, words).await);
            }
            if failed_start.is_none() && since(self.clock.now(), began) < CREATOR_WINDOW {
                self.clock.sleep(LOOK).await;
                continue;
            }
            if let Some(reason) = self.doubt(&container, failed_start.as_deref()).await.map_err(open)? {
                return Err(open(Error::new(ErrorKind::Unavailable, reason)));
            }
            self.start(id).await?;
            return Ok(Some(handle));
        }
    }

    /// Delivers the secrets and starts a container that has just been made, or whose creator has given up. False when the
    /// start has happened, but not by the engine's answer to it.
    async fn start(&self, id: &str) -> Result<bool> {
        let began = self.clock.now();
        let template = &self.request.plan.template;
        if create::has_secret_files(template)
            && let Err(error) = self.deliver_secrets(id).await
        {
            return Err(self.give_up(id, error).await);
        }
        if let Err(late) = self.request.check_deadline(self.clock) {
            return Err(self.give_up(id, late).await);
        }
        if since(self.clock.now(), began) >= START_WINDOW {
            let message = "the container could not be made ready in time to be started";
            return Err(self.give_up(id, Error::new(ErrorKind::Timeout, message)).await);
        }
        match self.engine.start(id).await {
            Ok(()) => Ok(true),
            Err(error) => self.after_failed_start(id, error).await.map(|()| false),
        }
    }

    async fn deliver_secrets(&self, id: &str) -> Result<()> {
        let archive = secret_files::archive(&self.request.plan.template, self.secrets).await?;
        self.engine.upload(id, create::SECRETS, archive).await
    }

    /// Finds out what a start that was answered with an error, or not at all, has done. It is never sent twice:
    /// the engine runs a container that has already ended again.
    async fn after_failed_start(&self, id: &str, error: Error) -> Result<()> {
        let container = match self.engine.inspect(id).await {
            Ok(container) => container,
            Err(gone) if gone.kind() == ErrorKind::NotFound => return Err(vanished().with_source(error)),
            Err(unknown) => return Err(unknown.with_advice(Advice::LookUpFirst)),
        };
        let Stage::Created { failed_start } = state::stage(&container) else { return Ok(()) };
        let words = if is_refused_start(&error) { Some(error.message()) } else { failed_start.as_deref() };
        match words.and_then(refusal) {
            Some((kind, words)) => Err(self.discard(id, kind, words).await),
            None => Err(error.with_advice(Advice::LookUpFirst)),
        }
    }

    /// Removes a container whose start has failed for good.
    async fn discard(&self, id: &str, kind: ErrorKind, words: &str) -> Error {
        let error =
            Error::new(kind, format!("the container could not be started: {words}")).with_operation("launch_job");
        self.give_up(id, error).await
    }

    /// Removes a container that was made and will not be started by us. What can't be removed now is found again by
    /// its token and its owner.
    async fn give_up(&self, id: &str, error: Error) -> Error {
        match self.engine.remove(id).await {
            Ok(()) => error,
            Err(gone) if gone.kind() == ErrorKind::NotFound => error,
            Err(left) => error.with_context("left behind", id).with_context("because", left.chain()),
        }
    }
}

/// What the words of a failed start tell, where they tell that nothing has run.
fn refusal(words: &str) -> Option<(ErrorKind, &str)> {
    from_failed_start(words).map(|kind| (kind, words))
}

fn log_cap(request: &LaunchRequest) -> Result<longshore_core::ByteSize> {
    request
        .plan
        .template
        .log_cap
        .ok_or_else(|| Error::new(ErrorKind::Invalid, "the plan has no log cap; it was not made by this executor"))
}

fn not_created(error: &Error) -> Error {
    Error::new(ErrorKind::ImageUnavailable, error.message()).with_operation("launch_job")
}

fn vanished() -> Error {
    Error::new(ErrorKind::Unavailable, "the container was removed by somebody else while it was being launched")
        .with_advice(Advice::LookUpFirst)
}
