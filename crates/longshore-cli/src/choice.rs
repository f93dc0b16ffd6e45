//! On what kind of executor a job runs where neither an option nor a configuration says so: never unisolated.

use longshore::{ExecutorRegistry, ImageSource};

use crate::args::PlaceArgs;

/// The kind that an engine's address is for.
pub(crate) const DOCKER: &str = "docker";
/// The kind that needs no engine.
pub(crate) const EMBEDDED: &str = "embedded";

/// What was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice<'a> {
    /// This kind, and why, where people would expect another one.
    Only(&'a str, Option<String>),
    /// The engine that Docker would use, and the embedded executor where no engine answers.
    EngineOrEmbedded,
}

impl<'a> Choice<'a> {
    /// Decided by what was typed, the image, and what this program can run on.
    pub(crate) fn of(args: &'a PlaceArgs, image: &ImageSource, registry: &ExecutorRegistry) -> Self {
        let has = |kind: &str| registry.kinds().any(|known| known.executor_type.as_str() == kind);
        if let Some(kind) = named(args) {
            return Self::Only(kind, None);
        }
        match (has(DOCKER), has(EMBEDDED), image.local()) {
            (false, true, _) => Self::Only(EMBEDDED, None),
            (true, true, Some(local)) => {
                let why = format!("no Docker Engine runs an image from {}:PATH", local.format().scheme());
                Self::Only(EMBEDDED, Some(why))
            }
            // Settings are an executor's own: whose they are must not depend on what answers.
            (true, true, None) if args.executor_config.is_empty() => Self::EngineOrEmbedded,
            _ => Self::Only(DOCKER, None),
        }
    }

    /// The kind that is asked first.
    pub(crate) const fn first(&self) -> &'a str {
        match self {
            Self::Only(kind, _) => kind,
            Self::EngineOrEmbedded => DOCKER,
        }
    }
}

/// The kind that an option names, or that it is for.
fn named(args: &PlaceArgs) -> Option<&str> {
    let is_for = |option: &str, kind: &str| {
        option.strip_prefix(kind).is_some_and(|rest| rest.starts_with('.') || rest.starts_with('='))
    };
    let by_option =
        || [DOCKER, EMBEDDED].into_iter().find(|kind| args.executor_option.iter().any(|option| is_for(option, kind)));
    args.executor.as_deref().or(args.host.as_ref().map(|_| DOCKER)).or_else(by_option)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use clap::Parser;
    use longshore::{ErrorKind, ExecutionHost, ExecutorContext, ExecutorKind};

    fn registry(kinds: &[&str]) -> ExecutorRegistry {
        let mut registry = ExecutorRegistry::new();
        let nobody = |_: &ExecutionHost, _: &ExecutorContext| {
            Err(longshore::Error::new(ErrorKind::Unsupported, "not made here"))
        };
        let schema = || schemars::json_schema!({});
        for kind in kinds {
            registry.register(ExecutorKind::new(kind.parse().unwrap(), "", nobody, schema, schema));
        }
        registry
    }

    /// The choice for what is typed, in a few words.
    fn chosen(kinds: &[&str], line: &[&str]) -> String {
        let words = ["longshore", "run"].iter().chain(line);
        let Ok(Command::Run(args)) = Cli::try_parse_from(words).map(|cli| cli.command) else { panic!("{line:?}") };
        let image = args.job.image().parse().unwrap();
        let choice = Choice::of(&args.place, &image, &registry(kinds));
        match &choice {
            Choice::Only(kind, None) => (*kind).to_owned(),
            Choice::Only(kind, Some(why)) => format!("{kind}: {why}"),
            Choice::EngineOrEmbedded => format!("{} or embedded", choice.first()),
        }
    }

    const ALL: &[&str] = &[DOCKER, EMBEDDED, "mock"];

    #[test]
    fn what_is_named_is_chosen() {
        for kinds in [ALL, &[DOCKER], &[EMBEDDED], &["mock"]] {
            for image in ["tool", "docker-archive:/a.tar"] {
                for (kind, options) in [
                    ("mock", ["--executor", "mock"]),
                    (DOCKER, ["--executor", "docker"]),
                    (EMBEDDED, ["--executor", "embedded"]),
                    (DOCKER, ["--host", "unix:///a"]),
                    (DOCKER, ["--executor-option", "docker.init=true"]),
                    (DOCKER, ["--executor-option", "docker={}"]),
                    (EMBEDDED, ["--executor-option", "embedded.a=b"]),
                ] {
                    assert_eq!(chosen(kinds, &[options[0], options[1], image]), kind, "{kinds:?} {options:?} {image}");
                }
                let both = ["--executor", "embedded", "--executor-option", "docker.init=true", image];
                assert_eq!(chosen(kinds, &both), EMBEDDED);
            }
        }
    }

    #[test]
    fn what_is_not_named_is_chosen_by_the_image_and_by_what_there_is() {
        let settings = ["--executor-config", "a=b"];
        let option = ["--executor-option", "dockers.a=b"];
        let cases: [(&[&str], &[&str], &str, &str); 13] = [
            (ALL, &[], "tool", "docker or embedded"),
            (ALL, &["--allow", "host_network=true"], "tool", "docker or embedded"),
            (ALL, &option, "tool", "docker or embedded"),
            (ALL, &settings, "tool", "docker"),
            (ALL, &[], "rootfs:/a", "embedded: no Docker Engine runs an image from rootfs:PATH"),
            (ALL, &settings, "oci:/a:1", "embedded: no Docker Engine runs an image from oci:PATH"),
            (&[DOCKER, "mock"], &[], "tool", "docker"),
            (&[DOCKER, "mock"], &[], "rootfs:/a", "docker"),
            (&[EMBEDDED, "mock"], &[], "tool", "embedded"),
            (&[EMBEDDED, "mock"], &settings, "tool", "embedded"),
            (&[EMBEDDED, "mock"], &[], "rootfs:/a", "embedded"),
            (&["mock"], &[], "tool", "docker"),
            (&["mock"], &[], "rootfs:/a", "docker"),
        ];
        for (kinds, options, image, expected) in cases {
            assert_eq!(chosen(kinds, &[options, &[image]].concat()), expected, "{kinds:?} {options:?} {image}");
        }
    }
}
