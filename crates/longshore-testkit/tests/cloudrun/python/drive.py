"""Drives a fake Cloud Run through a whole life cycle with Google's own clients.

What the fake answers is also read strictly into the clients' own messages: the clients themselves overlook members that
they do not know.
"""

import json
import os
import sys
from datetime import timedelta

from google.api_core import exceptions
from google.cloud import logging_v2, run_v2
from google.cloud.audit import audit_log_pb2  # noqa: F401: entries hold messages of its types
from google.cloud.logging_v2.types import ListLogEntriesResponse
from google.cloud.run_v2.services.executions.transports.rest import ExecutionsRestTransport
from google.cloud.run_v2.services.jobs.transports.rest import JobsRestTransport
from google.cloud.run_v2.services.tasks.transports.rest import TasksRestTransport
from google.longrunning import operations_pb2
from google.oauth2.credentials import Credentials
from google.protobuf import json_format

PROJECT, REGION = os.environ["FAKE_PROJECT"], os.environ["FAKE_REGION"]
IMAGE, MISSING_IMAGE = os.environ["FAKE_IMAGE"], os.environ["FAKE_MISSING_IMAGE"]
PARENT = f"projects/{PROJECT}/locations/{REGION}"
CREDENTIALS = Credentials(token=os.environ["FAKE_TOKEN"])

# By what a path ends with, without the ids in it: what the answer is.
KINDS = {
    "jobs": run_v2.ListJobsResponse.pb(),
    "jobs/*": run_v2.Job.pb(),
    "executions": run_v2.ListExecutionsResponse.pb(),
    "executions/*": run_v2.Execution.pb(),
    "tasks": run_v2.ListTasksResponse.pb(),
    "tasks/*": run_v2.Task.pb(),
    "operations": operations_pb2.ListOperationsResponse,
    "entries:list": ListLogEntriesResponse.pb(),
}
read = 0


def read_strictly(response, **_):
    """Reads an answer into its message, and fails at the first member that the message does not have."""
    global read
    if response.status_code != 200:
        error = response.json()["error"]
        assert error["code"] == response.status_code and error["status"] and error["message"], error
        return
    path = response.request.path_url.split("?")[0].split("/")
    key = path[-1] if len(path) % 2 else f"{path[-2]}/*"
    is_read = response.request.method == "GET" or key == "entries:list"
    kind = KINDS.get(key, operations_pb2.Operation) if is_read else operations_pb2.Operation
    json_format.Parse(response.text, kind(), ignore_unknown_fields=False)
    read += 1


def transport(kind):
    made = kind(host=os.environ["FAKE_ENDPOINT"].removeprefix("http://"), credentials=CREDENTIALS, url_scheme="http")
    made._session.hooks["response"].append(read_strictly)
    return made


jobs = run_v2.JobsClient(transport=transport(JobsRestTransport))
executions = run_v2.ExecutionsClient(transport=transport(ExecutionsRestTransport))
tasks = run_v2.TasksClient(transport=transport(TasksRestTransport))


def job_of(args, **task):
    container = run_v2.Container(
        image=IMAGE,
        args=args,
        env=[run_v2.EnvVar(name="GREETING", value="hello")],
        resources=run_v2.ResourceRequirements(limits={"cpu": "1", "memory": "512Mi"}),
    )
    template = run_v2.TaskTemplate(containers=[container], max_retries=0, timeout=timedelta(hours=24), **task)
    labels = {"owner": "kit"}
    return run_v2.Job(labels=labels, template=run_v2.ExecutionTemplate(labels=labels, template=template))


def create(name, job):
    return jobs.create_job(parent=PARENT, job=job, job_id=name)


def refused(kind, call):
    try:
        call()
    except kind as refusal:
        return refusal
    raise AssertionError(f"it was not refused as {kind.__name__}")


def made_and_run():
    job = job_of(["env GREETING", "lines 30"])
    job.run_execution_token = "first"
    made = create("official", job).result(timeout=60)
    assert made.name == f"{PARENT}/jobs/official" and made.generation == 1
    assert made.template.template.max_retries == 0 and made.labels["owner"] == "kit"
    assert made.template.template.execution_environment == run_v2.ExecutionEnvironment.EXECUTION_ENVIRONMENT_GEN2
    reference = made.latest_created_execution
    assert reference.name == "official-first"
    assert reference.completion_status == run_v2.ExecutionReference.CompletionStatus.EXECUTION_SUCCEEDED
    refused(exceptions.Conflict, lambda: create("official", job))
    execution = executions.get_execution(name=f"{made.name}/executions/official-first")
    assert execution.succeeded_count == 1 and execution.failed_count == 0
    assert execution.conditions[0].state == run_v2.Condition.State.CONDITION_SUCCEEDED
    assert execution.labels["owner"] == "kit"
    [task] = tasks.list_tasks(parent=execution.name)
    assert task.last_attempt_result.exit_code == 0 and tasks.get_task(name=task.name).uid == task.uid
    return made


