//! What is no request, who may not ask, and what there is too much of.

use hyper::Method;
use longshore_testkit::{
    fakes::cloudrun::{Limits, Options},
    suite::Test,
    tests,
};
use serde_json::json;
use std::time::Duration;

use crate::client::{Answer, Bench};

pub(crate) const TESTS: &[Test] = &tests![
    a_path_that_no_api_has_is_a_page,
    unknown_names_are_told_where_they_are,
    what_breaks_a_rule_leaves_nothing_behind,
    a_token_is_needed_and_expires,
    each_permission_is_asked_for,
    other_projects_and_regions_are_not_there,
    jobs_and_executions_are_limited,
    calls_are_limited_by_the_minute,
    validation_alone_keeps_nothing,
    an_old_etag_is_a_conflict,
    a_service_account_gets_its_tokens,
];

async fn a_path_that_no_api_has_is_a_page() {
    let bench = Bench::start().await;
    for path in ["jobs/a/b", "services", "jobs/a:start"] {
        let answer = bench.get(path).await;
        assert_eq!(answer.status, 404);
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with("text/html"), "{path}");
    }
}

async fn unknown_names_are_told_where_they_are() {
    let bench = Bench::start().await;
    let mut job = bench.job(&[]);
    job["template"]["template"]["maxRetry"] = json!(0);
    let message = bench.post("jobs?jobId=a", job).await.is_refusal(400, "INVALID_ARGUMENT");
    assert!(message.contains("Unknown name \"maxRetry\" at 'job.template.template': Cannot find field."), "{message}");
    let message = bench.post("jobs?jobid=a", bench.job(&[])).await.is_refusal(400, "INVALID_ARGUMENT");
    assert!(message.contains("Unknown name \"jobid\": Cannot bind query parameter."), "{message}");
    for (path, body) in [("jobs/a:run", json!({ "override": {} })), ("operations/a:wait", json!({ "timeout": 5 }))] {
        bench.post(path, body).await.is_refusal(400, "INVALID_ARGUMENT");
    }
    for query in ["pageSize=many", "showDeleted=1", "pageSize=1&pageSize=2", "alt=media", "fields=jobs(nothing)"] {
        bench.get(&format!("jobs?{query}")).await.is_refusal(400, "INVALID_ARGUMENT");
    }
    bench.get("jobs?alt=json&prettyPrint=false&pageSize=5&fields=jobs(name)").await.ok();
    let url = format!("{}/{}/jobs?jobId=a", bench.fake.endpoint(), bench.parent());
    let form = bench.form(&url, "{}").await;
    form.is_refusal(401, "UNAUTHENTICATED");
    bench.entries(json!({ "resourceNames": [], "filter": "" })).await.is_refusal(400, "INVALID_ARGUMENT");
    bench.entries(json!({ "resourceNames": ["projects/other"] })).await.is_refusal(403, "PERMISSION_DENIED");
}

async fn what_breaks_a_rule_leaves_nothing_behind() {
    let bench = Bench::start().await;
    bench.post(&format!("jobs?jobId={}", "a".repeat(50)), bench.job(&[])).await.is_refusal(400, "INVALID_ARGUMENT");
    let mut job = bench.job(&[]);
    job["template"]["template"]["containers"][0]["resources"] = json!({ "limits": { "cpu": "1", "memory": "8Gi" } });
    let message = bench.post("jobs?jobId=a", job).await.is_refusal(400, "INVALID_ARGUMENT");
    assert!(message.contains("For 1 CPU, memory must be between 512Mi and 4Gi inclusive"), "{message}");
    let mut job = bench.job(&[]);
    job["labels"] = json!({ "run.googleapis.com/mine": "x" });
    bench.post("jobs?jobId=a", job).await.is_refusal(400, "INVALID_ARGUMENT");
    assert!(bench.fake.jobs().is_empty());
}

async fn a_token_is_needed_and_expires() {
    let bench = Bench::start().await;
    let url = format!("{}/{}/jobs", bench.fake.endpoint(), bench.parent());
    let ask = async |token: Option<&str>| -> Answer { bench.send(Method::GET, &url, None, token).await.unwrap() };
    ask(None).await.is_refusal(401, "UNAUTHENTICATED");
    ask(Some("nonsense")).await.is_refusal(401, "UNAUTHENTICATED");
    let token = bench.fake.issue_token(Duration::from_secs(100_000));
    ask(Some(&token)).await.ok();
    bench.fake.expire_tokens();
    ask(Some(&token)).await.is_refusal(401, "UNAUTHENTICATED");
    let short = bench.fake.issue_token(Duration::from_millis(1));
    bench.pass(Duration::from_secs(1));
    ask(Some(&short)).await.is_refusal(401, "UNAUTHENTICATED");
    ask(Some(&bench.fake.token())).await.ok();
}

