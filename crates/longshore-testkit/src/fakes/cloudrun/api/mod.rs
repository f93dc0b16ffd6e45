//! The servers: every request is checked, then answered from the state of the world as it is now.

mod call;
mod executions;
mod jobs;
mod lists;
mod operations;

use axum::{
    Router,
    body::{Body, HttpBody},
    extract::{Request, State},
    http::Method as HttpMethod,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use longshore_core::{Clock, clock::since};
use serde_json::Value;
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

use self::call::Call;
pub(crate) use self::jobs::remove;
use super::{
    error::{Code, Refusal, json_response, no_such_url},
    logging,
    quota::Kind,
    schema::{self, LOGGING, RUN, Schema},
    world::World,
};

/// What both servers and the fake's owner share.
pub(crate) struct Shared {
    pub(crate) clock: Arc<dyn Clock>,
    world: Mutex<World>,
    /// Told when somebody has changed the world from outside.
    changed: Notify,
}

impl Shared {
    pub(crate) fn new(clock: Arc<dyn Clock>, world: World) -> Self {
        Self { clock, world: Mutex::new(world), changed: Notify::new() }
    }

    /// The world as it is now, and now.
    pub(crate) fn world(&self) -> (MutexGuard<'_, World>, Timestamp) {
        let (mut world, now) = self.last();
        world.advance(now);
        (world, now)
    }

    /// The world as it was when somebody asked last, and now: enough for what does not change with time.
    pub(crate) fn last(&self) -> (MutexGuard<'_, World>, Timestamp) {
        (self.world.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now())
    }

    /// Changes the world, and wakes those who wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut World, Timestamp) -> T) -> T {
        let (mut world, now) = self.world();
        let result = change(&mut world, now);
        drop(world);
        self.changed.notify_waiters();
        result
    }
}

/// One of the two APIs.
#[derive(Clone)]
struct Api {
    schema: &'static Schema,
    shared: Arc<Shared>,
}

/// The admin API.
pub(crate) fn run(shared: &Arc<Shared>) -> Router {
    router(Api { schema: &RUN, shared: Arc::clone(shared) })
}

/// The logging API.
pub(crate) fn logging(shared: &Arc<Shared>) -> Router {
    router(Api { schema: &LOGGING, shared: Arc::clone(shared) })
}

fn router(api: Api) -> Router {
    Router::new().fallback(serve).with_state(api)
}

/// Answers a request, and counts it.
async fn serve(State(api): State<Api>, request: Request<Body>) -> Response {
    let received = request.body().size_hint().exact();
    let response = handle(&api, request).await;
    let sent = response.body().size_hint().exact();
    let traffic = &mut api.shared.last().0.traffic;
    traffic.calls += 1;
    traffic.received += received.unwrap_or_default();
    traffic.sent += sent.unwrap_or_default();
    response
}

async fn handle(api: &Api, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Some(matched) = schema::find(api.schema, parts.method.as_str(), parts.uri.path()) else {
        return no_such_url(parts.uri.path());
    };
    let authorization = parts.headers.get("authorization").and_then(|header| header.to_str().ok());
    if let Err(refusal) = api.admit(authorization, parts.method == HttpMethod::GET, &matched.method.id) {
        return refusal.into_response();
    }
    let call = match Call::read(api.schema, matched, &parts, body).await {
        Ok(call) => call,
        Err(refusal) => return refusal.into_response(),
    };
    match api.answer(&call).await {
        Ok(answer) => api.respond(&call, answer),
        Err(refusal) => refusal.into_response(),
    }
}

impl Api {
    /// Requires a good token, and counts the call.
    fn admit(&self, authorization: Option<&str>, is_read: bool, method: &str) -> Result<(), Refusal> {
        let (mut guard, now) = self.shared.last();
        let world = &mut *guard;
        world.iam.authenticate(authorization, world.trouble.calls_per_token, now)?;
        let limits = world.options.limits;
        let kind = |service, metric| Kind {
            service,
            metric,
            project: world.options.project.clone(),
            tells_retry_after: limits.tells_retry_after,
        };
        if method.starts_with("logging.") {
            let kind = kind("logging.googleapis.com", "Read requests");
            return world.log_reads.count(limits.log_reads_per_minute, &kind, now);
        }
        if is_read {
            return world.reads.count(limits.reads_per_minute, &kind("run.googleapis.com", "Read requests"), now);
        }
        world.writes.count(limits.writes_per_minute, &kind("run.googleapis.com", "Write requests"), now)
    }