def run_with_overrides(job):
    override = run_v2.RunJobRequest.Overrides.ContainerOverride(
        args=["env GREETING", "exit 3"], env=[run_v2.EnvVar(name="GREETING", value="overridden")]
    )
    overrides = run_v2.RunJobRequest.Overrides(
        container_overrides=[override], task_count=2, timeout=timedelta(minutes=1)
    )
    operation = jobs.run_job(request=run_v2.RunJobRequest(name=job.name, overrides=overrides))
    assert operation.metadata.name.startswith(f"{job.name}/executions/official-")
    execution = operation.result(timeout=60)
    assert execution.failed_count == 2 and execution.template.timeout == timedelta(minutes=1)
    assert execution.conditions[0].execution_reason == run_v2.Condition.ExecutionReason.NON_ZERO_EXIT_CODE
    pages = tasks.list_tasks(request=run_v2.ListTasksRequest(parent=execution.name, page_size=1))
    listed = [page.tasks[0] for page in pages.pages]
    assert [task.index for task in listed] == [0, 1]
    assert all(task.last_attempt_result.exit_code == 3 and task.last_attempt_result.status.code for task in listed)
    return execution


def updated(job):
    job = jobs.get_job(name=job.name)
    job.template.template.containers[0].args = ["ignore TERM", "forever"]
    job.run_execution_token = ""
    job.start_execution_token = "second"
    job.launch_stage = 4
    changed = jobs.update_job(job=job).result(timeout=60)
    assert changed.generation == 2 and changed.latest_created_execution.name == "official-second"
    refused(exceptions.Conflict, lambda: jobs.update_job(job=changed))


def cancelled(job):
    name = f"{job.name}/executions/official-second"
    execution = executions.cancel_execution(name=name).result(timeout=60)
    assert execution.cancelled_count == 1 and execution.completion_time
    assert execution.conditions[0].execution_reason == run_v2.Condition.ExecutionReason.CANCELLED
    [task] = tasks.list_tasks(parent=name)
    assert task.last_attempt_result.term_signal == 9
    refused(exceptions.BadRequest, lambda: executions.cancel_execution(name=name))


def listed(job):
    for name in ["other-a", "other-b"]:
        create(name, job_of(["exit 0"])).result(timeout=60)
    pages = jobs.list_jobs(request=run_v2.ListJobsRequest(parent=PARENT, page_size=1)).pages
    assert [page.jobs[0].name.rsplit("/")[-1] for page in pages] == ["other-b", "other-a", "official"]
    everywhere = executions.list_executions(parent=f"{PARENT}/jobs/-")
    assert len(list(everywhere)) == 3
    assert len(list(tasks.list_tasks(parent=f"{job.name}/executions/-"))) == 4
    operations = jobs.list_operations({"name": PARENT, "filter": "done:true"}).operations
    assert len(operations) >= 5 and all(operation.done for operation in operations)


def with_everything():
    """Whatever a task may have, as the client writes it."""
    reference = run_v2.SecretKeySelector(secret="password", version="latest")
    job = job_of(["env PASSWORD", "read /secrets/password", "write /scratch/note x", "pwd"])
    task = job.template.template
    task.node_selector = run_v2.NodeSelector(accelerator="nvidia-l4")
    task.timeout = timedelta(hours=1)
    task.service_account = f"robot@{PROJECT}.iam.gserviceaccount.com"
    task.vpc_access = run_v2.VpcAccess(
        egress=run_v2.VpcAccess.VpcEgress.ALL_TRAFFIC,
        network_interfaces=[run_v2.VpcAccess.NetworkInterface(network="default", subnetwork="default", tags=["kit"])],
    )
    task.volumes = [
        run_v2.Volume(
            name="secret",
            secret=run_v2.SecretVolumeSource(
                secret="password", items=[run_v2.VersionToPath(path="password", version="1", mode=0o400)]
            ),
        ),
        run_v2.Volume(
            name="memory",
            empty_dir=run_v2.EmptyDirVolumeSource(medium=run_v2.EmptyDirVolumeSource.Medium.MEMORY, size_limit="8Mi"),
        ),
        run_v2.Volume(name="bucket", gcs=run_v2.GCSVolumeSource(bucket="a-bucket", read_only=True)),
    ]
    container = task.containers[0]
    container.command = ["/longshore-probe"]
    container.working_dir = "/tmp"
    container.resources.limits = {"cpu": "4", "memory": "16Gi", "nvidia.com/gpu": "1"}
    container.env.append(run_v2.EnvVar(name="PASSWORD", value_source=run_v2.EnvVarSource(secret_key_ref=reference)))
    container.volume_mounts = [
        run_v2.VolumeMount(name="secret", mount_path="/secrets"),
        run_v2.VolumeMount(name="memory", mount_path="/scratch"),
        run_v2.VolumeMount(name="bucket", mount_path="/data"),
    ]
    job.annotations = {"longshore.dev/kit": "yes"}
    job.run_execution_token = "all"
    made = create("everything", job).result(timeout=60)
    assert made.template.template.node_selector.accelerator == "nvidia-l4"
    assert made.template.template.vpc_access.egress == run_v2.VpcAccess.VpcEgress.ALL_TRAFFIC
    assert made.template.template.volumes[0].secret.items[0].mode == 0o400
    assert jobs.delete_job(name=made.name).result(timeout=60).name == made.name


