//! Launching: the folder of the token is the key, and the lock in it tells who is at it.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use longshore_core::{
    Allow, Clock, Error, ErrorKind, ExecutionHandle, LaunchRequest, LaunchSearch, PullPolicy, Result, SecretBinding,
    SecretDelivery, SecretResolver, clock::since, secret_variable,
};
use secrecy::ExposeSecret;
use std::{
    fs::{DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt,
    process::Stdio,
    sync::Arc,
    time::Duration,
};
use uuid::Uuid;

use crate::{
    allowed,
    blocking::blocking,
    execution::{HANDLE_VERSION, Metadata, bury, remove_folder},
    helper::{Executed, Helpers, unexpected},
    image::{Image, ImageStore, Wanted},
    mapping::order::{self, Circumstances, Secrets},
    plan, remove,
    state::{Folder, Home, Launched, Lock, RuntimeId, Stage, write_new},
    supervisor::{GO, Order, Report, SecretFile, Task, uptime},
    watch::{Bell, Watcher},
};

/// The version of `launch.json`.
const VERSION: u32 = 1;
/// How long another's launch of the same token is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// One request, and what is needed to launch it.
pub(crate) struct Launch<'a> {
    pub(crate) home: &'a Home,
    pub(crate) helpers: &'a Helpers,
    pub(crate) watcher: &'a Watcher,
    pub(crate) clock: &'a dyn Clock,
    pub(crate) secrets: &'a dyn SecretResolver,
    pub(crate) images: &'a ImageStore,
    pub(crate) allow: &'a Allow,
    pub(crate) request: &'a LaunchRequest,
    pub(crate) runtime: RuntimeId,
}

/// What is found under a token's name.
enum Found {
    /// Nothing, and nothing that could still become something.
    Nothing,
    /// An execution that was started, whatever became of it.
    Started,
}