async fn each_permission_is_asked_for() {
    let bench = Bench::start().await;
    bench.run("there", bench.job(&["exit 0"])).await;
    let execution = "jobs/there/executions/there-a";
    let asked = json!({ "permissions": ["run.jobs.run", "run.jobs.delete"] });
    for (permission, method, path) in [
        ("run.jobs.get", Method::GET, "jobs/there".to_owned()),
        ("run.jobs.list", Method::GET, "jobs".to_owned()),
        ("run.jobs.delete", Method::DELETE, "jobs/there".to_owned()),
        ("run.executions.get", Method::GET, execution.to_owned()),
        ("run.executions.list", Method::GET, "jobs/-/executions".to_owned()),
        ("run.executions.delete", Method::DELETE, execution.to_owned()),
        ("run.tasks.get", Method::GET, format!("{execution}/tasks/there-a-task0")),
        ("run.tasks.list", Method::GET, format!("{execution}/tasks")),
        ("run.operations.list", Method::GET, "operations".to_owned()),
    ] {
        bench.fake.deny(permission);
        let message = bench.call(method, &path, None).await.is_refusal(403, "PERMISSION_DENIED");
        assert!(message.contains(&format!("Permission '{permission}' denied")), "{message}");
        bench.fake.allow(permission);
    }
    let posts = [
        ("run.jobs.create", "jobs?jobId=a", bench.job(&[])),
        ("iam.serviceaccounts.actAs", "jobs?jobId=a", bench.job(&[])),
        ("run.jobs.run", "jobs/there:run", json!({})),
        ("run.jobs.runWithOverrides", "jobs/there:run", json!({ "overrides": { "taskCount": 2 } })),
        ("run.executions.cancel", "jobs/there/executions/there-a:cancel", json!({})),
    ];
    for (permission, path, body) in posts {
        bench.fake.deny(permission);
        bench.post(path, body).await.is_refusal(403, "PERMISSION_DENIED");
        bench.fake.allow(permission);
    }
    bench.fake.deny("logging.logEntries.list");
    bench.entries(json!({ "resourceNames": ["projects/longshore-test"] })).await.is_refusal(403, "PERMISSION_DENIED");
    bench.fake.deny("run.jobs.delete");
    let held = bench.post("jobs/there:testIamPermissions", asked.clone()).await.ok();
    assert_eq!(held, json!({ "permissions": ["run.jobs.run"] }));
    assert_eq!(bench.post("jobs/nothing:testIamPermissions", asked).await.ok(), json!({}));
}

async fn other_projects_and_regions_are_not_there() {
    let bench = Bench::start().await;
    let ask = async |project: &str, region: &str| {
        let url = format!("{}/v2/projects/{project}/locations/{region}/jobs", bench.fake.endpoint());
        bench.send(Method::GET, &url, None, Some(&bench.fake.token())).await.unwrap()
    };
    ask("longshore-test", "mars-east1").await.is_refusal(404, "NOT_FOUND");
    ask("another-project", "europe-west1").await.is_refusal(403, "PERMISSION_DENIED");
    ask("longshore-test", "europe-west1").await.ok();
}