    async fn answer(&self, call: &Call) -> Result<Value, Refusal> {
        if call.method.id == "run.projects.locations.operations.wait" {
            return self.wait(call).await;
        }
        self.shared.change(|world, now| answer_now(world, call, now))
    }

    /// Waits for an operation, at most as long as the request says.
    async fn wait(&self, call: &Call) -> Result<Value, Refusal> {
        let patience = call.text("timeout").and_then(schema::duration).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
        let begun = self.shared.clock.now();
        loop {
            let changed = self.shared.changed.notified();
            let (operation, next) = {
                let (world, now) = self.shared.world();
                (operations::get(&world, call, now)?, world.next_change(now).map(|at| since(at, now)))
            };
            let left = patience.saturating_sub(since(self.shared.clock.now(), begun));
            if operation["done"] == true || left.is_zero() {
                return Ok(operation);
            }
            tokio::select! {
                () = changed => {}
                () = self.shared.clock.sleep(next.unwrap_or(left).min(left)) => {}
            }
        }
    }

    /// Checks the answer: a fake that breaks its own schema proves nothing.
    fn respond(&self, call: &Call, mut answer: Value) -> Response {
        if let Err(broken) = schema::answer(self.schema, &call.method.response, &answer) {
            let message =
                format!("the fake's answer to {} is not what the API's schema says: {broken}", call.method.id);
            return Refusal::new(Code::Internal, message).into_response();
        }
        if let Some(mask) = &call.mask {
            answer = mask.of(answer);
        }
        if self.shared.last().0.trouble.unknown_fields {
            add_unknown(&mut answer);
        }
        json_response(200, &answer, call.pretty)
    }
}

/// The longest that `:wait` waits.
const LONGEST_WAIT: Duration = Duration::from_secs(30 * 60);

fn answer_now(world: &mut World, call: &Call, now: Timestamp) -> Result<Value, Refusal> {
    let Some(method) = call.method.id.strip_prefix("run.projects.locations.") else {
        let project = world.options.project.clone();
        world.iam.authorize("logging.logEntries.list", &format!("projects/{project}"))?;
        return logging::list(&world.log, &call.body, &project, &world.trouble, now);
    };
    call.name.is_in(&world.options.project, &world.options.region)?;
    match method {
        "jobs.create" => jobs::create(world, call, now),
        "jobs.delete" => jobs::delete(world, call, now),
        "jobs.get" => jobs::get(world, call, now),
        "jobs.list" => lists::jobs(world, call, now),
        "jobs.patch" => jobs::patch(world, call, now),
        "jobs.run" => jobs::run(world, call, now),
        "jobs.testIamPermissions" => jobs::test_permissions(world, call, now),
        "jobs.executions.cancel" => executions::cancel(world, call, now),
        "jobs.executions.delete" => executions::delete(world, call, now),
        "jobs.executions.get" => executions::get(world, call, now),
        "jobs.executions.list" => lists::executions(world, call, now),
        "jobs.executions.tasks.get" => executions::get_task(world, call, now),
        "jobs.executions.tasks.list" => lists::tasks(world, call, now),
        "operations.delete" => operations::delete(world, call),
        "operations.list" => lists::operations(world, call, now),
        _ => operations::get(world, call, now),
    }
}

/// Adds members that no document knows, at every depth.
fn add_unknown(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            fields.values_mut().for_each(add_unknown);
            let is_message = fields.keys().any(|key| matches!(key.as_str(), "name" | "type" | "entries" | "insertId"));
            if is_message {
                fields.insert("aFieldOfTomorrow".into(), serde_json::json!({ "isUnknown": true }));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(add_unknown),
        _ => {}
    }
}
