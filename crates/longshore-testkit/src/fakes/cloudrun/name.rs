//! Names of resources.

use serde_json::json;

use super::error::{Code, Refusal};

/// What a request is about: `projects/P/locations/L`, and behind it a job, an execution, a task or an operation.
#[derive(Debug, Clone, Default)]
pub(crate) struct Name {
    pub(crate) whole: String,
    pub(crate) project: String,
    pub(crate) region: String,
    pub(crate) job: String,
    pub(crate) execution: String,
    pub(crate) task: String,
    pub(crate) operation: String,
}

impl Name {
    pub(crate) fn parse(text: &str) -> Self {
        let mut name = Self { whole: text.to_owned(), ..Self::default() };
        let segments: Vec<&str> = text.split('/').collect();
        for pair in segments.chunks_exact(2) {
            let part = match pair[0] {
                "projects" => &mut name.project,
                "locations" => &mut name.region,
                "jobs" => &mut name.job,
                "executions" => &mut name.execution,
                "tasks" => &mut name.task,
                _ => &mut name.operation,
            };
            *part = pair[1].to_owned();
        }
        name
    }

    /// Requires that the project and the region exist.
    pub(crate) fn is_in(&self, project: &str, region: &str) -> Result<(), Refusal> {
        if self.project != project {
            return Err(no_project(&self.project));
        }
        if self.region != region {
            let message = format!("Location {} is not found or access is unauthorized.", self.region);
            return Err(Refusal::new(Code::NotFound, message));
        }
        Ok(())
    }

    pub(crate) fn missing(&self, kind: &str, short: &str) -> Refusal {
        let Self { project, region, .. } = self;
        let message =
            format!("Resource '{short}' of kind '{kind}' in region '{region}' in project '{project}' does not exist.");
        Refusal::new(Code::NotFound, message)
    }
}

/// A project that the caller may not see, or that there is not; the two can't be told apart.
pub(crate) fn no_project(project: &str) -> Refusal {
    let message = format!("Permission denied on resource project {project}.");
    let metadata = json!({ "consumer": format!("projects/{project}"), "service": "run.googleapis.com" });
    Refusal::new(Code::PermissionDenied, message).with_reason("CONSUMER_INVALID", "googleapis.com", &metadata)
}
