//! A launch as the job that is created for it.
//! <https://cloud.google.com/run/docs/reference/rest/v2/projects.locations.jobs#Job>

use longshore_core::{
    ByteSize, Error, ErrorKind, HostSettings, ImageReference, ImageSource, JobTemplate, LaunchRequest, MountSource,
    Result, SecretBinding, SecretDelivery, SecretReference,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    config::{Egress, ExecutionEnvironment, Vpc},
    mapping::{identity::Marks, resources::Size},
};

/// The token of a job's only execution. Each job is new, so that one word does for all.
pub(crate) const EXECUTION_TOKEN: &str = "run";
/// The folder in which a job finds its secret.
pub(crate) const SECRETS_FOLDER: &str = "/run/secrets";

/// The host's settings as a plan holds them, so that a launch is the same whatever becomes of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Frozen {
    pub(crate) project: String,
    pub(crate) region: String,
    /// The provider's own limit, in seconds: behind Longshore's, for when nobody is there to stop the job.
    pub(crate) timeout_seconds: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vpc: Option<Vpc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) execution_environment: Option<ExecutionEnvironment>,
    /// The model of the graphics processor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) accelerator: Option<String>,
}

impl Frozen {
    /// The version of this form.
    pub(crate) const VERSION: u32 = 1;

    pub(crate) fn of(settings: &HostSettings) -> Result<Self> {
        if settings.version > Self::VERSION {
            let message = format!(
                "the plan's settings are of version {} and this version reads up to {}; use the newer Longshore that planned it",
                settings.version,
                Self::VERSION
            );
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        serde_json::from_value(settings.settings.clone())
            .map_err(|error| Error::new(ErrorKind::Invalid, "the plan's settings can't be read").with_source(error))
    }
}

/// The job that runs the request once.
pub(crate) fn job(request: &LaunchRequest, marks: &Marks) -> Result<Value> {
    let frozen = Frozen::of(&request.plan.host_settings)?;
    let task = task(&request.plan.template, &frozen)?;
    Ok(json!({
        "labels": marks.labels,
        "annotations": marks.annotations,
        "client": "longshore",
        "clientVersion": env!("CARGO_PKG_VERSION"),
        "startExecutionToken": EXECUTION_TOKEN,
        "template": {
            "labels": marks.labels,
            "annotations": marks.annotations,
            "taskCount": 1,
            "parallelism": 1,
            "template": task,
        },
    }))
}

fn task(template: &JobTemplate, frozen: &Frozen) -> Result<Value> {
    let mut task = Map::new();
    task.insert("containers".to_owned(), json!([container(template)?]));
    // The default is three more tries: one attempt would be four runs.
    task.insert("maxRetries".to_owned(), 0.into());
    task.insert("timeout".to_owned(), format!("{}s", frozen.timeout_seconds).into());
    let volumes = volumes(template);
    if !volumes.is_empty() {
        task.insert("volumes".to_owned(), volumes.into());
    }
    if let Some(account) = &frozen.service_account {
        task.insert("serviceAccount".to_owned(), account.clone().into());
    }
    if let Some(vpc) = &frozen.vpc {
        task.insert("vpcAccess".to_owned(), vpc_access(vpc));
    }
    if let Some(generation) = frozen.execution_environment {
        let name = match generation {
            ExecutionEnvironment::Gen2 => "EXECUTION_ENVIRONMENT_GEN2",
        };
        task.insert("executionEnvironment".to_owned(), name.into());
    }
    if let Some(model) = &frozen.accelerator {
        task.insert("nodeSelector".to_owned(), json!({ "accelerator": model }));
        task.insert("gpuZonalRedundancyDisabled".to_owned(), true.into());
    }
    Ok(task.into())
}

fn container(template: &JobTemplate) -> Result<Value> {
    let mut container = Map::new();
    container.insert("image".to_owned(), image(template)?.into());
    if let Some(entrypoint) = &template.entrypoint {
        container.insert("command".to_owned(), json!(entrypoint));
    }
    let args: Vec<&String> = template.command.iter().flatten().chain(&template.args).collect();
    if !args.is_empty() {
        container.insert("args".to_owned(), json!(args));
    }
    let env: Vec<Value> = variables(template).collect();
    if !env.is_empty() {
        container.insert("env".to_owned(), env.into());
    }
    if let Some(folder) = &template.working_directory {
        container.insert("workingDir".to_owned(), folder.clone().into());
    }
    let mounts = mounts(template);
    if !mounts.is_empty() {
        container.insert("volumeMounts".to_owned(), mounts.into());
    }
    container.insert("resources".to_owned(), json!({ "limits": limits(template)? }));
    Ok(container.into())
}

fn image(template: &JobTemplate) -> Result<String> {
    match &template.image {
        ImageSource::Registry(reference) => Ok(name_of(reference)),
        _ => Err(Error::new(ErrorKind::Unsupported, "image: Cloud Run runs no images of files and folders")),
    }
}

fn name_of(reference: &ImageReference) -> String {
    reference.to_string()
}

fn variables(template: &JobTemplate) -> impl Iterator<Item = Value> {
    let plain = template.env.iter().map(|it| json!({ "name": it.name, "value": it.value }));
    let secret = template.secrets.iter().filter(|it| it.delivery == SecretDelivery::Env).map(|it| {
        let (secret, version) = secret_version(it);
        let selector = json!({ "secret": secret, "version": version });
        json!({ "name": it.name, "valueSource": { "secretKeyRef": selector } })
    });
    plain.chain(secret)
}

fn limits(template: &JobTemplate) -> Result<Map<String, Value>> {
    let resources = &template.resources;
    let size = Size::of(resources.cpu, resources.memory).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "resources: the plan holds more CPU or memory than Cloud Run has")
    })?;
    let mut limits = Map::new();
    limits.insert("cpu".to_owned(), size.cpu.to_string().into());
    limits.insert("memory".to_owned(), format!("{}Mi", size.mebibytes).into());
    if let Some(gpu) = &resources.gpu {
        limits.insert("nvidia.com/gpu".to_owned(), gpu.count.to_string().into());
    }
    Ok(limits)
}

