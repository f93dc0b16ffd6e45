//! The program `axum_service` on a real engine: it is killed and told to end while a job runs, and is started again.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "axum_service/wire.rs"]
mod wire;

use longshore::docker::{DockerConfig, load_image};
use longshore_testkit::{
    suite::{self, Needs, Test},
    tests,
};
use serde_json::json;
use std::{
    net::SocketAddr,
    path::Path,
    process::{ExitCode, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use wire::{ask, read_until};

const IMAGE: &str = "longshore.test/probe:1";
/// Longer than anything takes that is waited for.
const TOO_LONG: Duration = Duration::from_secs(90);

const TESTS: &[Test] = &tests![a_job_outlives_the_service_and_is_taken_up_again];

fn main() -> ExitCode {
    let engine: Needs = || Box::pin(engine());
    suite::main(&[("axum_service", engine, TESTS)])
}

/// An engine that has the probe's image, or why there is none.
async fn engine() -> Result<(), String> {
    let config = DockerConfig::from_value(&json!({})).map_err(|error| error.to_string())?;
    load_image(&config, longshore_probe::image_archive(IMAGE).into())
        .await
        .map_err(|error| format!("there is no Docker Engine ({error}); start one, or point DOCKER_HOST at one"))
}

/// The program, started. It is killed when the test ends first.
struct Service {
    program: Child,
    address: SocketAddr,
}

impl Service {
    async fn start(folder: &Path) -> Self {
        let own = std::env::current_exe().unwrap();
        let path = own.parent().unwrap().parent().unwrap().join("examples/axum_service");
        let mut command = Command::new(path);
        command
            .arg("127.0.0.1:0")
            .arg(folder)
            .env_remove("LONGSHORE_DATABASE")
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut program = command.spawn().unwrap();
        let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        let address = first.strip_prefix("http://").and_then(|rest| rest.split_once('/'));
        let Some((address, _)) = address else { panic!("{first}") };
        let address = address.parse().unwrap();
        // Whoever speaks must be heard, or it can't speak any more.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { program, address }
    }

    async fn ask(&self, request: &str, body: &str) -> String {
        read_until(&mut ask(self.address, request, body).await, "no such words").await
    }

    /// Takes a job in, and returns where it is found.
    async fn submit(&self, script: &[&str]) -> String {
        let template = json!({ "name": "job", "image": IMAGE, "network": "none", "args": script }).to_string();
        let answer = self.ask("POST /jobs", &template).await;
        let location = answer.lines().find_map(|line| line.strip_prefix("location: "));
        location.unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    /// Waits until the job is told to be so.
    async fn becomes(&self, job: &str, status: &str) {
        let mut events = ask(self.address, &format!("GET {job}/events"), "").await;
        let words = format!("\"status\":\"{status}\"");
        let told = read_until(&mut events, &words).await;
        assert!(told.contains(&words), "{told}");
    }

    async fn tells_one_run(&self, job: &str) {
        let output = self.ask(&format!("GET {job}/logs"), "").await;
        assert!(output.ends_with("\r\n\r\nready\n"), "it ran once: {output}");
        let report = self.ask(&format!("GET {job}"), "").await;
        assert!(report.contains("\"exit_code\":5"), "{report}");
    }

    async fn kill(mut self) {
        self.program.kill().await.unwrap();
    }

    /// SIGTERM, and an end in order.
    async fn end(mut self) {
        let id = i32::try_from(self.program.id().unwrap()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert!(self.program.wait().await.unwrap().success());
    }
}

async fn a_job_outlives_the_service_and_is_taken_up_again() {
    timeout(TOO_LONG, outlives()).await.unwrap_or_else(|_| panic!("the test waits for what never comes"));
}

async fn outlives() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path()).await;
    let job = &service.submit(&["catch TERM 5", "print ready", "forever"]).await;
    service.becomes(job, "running").await;
    service.kill().await;

    let service = Service::start(folder.path()).await;
    service.becomes(job, "running").await;
    service.end().await;

    let service = Service::start(folder.path()).await;
    service.ask(&format!("DELETE {job}"), "").await;
    service.becomes(job, "cancelled").await;
    service.tells_one_run(job).await;
    service.end().await;
}
