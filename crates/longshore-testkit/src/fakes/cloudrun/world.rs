//! Everything that the fake knows, followed to the present whenever somebody asks.

use jiff::Timestamp;
use longshore_core::clock::later;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use uuid::Uuid;

use super::{
    container::{self, Container},
    error::{Code, Refusal},
    execution::Execution,
    iam::Iam,
    job::Job,
    logging::Log,
    oauth::Account,
    operation::{Operation, Target},
    options::{Options, Traffic, Trouble},
    quota::Quota,
    render::Place,
    rules::{number, object, objects, text},
    schema,
    secrets::Secrets,
    task::{Task, Work},
};

/// The fake's state. It holds secrets and is never shown.
pub(crate) struct World {
    pub(crate) options: Options,
    pub(crate) trouble: Trouble,
    pub(crate) iam: Iam,
    pub(crate) account: Account,
    pub(crate) secrets: Secrets,
    pub(crate) images: Images,
    pub(crate) networks_missing: BTreeSet<String>,
    pub(crate) jobs: BTreeMap<String, Job>,
    /// Jobs that are gone, the latest last.
    pub(crate) removed: Vec<Job>,
    pub(crate) operations: BTreeMap<String, Operation>,
    pub(crate) log: Log,
    pub(crate) reads: Quota,
    pub(crate) writes: Quota,
    pub(crate) log_reads: Quota,
    pub(crate) traffic: Traffic,
}

/// The images of the registry.
#[derive(Default)]
pub(crate) struct Images {
    pub(crate) probes: BTreeSet<String>,
    pub(crate) denied: BTreeSet<String>,
}

impl World {
    pub(crate) fn new(options: Options) -> Self {
        let mut log = Log::default();
        log.behave(options.pace.log, &Trouble::default());
        Self {
            account: Account::of(&options.project),
            secrets: Secrets::of(&options.project),
            options,
            trouble: Trouble::default(),
            iam: Iam::default(),
            images: Images::default(),
            networks_missing: BTreeSet::new(),
            jobs: BTreeMap::new(),
            removed: Vec::new(),
            operations: BTreeMap::new(),
            log,
            reads: Quota::default(),
            writes: Quota::default(),
            log_reads: Quota::default(),
            traffic: Traffic::default(),
        }
    }