impl Launch<'_> {
    fn folder(&self) -> Folder {
        self.home.execution(self.request.token)
    }

    pub(crate) fn handle(&self) -> ExecutionHandle {
        let plan = &self.request.plan;
        handle(plan.executor_type.clone(), plan.host.clone(), self.request.token, &self.runtime)
    }

    /// Launches the request, unless its token has been launched before.
    pub(crate) async fn run(&self) -> Result<ExecutionHandle> {
        let began = self.clock.now();
        loop {
            self.request.check_deadline(self.clock)?;
            if let Found::Started = self.settled(began).await? {
                return Ok(self.handle());
            }
            let image = self.image().await?;
            let secrets = self.resolve_secrets().await?;
            let Some(lock) = self.create(&image).await? else { continue };
            return self.start(lock, &image, secrets).await.map(|()| self.handle());
        }
    }

    /// The image that was prepared for the request.
    async fn image(&self) -> Result<Image> {
        let template = &self.request.plan.template;
        allowed::check_paths(template, self.allow)?;
        let wanted = Wanted {
            source: &template.image,
            policy: PullPolicy::IfMissing,
            platform: template.platform.as_ref(),
            logins: None,
        };
        self.images.lookup(&wanted).await?.ok_or_else(|| {
            let message = format!("the image {} is not here; prepare the launch first", template.image);
            Error::new(ErrorKind::ImageUnavailable, message)
        })
    }

    /// Looks for what the request's launch has led to.
    pub(crate) async fn find(&self) -> Result<LaunchSearch> {
        match self.settled(self.clock.now()).await? {
            Found::Nothing => Ok(LaunchSearch::Absent),
            Found::Started => Ok(LaunchSearch::Found(self.handle())),
        }
    }

    /// What is under the token's name once nobody launches it any more. What was abandoned before its start is removed.
    async fn settled(&self, began: Timestamp) -> Result<Found> {
        let bell = Arc::new(Bell::default());
        loop {
            let folder = self.folder();
            let watch = match self.watcher.watch(folder.path(), &bell) {
                Ok(watch) => watch,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
                Err(error) => return Err(self.home.unusable(error)),
            };
            match self.stage().await? {
                Stage::Absent => return Ok(Found::Nothing),
                Stage::Abandoned => self.bury().await?,
                Stage::Running(_) | Stage::Ended(..) | Stage::Lost(_) => {
                    return self.check_owner().map(|()| Found::Started);
                }
                Stage::Launching => {
                    self.check_owner()?;
                    let left = PATIENCE.saturating_sub(since(self.clock.now(), began));
                    if left.is_zero() {
                        return Err(Error::new(
                            ErrorKind::Unavailable,
                            "somebody else is still launching this attempt",
                        )
                        .with_context("token", self.request.token));
                    }
                    tokio::select! {
                        () = watch.bell().rung() => {}
                        () = self.clock.sleep(left) => {}
                    }
                }
            }
        }
    }

    async fn stage(&self) -> Result<Stage> {
        let folder = self.folder();
        blocking(move || folder.stage()).await.map_err(|error| self.home.unusable(error))
    }

    /// The execution is this owner's, on this host.
    fn check_owner(&self) -> Result<()> {
        let launched = self.folder().launched().map_err(|error| self.home.unusable(error))?;
        let (owner, host) = (&self.request.owner, &self.request.plan.host);
        match launched {
            Some(launched) if (&launched.owner, &launched.host) == (owner, host) => Ok(()),
            // It was removed since it was looked at.
            None => Ok(()),
            Some(launched) => {
                let message = format!(
                    "the attempt was launched by owner {} on host {}, and is not ours to touch",
                    launched.owner, launched.host
                );
                Err(Error::new(ErrorKind::Conflict, message).with_context("token", self.request.token))
            }
        }
    }

    async fn bury(&self) -> Result<()> {
        let folder = self.folder();
        let buried = blocking(move || {
            let lock = match Lock::try_new(&folder.lock()) {
                Ok(Some(lock)) => lock,
                // Somebody else is at it, or was quicker.
                Ok(None) => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            };
            if folder.stage_unlocked()? != Stage::Abandoned {
                return Ok(None);
            }
            bury(&folder, lock)
        });
        let Some((grave, lock)) = buried.await.map_err(|error| self.home.unusable(error))? else { return Ok(()) };
        let removed = remove_folder(self.helpers, grave).await;
        drop(lock);
        removed.map_err(|error| self.home.unusable(error))
    }

    /// Makes the folder under the token's name, with the lock held; `None` when somebody else was quicker.
    async fn create(&self, image: &Image) -> Result<Option<Lock>> {
        let (home, folder, record) = (self.home.clone(), self.folder(), self.record(image)?);
        let created = blocking(move || create(&home, &folder, &record)).await;
        created.map_err(|error| match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                let message = format!("the disk of the state folder {} is full; make room", self.home.path().display());
                Error::new(ErrorKind::Capacity, message).with_source(error)
            }
            _ => self.home.unusable(error),
        })
    }

    fn record(&self, image: &Image) -> Result<Launched> {
        let LaunchRequest { token, owner, created_by, plan, created_at, .. } = self.request;
        let template = &plan.template;
        let log_cap = template.log_cap.ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "the plan has no log_cap; plan the job again on this host")
        })?;
        Ok(Launched {
            version: VERSION,
            token: *token,
            job: token.job(),
            owner: owner.clone(),
            host: plan.host.clone(),
            created_by: created_by.clone(),
            created_at: *created_at,
            image: format!("{} ({})", template.image, image.digest),
            labels: template.labels.iter().map(|(key, value)| (key.to_string(), value.as_str().to_owned())).collect(),
            log_cap,
            cgroup: order::group(&plan::frozen(plan)?, *token),
        })
    }

    /// Has a supervisor start the container. Meanwhile the folder gets to disk: only then is the program executed.
    async fn start(&self, lock: Lock, image: &Image, secrets: Secrets) -> Result<()> {
        let folder = self.folder();
        let executed = async {
            let order = self.order(&folder, image, secrets)?;
            let given = lock.for_child().map_err(|error| self.home.unusable(error))?;
            self.helpers
                .execute(&Task::Run(self.home.program()), Stdio::from(given))
                .await
                .map(|supervisor| (supervisor, order))
        };
        let (mut supervisor, order) = match executed.await {
            Ok(executed) => executed,
            Err(error) => return Err(self.abandon(lock, error).await),
        };
        // From here on the supervisor holds the lock alone: with its last holder it tells the end.
        drop(lock);
        let synced = blocking(move || sync(&folder));
        let (told, synced) = tokio::join!(supervisor.tell(&order), synced);
        drop(order);
        synced.map_err(|error| self.home.unusable(error))?;
        // One that no longer listens has failed already, and has said of what.
        if told.is_ok() {
            self.request.check_deadline(self.clock)?;
            let _ = supervisor.say(GO).await;
        }
        self.heard(supervisor).await
    }

    fn order(&self, folder: &Folder, image: &Image, secrets: Secrets) -> Result<Order> {
        let frozen = plan::frozen(&self.request.plan)?;
        let circumstances = Circumstances {
            folder,
            rootless: self.helpers.identity.is_rootless(),
            start_by: uptime().saturating_add(since(self.request.deadline, self.clock.now())),
        };
        order::order(self.request, &frozen, image, secrets, &circumstances)
    }

    /// Nothing was started, and the folder is still ours alone.
    async fn abandon(&self, lock: Lock, error: Error) -> Error {
        let folder = self.folder();
        let removed = blocking(move || {
            let removed = folder.bury()?.map_or(Ok(()), |grave| remove::tree(grave.path()));
            drop(lock);
            removed
        });
        if let Err(left) = removed.await {
            tracing::warn!("what was made for a launch that failed is left: {left}");
        }
        error
    }

    async fn heard(&self, mut supervisor: Executed) -> Result<()> {
        let said = supervisor.last_report().await?;
        match said {
            Some(Ok(Report::Started { .. })) => Ok(()),
            Some(Ok(Report::Failed { kind, message })) => Err(Error::new(kind, message)),
            said => {
                // A supervisor of ours would have said something else: whatever it is, it must not keep the lock.
                let _ = supervisor.child.start_kill();
                match self.settled(self.clock.now()).await? {
                    Found::Started => Ok(()),
                    Found::Nothing => Err(unexpected(said)),
                }
            }
        }
    }

    async fn resolve_secrets(&self) -> Result<Secrets> {
        let mut secrets = Secrets { files: Vec::new(), variables: Vec::new() };
        for SecretBinding { name, reference, delivery, .. } in &self.request.plan.template.secrets {
            let value = self.secrets.resolve(reference).await?;
            match delivery {
                SecretDelivery::File => {
                    secrets.files.push(SecretFile {
                        name: name.to_string(),
                        value: BASE64_STANDARD.encode(value.expose_secret()),
                    });
                }
                SecretDelivery::Env => secrets.variables.push(secret_variable(name, &value)?),
                other => {
                    let message = format!("secrets.{name}: this version can't deliver a secret as {other:?}");
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
            }
        }
        Ok(secrets)
    }
}

