#![doc = include_str!("docs.md")]

mod api;
mod container;
mod error;
mod execution;
mod iam;
mod job;
mod logging;
mod mask;
mod name;
mod oauth;
mod operation;
mod options;
mod pages;
mod quota;
mod render;
mod resources;
mod rules;
mod schema;
mod secrets;
mod task;
mod world;

use longshore_core::{Clock, Signal};
use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::net::TcpSocket;

use self::{api::Shared, world::World};
pub use self::{
    error::google_error,
    options::{Limits, Options, Pace, Traffic, Trouble},
};
use super::served::Served;
use crate::FaultProxy;

/// A Cloud Run of its own. Dropping it ends its servers and everything that runs in it.
pub struct FakeCloudRun {
    options: Options,
    shared: Arc<Shared>,
    api: Served,
    logging: Served,
    oauth: Served,
    /// Bound and never listening: who connects is refused, and nobody else gets the port.
    nowhere: TcpSocket,
    images: Names,
}

/// The sample that everybody may run.
const SAMPLE: &str = "us-docker.pkg.dev/cloudrun/container/job:latest";

/// The names of the images that a fake has, or just not.
struct Names {
    probe: String,
    missing: String,
    denied: String,
}

impl FakeCloudRun {
    /// Starts a fake that lives by the clock.
    ///
    /// It must be called in a tokio runtime, whose time must not be paused: see
    /// [`ScaledClock`](super::ScaledClock). Cancelled, nothing is left.
    ///
    /// # Errors
    /// No port of loopback could be had.
    pub async fn start(clock: Arc<dyn Clock>, options: Options) -> io::Result<Self> {
        let mut world = World::new(options.clone());
        let repository = format!("europe-docker.pkg.dev/{}/kit", options.project);
        let image = |name: &str| format!("{repository}/{name}:1");
        let images = Names { probe: image("probe"), missing: image("no-such-image"), denied: image("not-for-us") };
        world.images.probes.extend([images.probe.clone(), SAMPLE.to_owned()]);
        world.images.denied.insert(images.denied.clone());
        let shared = Arc::new(Shared::new(clock, world));
        let nowhere = TcpSocket::new_v4()?;
        nowhere.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let api = Served::start(api::run(&shared)).await?;
        let logging = Served::start(api::logging(&shared)).await?;
        let oauth = Served::start(oauth::router(&shared)).await?;
        Ok(Self { options, shared, api, logging, oauth, nowhere, images })
    }

    /// Where the admin API is: `http://127.0.0.1:PORT`, without a slash at the end.
    #[must_use]
    pub fn endpoint(&self) -> String {
        self.api.url()
    }

    /// Where the logging API is, likewise.
    #[must_use]
    pub fn logging_endpoint(&self) -> String {
        self.logging.url()
    }

    /// Where nobody ever listens.
    #[must_use]
    pub fn unreachable_endpoint(&self) -> String {
        self.nowhere.local_addr().map(|address| format!("http://{address}")).unwrap_or_default()
    }

    /// The proxy in front of the admin API, to inject faults and to count calls.
    #[must_use]
    pub fn api(&self) -> &FaultProxy {
        self.api.proxy()
    }

    /// The proxy in front of the logging API, likewise.
    #[must_use]
    pub fn logging(&self) -> &FaultProxy {
        self.logging.proxy()
    }

    /// The proxy in front of the server that issues tokens for [`service_account_key`](Self::service_account_key),
    /// likewise; its path is `/token`.
    #[must_use]
    pub fn token_server(&self) -> &FaultProxy {
        self.oauth.proxy()
    }

    /// The JSON file of a service account's key, whose holder gets its tokens from this fake. Only what the signed
    /// statement says is checked, not its signature.
    ///
    /// # Errors
    /// No key could be made.
    pub fn service_account_key(&self) -> io::Result<String> {
        self.shared.last().0.account.key(&format!("{}/token", self.oauth.url()))
    }

