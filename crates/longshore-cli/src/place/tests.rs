use super::*;
use longshore::{
    Timestamp, TokioClock,
    mock::{MockConfig, MockExecutor},
};
use serde_json::{Value, json};
use std::io;

/// A mock that stands for an executor of the kind, as its configuration says.
fn standing_for(kind: &str, config: &Value, context: &ExecutorContext) -> Box<Chosen> {
    let host = ExecutionHost::builder().name(kind.parse().unwrap()).executor_type(kind.parse().unwrap()).build();
    let executor = MockExecutor::new(&host, MockConfig::from_value(config).unwrap(), context);
    Box::new(Chosen { host, executor: Arc::new(executor) })
}

/// Where the job runs, and how long it took to decide.
async fn chosen(engine: &Value, embedded: &Value) -> (Result<Chosen>, Duration) {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::UNIX_EPOCH));
    let context = ExecutorContext::new("unused").with_clock(Arc::clone(&clock));
    let place = Place::EngineOrEmbedded {
        engine: standing_for("docker", engine, &context),
        embedded: standing_for("embedded", embedded, &context),
        clock: Arc::clone(&clock),
    };
    let begun = clock.now();
    let chosen = place.chosen(&job(begun), &Console::new(false, true), true).await;
    (chosen, since(clock.now(), begun))
}

fn job(now: Timestamp) -> ContainerJob {
    let image: longshore::ImageSource = "tool".parse().unwrap();
    ContainerJob::new(longshore::JobTemplate::builder().name("tool".parse().unwrap()).image(image).build(), now)
}

#[tokio::test(start_paused = true)]
async fn the_engine_is_first_as_long_as_it_answers() {
    let (well, gone) = (json!({}), json!({ "outages": [{ "from": "0s", "to": "1h" }] }));
    let (slow, hanging) = (json!({ "latency": "2s" }), json!({ "latency": "1h" }));
    let cases = [
        (&well, &well, "docker", Duration::ZERO),
        (&well, &gone, "docker", Duration::ZERO),
        (&slow, &well, "docker", Duration::from_secs(2)),
        (&hanging, &well, "embedded", PATIENCE),
        (&gone, &well, "embedded", Duration::ZERO),
        (&gone, &slow, "embedded", Duration::from_secs(2)),
    ];
    for (engine, embedded, expected, after) in cases {
        let (chosen, took) = chosen(engine, embedded).await;
        let chosen = chosen.unwrap();
        assert_eq!((chosen.host.name.as_str(), took), (expected, after), "{engine} {embedded}");
        assert!(chosen.executor.facts().is_some());
    }
    let error = chosen(&gone, &gone).await.0.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Unavailable, Some(CHOOSE)));
    let told = error.chain();
    assert!(told.starts_with("choose_host: no Docker Engine answers (") && told.contains("either: discover"), "{told}");
}

#[test]
fn silence_is_told_with_its_place_and_its_innermost_reason() {
    let refused = || Error::new(ErrorKind::Unavailable, "inner").with_source(io::Error::other("Permission denied"));
    let cases = [
        (Error::new(ErrorKind::Timeout, "nothing within 3s"), "no Docker Engine answers (nothing within 3s)"),
        (
            Error::new(ErrorKind::Unavailable, "outer").with_context("engine", "unix:///a").with_source(refused()),
            "no Docker Engine answers at unix:///a (Permission denied)",
        ),
    ];
    for (silence, expected) in cases {
        assert_eq!(in_words(&silence), expected);
    }
}
