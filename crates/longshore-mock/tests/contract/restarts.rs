//! Other programs, other providers, older handles.

use longshore_core::{
    ContainerExecutor, ErrorKind, ExecutionHandle, ExecutionHost, ExecutionStatus, ExecutorContext, ExecutorRegistry,
};
use longshore_mock::{MockConfig, MockProvider};
use serde_json::json;

use crate::support::{Place, SECOND};

/// The handle as version 1 wrote it.
fn of_version_1(handle: &ExecutionHandle) -> ExecutionHandle {
    let mut stored = serde_json::to_value(handle).unwrap();
    stored["version"] = 1.into();
    stored.as_object_mut().unwrap().remove("executor_metadata");
    serde_json::from_value(stored).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_restarted_program_goes_on() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["print a", "sleep 5s", "exit 3"]).await;
    place.sleep(10 * SECOND).await;
    let restarted = place.attach(&place.provider);
    assert_eq!(restarted.launch_job(&request).await.unwrap(), handle);
    let harvest = restarted.harvest_job(&handle).await.unwrap();
    assert_eq!(harvest, place.executor.harvest_job(&handle).await.unwrap());
    let [owned] = restarted.list_owned(&request.owner).await.unwrap().try_into().unwrap();
    assert_eq!((owned.handle, owned.live), (handle.clone(), false));
    restarted.cleanup(&handle).await.unwrap();
    assert_eq!(place.status(&handle).await, ExecutionStatus::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_handle_of_version_1_finds_what_it_found() {
    let place = Place::new(json!({})).await;
    let (_, handle) = place.launch(&["exit 3"]).await;
    let old = of_version_1(&handle);
    assert_eq!((old.version, handle.version), (1, 2));
    assert_eq!(place.end(&old).await, place.end(&handle).await);
    place.executor.cleanup(&old).await.unwrap();
    assert_eq!(place.status(&handle).await, ExecutionStatus::NotFound);
}

/// Its number is the same, and so is the token, because the program launches again what its database asks for.
#[tokio::test(start_paused = true)]
async fn a_handle_of_another_provider_does_not_find_what_has_its_number() {
    let place = Place::new(json!({})).await;
    let (request, handle) = place.launch(&["exit 3"]).await;
    place.sleep(SECOND).await;
    let later = MockProvider::new(MockConfig::default(), place.context.clock.clone());
    let executor = place.attach(&later);
    let again = executor.launch_job(&request).await.unwrap();
    assert_eq!(again.external_execution_id, handle.external_execution_id);
    assert_eq!(executor.check_status(&handle).await.unwrap(), ExecutionStatus::NotFound);
    assert_ne!(executor.check_status(&again).await.unwrap(), ExecutionStatus::NotFound);
    assert_ne!(executor.check_status(&of_version_1(&handle)).await.unwrap(), ExecutionStatus::NotFound);
}

#[tokio::test(start_paused = true)]
async fn a_handle_that_can_not_be_read_is_refused() {
    let place = Place::new(json!({})).await;
    let (_, handle) = place.launch(&["exit 3"]).await;
    let mut broken = handle.clone();
    broken.executor_metadata = json!({ "created_at": "yesterday" });
    assert_eq!(place.executor.check_status(&broken).await.unwrap_err().kind(), ErrorKind::Invalid);
    let mut newer = handle.clone();
    newer.version = 3;
    assert_eq!(place.executor.check_status(&newer).await.unwrap_err().kind(), ErrorKind::Invalid);
    let mut unknown = handle;
    for id in ["mock-2", "mock-01", "mock-", "", "../mock-1"] {
        unknown.external_execution_id = id.to_owned();
        assert_eq!(place.status(&unknown).await, ExecutionStatus::NotFound, "{id}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_executor_that_a_registry_builds_has_a_provider_of_its_own() {
    let mut registry = ExecutorRegistry::new();
    longshore_mock::register(&mut registry);
    let host = |config| {
        let host = ExecutionHost::builder().name("here".parse().unwrap()).executor_type("mock".parse().unwrap());
        host.executor_config(config).build()
    };
    let context = ExecutorContext::new("unused");
    let mock = registry.build(&host(json!({ "memory": "1g" })), &context).unwrap();
    assert_eq!(mock.discover().await.unwrap().memory.unwrap().bytes(), 1 << 30);
    let error = registry.build(&host(json!({ "memroy": "1g" })), &context).unwrap_err();
    assert!(error.kind() == ErrorKind::Invalid && error.to_string().contains("memroy"), "{error}");
    let kind = registry.kinds().next().unwrap();
    assert!((kind.config_schema)().get("properties").is_some() && (kind.options_schema)().get("properties").is_some());
}