/// The secret's name and version in `NAME`, `NAME:VERSION`, or the same with `projects/P/secrets/` before it.
pub(crate) fn secret_version(binding: &SecretBinding) -> (&str, &str) {
    let SecretReference::Provider(reference) = &binding.reference else { return ("", "latest") };
    reference.rsplit_once(':').unwrap_or((reference, "latest"))
}

fn volumes(template: &JobTemplate) -> Vec<Value> {
    let secrets = template.secrets.iter().filter(|it| it.delivery == SecretDelivery::File).enumerate();
    let secrets = secrets.map(|(at, it)| {
        let (secret, version) = secret_version(it);
        let items = json!([{ "path": it.name, "version": version }]);
        json!({ "name": format!("secret-{at}"), "secret": { "secret": secret, "items": items } })
    });
    let buckets = template.mounts.iter().enumerate().filter_map(|(at, it)| match &it.source {
        MountSource::Volume(bucket) => {
            Some(json!({ "name": format!("bucket-{at}"), "gcs": { "bucket": bucket, "readOnly": it.read_only } }))
        }
        _ => None,
    });
    let scratch = template.tmpfs.iter().enumerate().map(|(at, it)| {
        let mut folder = json!({ "medium": "MEMORY" });
        if let Some(size) = it.size {
            folder["sizeLimit"] = quantity(size).into();
        }
        json!({ "name": format!("scratch-{at}"), "emptyDir": folder })
    });
    secrets.chain(buckets).chain(scratch).collect()
}

fn mounts(template: &JobTemplate) -> Vec<Value> {
    let secrets = template.secrets.iter().filter(|it| it.delivery == SecretDelivery::File).enumerate();
    let secrets = secrets.map(|(at, _)| json!({ "name": format!("secret-{at}"), "mountPath": SECRETS_FOLDER }));
    let buckets = template.mounts.iter().enumerate();
    let buckets = buckets.map(|(at, it)| json!({ "name": format!("bucket-{at}"), "mountPath": it.target }));
    let scratch = template.tmpfs.iter().enumerate();
    let scratch = scratch.map(|(at, it)| json!({ "name": format!("scratch-{at}"), "mountPath": it.target }));
    secrets.chain(buckets).chain(scratch).collect()
}

/// A size in whole mebibytes, rounded up.
fn quantity(size: ByteSize) -> String {
    format!("{}Mi", size.bytes().div_ceil(1 << 20))
}

fn vpc_access(vpc: &Vpc) -> Value {
    let egress = match vpc.egress {
        Egress::PrivateRangesOnly => "PRIVATE_RANGES_ONLY",
        Egress::AllTraffic => "ALL_TRAFFIC",
    };
    if let Some(connector) = &vpc.connector {
        return json!({ "connector": connector, "egress": egress });
    }
    let mut interface = Map::new();
    let named = [("network", &vpc.network), ("subnetwork", &vpc.subnetwork)];
    for (key, value) in named.into_iter().filter_map(|(key, value)| Some((key, value.as_ref()?))) {
        interface.insert(key.to_owned(), value.clone().into());
    }
    if !vpc.tags.is_empty() {
        interface.insert("tags".to_owned(), json!(vpc.tags));
    }
    json!({ "networkInterfaces": [interface], "egress": egress })
}

#[cfg(test)]
#[path = "job_tests.rs"]
pub(crate) mod tests;