    /// The only project that exists.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.options.project
    }

    /// The only region of it that exists.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.options.region
    }

    /// The image whose entrypoint is the probe.
    #[must_use]
    pub fn probe_image(&self) -> &str {
        &self.images.probe
    }

    /// An image that does not exist.
    #[must_use]
    pub fn missing_image(&self) -> &str {
        &self.images.missing
    }

    /// An image that may not be pulled.
    #[must_use]
    pub fn denied_image(&self) -> &str {
        &self.images.denied
    }

    /// The probe's image has this name too.
    pub fn add_image(&self, name: &str) {
        self.shared.change(|world, _| world.images.probes.insert(name.to_owned()));
    }

    /// A bearer token that is good now.
    #[must_use]
    pub fn token(&self) -> String {
        let (mut world, now) = self.shared.last();
        world.iam.token(now)
    }

    /// A new token that is good for so long.
    #[must_use]
    pub fn issue_token(&self, lifetime: Duration) -> String {
        let (mut world, now) = self.shared.last();
        world.iam.issue(now, lifetime)
    }

    /// From now on no token is good that was issued before.
    pub fn expire_tokens(&self) {
        self.shared.change(|world, _| world.iam.expire_all());
    }

    /// Takes a permission away, such as `run.jobs.create`.
    pub fn deny(&self, permission: &str) {
        self.shared.change(|world, _| world.iam.deny(permission));
    }

    /// Gives a permission back.
    pub fn allow(&self, permission: &str) {
        self.shared.change(|world, _| world.iam.allow(permission));
    }

    /// Keeps a secret, or a new version of one, which every job may read.
    pub fn add_secret(&self, name: &str, value: &[u8]) {
        self.shared.change(|world, _| world.secrets.keep(name, value));
    }

    /// No job may read the secret any more.
    pub fn deny_secret(&self, name: &str) {
        self.shared.change(|world, _| world.secrets.deny(name));
    }

    /// There is no VPC network, subnetwork or connector of this name; every other one there is.
    pub fn remove_network(&self, name: &str) {
        self.shared.change(|world, _| world.networks_missing.insert(name.to_owned()));
    }

    /// Changes what troubles the fake from now on.
    pub fn set_trouble(&self, change: impl FnOnce(&mut Trouble)) {
        self.shared.change(|world, _| {
            let mut trouble = world.trouble.clone();
            change(&mut trouble);
            world.set_trouble(trouble);
        });
    }

    /// Sends the containers of an execution a signal, behind the back of whoever launched it. False when none runs.
    pub fn kill(&self, execution: &str, signal: Signal) -> bool {
        self.shared.change(|world, now| {
            let executions = world.jobs.values_mut().flat_map(|job| &mut job.executions);
            executions.filter(|known| known.name == execution).any(|execution| execution.kill(now, signal))
        })
    }

    /// Removes a job and its executions at once, behind the back of whoever made it. False when there is none.
    pub fn remove_job(&self, job: &str) -> bool {
        self.shared.change(|world, now| {
            let removed = api::remove(world, job, now, now);
            world.advance(now);
            removed
        })
    }

    /// Removes an execution at once, running or not. False when there is none.
    pub fn remove_execution(&self, execution: &str) -> bool {
        self.shared.change(|world, now| {
            let mut executions = world.jobs.values_mut().flat_map(|job| &mut job.executions);
            let Some(found) = executions.find(|known| known.name == execution) else { return false };
            found.cancel(now);
            found.deleted = Some(now);
            world.advance(now);
            true
        })
    }

    /// How many containers of the job were really started, retries and removed executions of existing and removed
    /// jobs of that name among them.
    #[must_use]
    pub fn starts(&self, job: &str) -> u32 {
        let (world, _) = self.shared.world();
        let jobs = world.jobs.values().chain(&world.removed).filter(|known| known.name == job);
        jobs.map(job::Job::starts).sum()
    }

    /// What both servers were asked so far, and what they answered. What the proxies kept from them is not in it.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.shared.last().0.traffic
    }

    /// The short names of all jobs that exist.
    #[must_use]
    pub fn jobs(&self) -> Vec<String> {
        self.shared.world().0.jobs.keys().cloned().collect()
    }

    /// The short names of all executions of the job that can be seen.
    #[must_use]
    pub fn executions(&self, job: &str) -> Vec<String> {
        let (world, now) = self.shared.world();
        let known = world.jobs.get(job).into_iter();
        known.flat_map(|job| job.visible(now).map(|execution| execution.name.clone())).collect()
    }
}

impl std::fmt::Debug for FakeCloudRun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FakeCloudRun").field("endpoint", &self.endpoint()).finish_non_exhaustive()
    }
}