async fn jobs_and_executions_are_limited() {
    let limits = Limits { jobs: 2, running_executions: 1, finished_executions: 1, ..Limits::default() };
    let bench = Bench::with(Options { limits, ..Options::default() }).await;
    bench.run("one", bench.job(&["exit 0"])).await;
    bench.post("jobs?jobId=two", bench.job(&["forever"])).await.ok();
    bench.post("jobs?jobId=three", bench.job(&[])).await.is_refusal(429, "RESOURCE_EXHAUSTED");
    bench.post("jobs/two:run", json!({})).await.ok();
    bench.post("jobs/one:run", json!({})).await.is_refusal(429, "RESOURCE_EXHAUSTED");
    let running = bench.until("it runs", async || bench.fake.executions("two").first().cloned()).await;
    bench.post(&format!("jobs/two/executions/{running}:cancel"), json!({})).await.ok();
    bench.ended("two", &running).await;
    let again = bench.post("jobs/one:run", json!({})).await.ok();
    let again = again["metadata"]["name"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    bench.ended("one", &again).await;
    assert_eq!(bench.fake.executions("one"), [again]);
    assert_eq!(bench.fake.starts("one"), 2);
}

async fn calls_are_limited_by_the_minute() {
    let limits = Limits { log_reads_per_minute: Some(3), tells_retry_after: true, ..Limits::default() };
    let bench = Bench::with(Options { limits, ..Options::default() }).await;
    let ask = async || bench.entries(json!({ "resourceNames": ["projects/longshore-test"] })).await;
    for _ in 0..3 {
        ask().await.ok();
    }
    let refused = ask().await;
    let message = refused.is_refusal(429, "RESOURCE_EXHAUSTED");
    assert!(message.contains("'Read requests per minute' of service 'logging.googleapis.com'"), "{message}");
    assert_eq!(refused.json()["error"]["details"][0]["reason"], "RATE_LIMIT_EXCEEDED");
    let wait: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
    let limits = Limits { reads_per_minute: Some(1), writes_per_minute: Some(0), ..Limits::default() };
    let bench = Bench::with(Options { limits, ..Options::default() }).await;
    bench.get("jobs").await.ok();
    assert!(bench.get("jobs").await.headers.get("retry-after").is_none());
    bench.post("jobs?jobId=a", bench.job(&[])).await.is_refusal(429, "RESOURCE_EXHAUSTED");
}

async fn validation_alone_keeps_nothing() {
    let bench = Bench::start().await;
    let mut job = bench.job(&["exit 0"]);
    job["startExecutionToken"] = json!("a");
    let validated = bench.post("jobs?jobId=a&validateOnly=true", job.clone()).await.ok();
    assert_eq!((&validated["done"], &validated["response"]["template"]["taskCount"]), (&json!(true), &json!(1)));
    assert!(bench.fake.jobs().is_empty());
    bench.run("a", bench.job(&["exit 0"])).await;
    bench.post("jobs/a:run", json!({ "validateOnly": true })).await.ok();
    bench.call(Method::PATCH, "jobs/a?validateOnly=true", Some(bench.job(&[]))).await.ok();
    bench.call(Method::DELETE, "jobs/a/executions/a-a?validateOnly=true", None).await.ok();
    bench.call(Method::DELETE, "jobs/a?validateOnly=true", None).await.ok();
    bench.pass(Duration::from_secs(5));
    assert_eq!(bench.get("jobs/a").await.ok()["generation"], "1");
    assert_eq!(bench.fake.executions("a"), ["a-a"]);
}

async fn an_old_etag_is_a_conflict() {
    let bench = Bench::start().await;
    bench.post("jobs?jobId=a", bench.job(&["exit 0"])).await.ok();
    let etag = bench.get("jobs/a").await.ok()["etag"].clone();
    let mut job = bench.job(&["exit 1"]);
    job["etag"] = etag.clone();
    bench.call(Method::PATCH, "jobs/a", Some(job.clone())).await.ok();
    bench.call(Method::PATCH, "jobs/a", Some(job)).await.is_refusal(409, "ABORTED");
    bench.post("jobs/a:run", json!({ "etag": etag })).await.is_refusal(409, "ABORTED");
    bench.call(Method::DELETE, "jobs/a?etag=old", None).await.is_refusal(409, "ABORTED");
    bench.call(Method::PATCH, "jobs/b", Some(bench.job(&[]))).await.is_refusal(404, "NOT_FOUND");
    bench.call(Method::PATCH, "jobs/b?allowMissing=true", Some(bench.job(&[]))).await.ok();
    assert_eq!(bench.fake.jobs(), ["a", "b"]);
}

async fn a_service_account_gets_its_tokens() {
    let bench = Bench::start().await;
    let key: serde_json::Value = serde_json::from_str(&bench.fake.service_account_key().unwrap()).unwrap();
    assert!(key["private_key"].as_str().unwrap().starts_with("-----BEGIN PRIVATE KEY-----"));
    let part = |value: serde_json::Value| {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        URL_SAFE_NO_PAD.encode(value.to_string())
    };
    let statement = |scope: &str, life: i64| {
        let header = part(json!({ "alg": "RS256", "typ": "JWT" }));
        let claims = json!({ "iss": key["client_email"], "scope": scope, "aud": key["token_uri"], "iat": 1_000, "exp": 1_000 + life });
        format!("{header}.{}.signature", part(claims))
    };
    let ask = async |assertion: &str| {
        let form = format!("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={assertion}");
        bench.form(key["token_uri"].as_str().unwrap(), &form).await
    };
    let scope = "https://www.googleapis.com/auth/cloud-platform";
    for wrong in [statement("openid", 3_600), statement(scope, 3_601), "a.b.c".to_owned()] {
        assert_eq!(ask(&wrong).await.json()["error"], "invalid_grant", "{wrong}");
    }
    let issued = ask(&statement(scope, 3_600)).await.ok();
    let url = format!("{}/{}/jobs", bench.fake.endpoint(), bench.parent());
    bench.send(Method::GET, &url, None, issued["access_token"].as_str()).await.unwrap().ok();
}