/// The handle of an execution of this kind.
pub(crate) fn handle(
    executor_type: longshore_core::ExecutorType,
    host: longshore_core::HostName,
    token: longshore_core::LaunchToken,
    runtime: &RuntimeId,
) -> ExecutionHandle {
    let metadata = Metadata { runtime: Some(runtime.clone()) }.to_value();
    ExecutionHandle::new(executor_type, host, token, HANDLE_VERSION, token.to_string(), metadata)
}

/// A folder appears under the token's name whole and locked, or not at all.
fn create(home: &Home, folder: &Folder, record: &Launched) -> io::Result<Option<Lock>> {
    let new = Folder::new(home.executions().join(format!(".new.{}", Uuid::new_v4().simple())));
    let made = make(&new, record).and_then(|lock| {
        let (cwd, keep) = (rustix::fs::CWD, rustix::fs::RenameFlags::NOREPLACE);
        rustix::fs::renameat_with(cwd, new.path(), cwd, folder.path(), keep)?;
        Ok(lock)
    });
    match made {
        Ok(lock) => Ok(Some(lock)),
        Err(error) => {
            remove::tree(new.path())?;
            if error.kind() == io::ErrorKind::AlreadyExists { Ok(None) } else { Err(error) }
        }
    }
}

fn make(new: &Folder, record: &Launched) -> io::Result<Lock> {
    DirBuilder::new().mode(0o700).create(new.path())?;
    let lock = Lock::try_new(&new.lock())?.ok_or(io::ErrorKind::ResourceBusy)?;
    write_new(&new.launch_record(), record)?;
    Ok(lock)
}

/// Brings the folder and its name to disk: after a power cut it is found, and nobody takes the token for a new one.
fn sync(folder: &Folder) -> io::Result<()> {
    File::open(folder.launch_record())?.sync_all()?;
    File::open(folder.path())?.sync_all()?;
    folder.path().parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

impl Executed {
    async fn tell(&mut self, order: &Order) -> Result<()> {
        let text = serde_json::to_string(order)
            .map_err(|error| Error::new(ErrorKind::Unexpected, "the order can't be written").with_source(error))?;
        self.say(&text).await
    }
}