def refusals():
    refused(exceptions.BadRequest, lambda: create("Upper", job_of([])))
    refused(exceptions.BadRequest, lambda: create("gpu", job_of([], node_selector=run_v2.NodeSelector(accelerator="x"))))
    missing = job_of([])
    missing.template.template.containers[0].image = MISSING_IMAGE
    refused(exceptions.NotFound, lambda: create("no-image", missing).result(timeout=60))
    failed = jobs.get_job(name=f"{PARENT}/jobs/no-image")
    assert failed.terminal_condition.state == run_v2.Condition.State.CONDITION_FAILED
    assert failed.terminal_condition.reason == run_v2.Condition.CommonReason.CONTAINER_MISSING
    refusal = refused(exceptions.NotFound, lambda: jobs.get_job(name=f"{PARENT}/jobs/nothing"))
    assert "nothing" in refusal.message


def logged(job, overridden):
    client = logging_v2.Client(
        project=PROJECT,
        credentials=CREDENTIALS,
        _use_grpc=False,
        client_options={"api_endpoint": os.environ["FAKE_LOGGING_ENDPOINT"]},
    )
    client._connection.http.hooks["response"].append(read_strictly)
    of_job = 'resource.type="cloud_run_job" AND resource.labels.job_name="official"'
    of_execution = f'{of_job} AND labels."run.googleapis.com/execution_name"="official-first"'
    entries = list(client.list_entries(filter_=of_execution, page_size=7))
    stdout = [entry for entry in entries if entry.log_name.endswith("run.googleapis.com%2Fstdout")]
    assert [entry.payload for entry in stdout] == ["hello"] + [f"{line:08}" for line in range(1, 31)]
    assert stdout[0].labels["run.googleapis.com/task_index"] == "0" and stdout[0].resource.type == "cloud_run_job"
    assert len({(entry.timestamp, entry.insert_id) for entry in entries}) == len(entries)
    assert any(entry.log_name.endswith("varlog%2Fsystem") for entry in entries)
    assert any(entry.log_name.endswith("system_event") for entry in entries)
    newest = client.list_entries(filter_=of_execution, order_by=logging_v2.DESCENDING, max_results=1)
    assert next(iter(newest)).insert_id == entries[-1].insert_id
    short = overridden.name.rsplit("/")[-1]
    both = f'{of_job} AND labels."run.googleapis.com/execution_name"=("official-first" OR "{short}")'
    texts = [entry.payload for entry in client.list_entries(filter_=f"{both} AND log_id(\"run.googleapis.com/stdout\")")]
    assert texts.count("overridden") == 2 and texts.count("hello") == 1
    refused(exceptions.BadRequest, lambda: list(client.list_entries(filter_="resource.nonsense=1")))


def deleted(job, overridden):
    gone = executions.delete_execution(name=overridden.name).result(timeout=60)
    assert gone.delete_time and gone.expire_time
    refused(exceptions.NotFound, lambda: executions.get_execution(name=overridden.name))
    for name in ["official", "other-a", "other-b", "no-image"]:
        assert jobs.delete_job(name=f"{PARENT}/jobs/{name}").result(timeout=60).delete_time
    refused(exceptions.NotFound, lambda: jobs.get_job(name=job.name))
    assert list(jobs.list_jobs(parent=PARENT)) == []


def main():
    job = made_and_run()
    overridden = run_with_overrides(job)
    updated(job)
    cancelled(job)
    listed(job)
    with_everything()
    refusals()
    logged(job, overridden)
    deleted(job, overridden)
    print(json.dumps({"answers_read_strictly": read}))


if __name__ == "__main__":
    sys.exit(main())
