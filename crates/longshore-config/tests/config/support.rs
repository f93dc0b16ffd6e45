//! A program with stand-ins for clouds: every kind is the mock under another name.

use longshore_config::{Config, Environment, Loader, Problems};
use longshore_core::{
    ContainerExecutor, ExecutionHost, ExecutorContext, ExecutorKind, ExecutorRegistry, Result, route::RoutingTable,
};
use longshore_mock::{Behaviour, MockConfig, MockExecutor};
use std::{path::Path, sync::Arc};

pub(crate) fn registry() -> ExecutorRegistry {
    let mut registry = ExecutorRegistry::new();
    for name in ["docker", "fargate", "cloudrun"] {
        registry.register(ExecutorKind::new(
            name.parse().unwrap(),
            "a stand-in",
            build,
            || schemars::schema_for!(MockConfig),
            || schemars::schema_for!(Behaviour),
        ));
    }
    registry.tell_absent("scaleway".parse().unwrap(), "the feature `scaleway` of longshore");
    registry
}

fn build(host: &ExecutionHost, context: &ExecutorContext) -> Result<Arc<dyn ContainerExecutor>> {
    let config = MockConfig::from_value(&host.executor_config)?;
    Ok(Arc::new(MockExecutor::new(host, config, context)))
}

/// Makes the executor of a host.
pub(crate) fn make(host: &ExecutionHost) -> Result<Arc<dyn ContainerExecutor>> {
    registry().build(host, &ExecutorContext::new("/nowhere"))
}

pub(crate) fn loader(variables: &[(&str, &str)]) -> Loader {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Loader::new(registry()).with_environment(variables.collect::<Environment>())
}

pub(crate) fn parse(text: &str) -> Result<Config, Problems> {
    loader(&[]).parse(Path::new("longshore.toml"), text)
}

pub(crate) fn table(config: &Config) -> Arc<RoutingTable> {
    Arc::new(config.table(make).unwrap())
}

/// The problems as `LINE:COLUMN CODE MESSAGE; HELP`, errors and warnings.
pub(crate) fn told(problems: &Problems) -> Vec<String> {
    let shown = problems.to_string();
    let lines = shown.lines().zip(problems.as_slice());
    lines
        .map(|(line, problem)| {
            let place = line.rsplit_once("longshore.toml:").map_or(line, |(_, place)| place);
            let (place, rest) = place.split_once(": ").unwrap();
            format!("{place} {} {rest}", problem.code)
        })
        .collect()
}