    pub(crate) fn place(&self) -> Place<'_> {
        Place { project: &self.options.project, region: &self.options.region }
    }

    pub(crate) fn set_trouble(&mut self, trouble: Trouble) {
        self.log.behave(self.options.pace.log, &trouble);
        self.trouble = trouble;
    }

    /// Follows everything to now.
    pub(crate) fn advance(&mut self, now: Timestamp) {
        let has_capacity = !self.trouble.no_capacity;
        for execution in self.jobs.values_mut().flat_map(|job| &mut job.executions) {
            execution.advance(now, has_capacity, &mut self.log);
        }
        let mut operations = std::mem::take(&mut self.operations);
        for operation in operations.values_mut() {
            operation.settle(self, now);
        }
        self.operations = operations;
        self.forget(now);
    }

    /// When something happens next by itself.
    pub(crate) fn next_change(&self, now: Timestamp) -> Option<Timestamp> {
        let of_job = |job: &Job| {
            let executions = job.executions.iter();
            let of_executions = executions.filter_map(|execution| execution.next_change(now));
            of_executions.chain([job.ready]).chain(job.gone).filter(|at| *at > now).min()
        };
        let deletions = self.jobs.values().flat_map(|job| &job.executions).filter_map(|execution| execution.deleted);
        self.jobs.values().filter_map(of_job).chain(deletions.filter(|at| *at > now)).min()
    }

    /// Removes what is gone, and the oldest of what has ended where there is too much of it.
    fn forget(&mut self, now: Timestamp) {
        let kept = self.options.limits.finished_executions;
        for job in self.jobs.values_mut() {
            job.forget(kept, now);
        }
        let gone: Vec<String> = self.jobs.values().filter(|job| job.is_gone(now)).map(|job| job.name.clone()).collect();
        self.removed.extend(gone.iter().filter_map(|name| self.jobs.remove(name)));
    }

    pub(crate) fn show_job(&self, job: &str, now: Timestamp) -> Option<Value> {
        Some(typed("Job", self.place().job(self.jobs.get(job)?, now)))
    }

    /// The execution, also before it can be seen.
    pub(crate) fn show_execution(&self, job: &str, execution: &str, now: Timestamp) -> Option<Value> {
        let execution = self.jobs.get(job)?.executions.iter().find(|known| known.name == execution)?;
        Some(typed("Execution", self.place().execution(job, execution, now)))
    }

    /// Begins an operation.
    pub(crate) fn operate(&mut self, target: Target, shown: Value, now: Timestamp) -> Value {
        let name = format!("{}/operations/{}", self.place().parent(), Uuid::new_v4());
        let mut operation = Operation::new(name.clone(), now, target, shown);
        operation.settle(self, now);
        let json = operation.json(self, now);
        self.operations.insert(name, operation);
        json
    }

    /// Why a job of the specification can't be deployed.
    pub(crate) fn deployment_failure(&self, spec: &Map<String, Value>) -> Option<Refusal> {
        let task = object(&object(spec, "template"), "template");
        let container = objects(&task, "containers").into_iter().next().unwrap_or_default();
        let image = text(&container, "image").unwrap_or_default();
        self.image_failure(image)
            .or_else(|| container::secret_failure(&task, &self.secrets))
            .or_else(|| self.network_failure(&object(&task, "vpcAccess")))
    }

    fn image_failure(&self, image: &str) -> Option<Refusal> {
        if self.images.denied.contains(image) {
            let account =
                format!("service-{}@serverless-robot-prod.iam.gserviceaccount.com", self.options.project.len());
            let message = format!(
                "Google Cloud Run Service Agent {account} must have permission to read the image, {image}. Ensure that \
                 the provided container image URL is correct and that the above account has permission to access the \
                 image."
            );
            return Some(Refusal::new(Code::PermissionDenied, message));
        }
        let is_missing = !self.images.probes.contains(image);
        is_missing.then(|| Refusal::new(Code::NotFound, format!("Image '{image}' not found.")))
    }

    fn network_failure(&self, access: &Map<String, Value>) -> Option<Refusal> {
        let interfaces = objects(access, "networkInterfaces");
        let named = interfaces.iter().flat_map(|it| [text(it, "network"), text(it, "subnetwork")]).flatten();
        let missing = named.chain(text(access, "connector")).find(|name| self.networks_missing.contains(*name))?;
        Some(Refusal::new(Code::NotFound, format!("VPC network or connector '{missing}' was not found.")))
    }

    /// Makes an execution of the job, which can be seen from the given time on.
    pub(crate) fn execute(
        &mut self,
        job: &str,
        name: String,
        spec: Map<String, Value>,
        from: Timestamp,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.has_room_for_execution(now)?;
        let template = object(&spec, "template");
        let task_count = u32::try_from(number(&spec, "taskCount").unwrap_or(1)).unwrap_or(1);
        let parallelism = number(&spec, "parallelism").and_then(|it| usize::try_from(it).ok()).filter(|it| *it > 0);
        let work = Work {
            project: self.options.project.clone(),
            region: self.options.region.clone(),
            job: job.to_owned(),
            execution: name,
            container: Container::new(&template, &self.secrets),
            task_count,
            max_retries: number(&template, "maxRetries").and_then(|it| u32::try_from(it).ok()).unwrap_or(3),
            timeout: text(&template, "timeout").and_then(schema::duration).unwrap_or(Duration::from_secs(600)),
            pace: self.options.pace,
        };
        let tasks = (0..task_count).map(|index| Task::new(index, Uuid::new_v4().to_string())).collect();
        let parallelism = parallelism.unwrap_or(task_count as usize);
        let uid = Uuid::new_v4().to_string();
        let created = later(from, self.options.pace.create_execution);
        let execution = Execution::new(uid, created, spec, template, parallelism, tasks, work);
        if let Some(job) = self.jobs.get_mut(job) {
            job.executions.push(execution);
            job.executions_made += 1;
        }
        Ok(())
    }

    pub(crate) fn has_room_for_execution(&self, now: Timestamp) -> Result<(), Refusal> {
        let executions = self.jobs.values().flat_map(|job| &job.executions);
        let running = executions.filter(|execution| !execution.is_over(now)).count();
        if running < self.options.limits.running_executions {
            return Ok(());
        }
        Err(Refusal::new(Code::ResourceExhausted, "Quota exceeded for running executions per project per region."))
    }
}

/// A message with its type, as it stands where any may stand.
pub(crate) fn typed(kind: &str, mut message: Value) -> Value {
    message["@type"] = format!("type.googleapis.com/google.cloud.run.v2.{kind}").into();
    message
}
