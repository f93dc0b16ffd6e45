//! What to do next about an error: pure, one table.

use longshore::{Advice, Error, ErrorKind, ExecutionHandle, config::Problems};
use std::{error::Error as StdError, io};

use crate::{
    choice::{DOCKER, EMBEDDED},
    place::CHOOSE,
    recording::IN_DOUBT,
};

/// What a hint depends on beside the error.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asked<'a> {
    /// The kind of executor.
    pub(crate) executor: &'a str,
    /// Whether the image is never to be fetched.
    pub(crate) never_pulls: bool,
    /// Whether the host was chosen by the configuration.
    pub(crate) is_routed: bool,
    /// Whether the image was typed as a file or folder.
    pub(crate) is_local: bool,
}

/// What a person can do about the error of a run, where something can be done.
pub(crate) fn of_error(asked: &Asked<'_>, error: &Error) -> Option<String> {
    let executor = asked.executor;
    let hint = match error.kind() {
        // What can be done stands in the error itself.
        _ if error.operation() == Some(IN_DOUBT) => return None,
        ErrorKind::Unavailable => return Some(of_unavailable(executor, error)),
        ErrorKind::ImageUnavailable => return Some(of_image(asked, error)),
        _ if error.operation() == Some("heed_pauses") => {
            "`longshore hosts resume` ends the pause, and `longshore hosts paused` lists those in force; --no-record leaves the database aside"
        }
        _ if error.operation() == Some("record") => {
            "`longshore db check` looks at the database; --no-record runs the job without it"
        }
        ErrorKind::Capacity if error.operation() == Some("route_job") => {
            "`longshore hosts check` tells what is wrong with each host, and what to do"
        }
        _ if error.operation() == Some("route_job") => {
            "`longshore route --explain` with the same options tells every host that was considered, and why not"
        }
        ErrorKind::Invalid if error.source().is_some_and(<dyn StdError>::is::<Problems>) => {
            "`longshore config check` checks the configuration; `longshore config schema` and `longshore schema job-file` describe the files"
        }
        ErrorKind::Invalid if error.message().starts_with("executor_config") => {
            return Some(format!("`longshore schema {executor}-config` tells what --executor-config takes"));
        }
        ErrorKind::Invalid if error.message().starts_with("executor_options") => {
            return Some(format!("`longshore schema {executor}-options` tells what --executor-option takes"));
        }
        ErrorKind::Invalid => "`longshore run --help` tells what each option takes",
        ErrorKind::Unsupported => of_unsupported(asked, error),
        ErrorKind::StartFailed => {
            "the container was made and its program could not be started; the message above is the host's"
        }
        ErrorKind::CommandNotFound => {
            "check COMMAND and --entrypoint; nothing passes through a shell, so for a shell's line write `-- sh -c 'LINE'`"
        }
        ErrorKind::CommandNotExecutable => {
            "check that the file may be executed (chmod +x) and is made for the host's platform (--platform)"
        }
        ErrorKind::SecretUnavailable => {
            "set the variable that env:NAME names, or check the path of file:PATH; provider:REFERENCE is for executors with a store of their own"
        }
        ErrorKind::Unauthenticated => "sign in, or renew the credentials that this host uses",
        ErrorKind::PermissionDenied => {
            "the credentials are good but not allowed to do this; ask whoever administers the host"
        }
        ErrorKind::Conflict => "remove or rename what has taken the name, or run again: each run has a name of its own",
        ErrorKind::Capacity | ErrorKind::Quota => {
            "try later, ask for less, or run it elsewhere with --executor or --host"
        }
        ErrorKind::RateLimited => "too many requests; try again in a while",
        ErrorKind::DeadlinePassed => "it took too long until the launch; a longer --start-timeout gives more time",
        ErrorKind::Timeout if error.operation() == Some("prepare") => {
            "fetch the image beforehand, or give it more time with --start-timeout"
        }
        ErrorKind::Timeout => "the host does not answer in time; try again, or look at it",
        ErrorKind::Unexpected => "run it again with --verbose for more; if it is Longshore's fault, please report it",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// How to find a container that was left where it is; `address` is the host's, where one was typed.
pub(crate) fn to_find(handle: &ExecutionHandle, address: Option<&str>) -> String {
    let (id, token) = (&handle.external_execution_id, handle.token);
    match handle.executor_type.as_str() {
        // The container's name is the token.
        "docker" => {
            let docker = address.map_or_else(|| "docker".to_owned(), |address| format!("docker --host {address}"));
            format!("`{docker} logs {token}` shows its output, `{docker} rm -f {token}` removes it")
        }
        _ => format!("on host {} it is {id}, launched as {token}", handle.host),
    }
}

fn of_unsupported(asked: &Asked<'_>, error: &Error) -> &'static str {
    if error.operation() != Some("plan") {
        return "`longshore executors` lists what this program can run on";
    }
    if asked.is_local && asked.executor != EMBEDDED {
        return "images in files and folders run on the embedded executor (--executor embedded); `docker load` gives an archive to an engine";
    }
    if asked.is_routed {
        return "leave the option out, or run it elsewhere (--executor); what the host's operator can allow stands under `allow` in the configuration";
    }
    "leave the option out, or run it elsewhere (--executor, --host); what the host's operator can allow, --allow allows here, such as --allow 'volumes=[\"data\"]'"
}

fn of_unavailable(executor: &str, error: &Error) -> String {
    if error.operation() == Some(CHOOSE) {
        return "start an engine (`systemctl start docker`, or install Docker or Podman), or point to one with --host URI or DOCKER_HOST; or give the embedded executor what it lacks, as told above".to_owned();
    }
    if executor == EMBEDDED {
        return "give this machine what it lacks, as told above, or run it on an engine with --executor docker"
            .to_owned();
    }
    if executor != DOCKER {
        return "check that the host can be reached, and try again".to_owned();
    }
    let engine = error.context().iter().find(|(name, _)| *name == "engine").map_or("the socket", |(_, engine)| engine);
    if is_forbidden(error) {
        return format!(
            "this user may not use {engine}: join the group that may (usually `docker`) and sign in anew, or run as root"
        );
    }
    format!(
        "start the engine that should answer at {engine} (`systemctl start docker`, or install Docker or Podman), or point elsewhere with --host URI or DOCKER_HOST"
    )
}

fn of_image(asked: &Asked<'_>, error: &Error) -> String {
    if asked.is_local {
        return "check the path, and what follows its `:`; it is one of the machine that runs the job".to_owned();
    }
    if asked.never_pulls {
        return "build it or fetch it there first, or leave out --pull never so that it is fetched".to_owned();
    }
    if error.advice() != Advice::Permanent {
        return "the registry could not be reached; try again, or fetch the image beforehand and run with --pull never"
            .to_owned();
    }
    let sign_in = if asked.executor == "docker" {
        "`docker login` for a private registry"
    } else {
        "credentials for a private registry"
    };
    format!(
        "check the image's name and tag; {sign_in}; an image built on the host needs no registry, and --pull never keeps it so"
    )
}

/// True when the system refused us the socket.
fn is_forbidden(error: &Error) -> bool {
    let mut next = error.source();
    while let Some(source) = next {
        if source.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied) {
            return true;
        }
        next = source.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore::{JobId, LaunchToken};

    fn asked(line: &str) -> Asked<'_> {
        Asked {
            executor: ["mock", EMBEDDED].into_iter().find(|kind| line.contains(kind)).unwrap_or(DOCKER),
            never_pulls: line.contains("--pull never"),
            is_routed: line.contains("--config"),
            is_local: line.contains("rootfs:"),
        }
    }

    #[test]
    fn hints_say_what_to_do_next() {
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        let error = |kind| Error::new(kind, "it");
        let engine = |kind| error(kind).with_context("engine", "unix:///run/x.sock");
        let cases = [
            ("i", engine(ErrorKind::Unavailable), "unix:///run/x.sock"),
            ("i", engine(ErrorKind::Unavailable), "--host URI or DOCKER_HOST"),
            ("i", engine(ErrorKind::Unavailable).with_source(refused()), "the group that may"),
            ("i", error(ErrorKind::Unavailable), "the socket"),
            ("--executor mock i", error(ErrorKind::Unavailable), "host can be reached"),
            ("--executor embedded i", error(ErrorKind::Unavailable), "--executor docker"),
            ("i", error(ErrorKind::Unavailable).with_operation(CHOOSE), "what it lacks"),
            ("rootfs:/a", error(ErrorKind::ImageUnavailable), "check the path"),
            ("rootfs:/a", error(ErrorKind::Unsupported).with_operation("plan"), "--executor embedded"),
            ("--executor embedded rootfs:/a", error(ErrorKind::Unsupported).with_operation("plan"), "leave the option"),
            ("i", error(ErrorKind::ImageUnavailable), "docker login"),
            ("--executor mock i", error(ErrorKind::ImageUnavailable), "credentials for a private registry"),
            ("i", error(ErrorKind::ImageUnavailable).with_advice(Advice::Temporary), "could not be reached"),
            ("--pull never i", error(ErrorKind::ImageUnavailable), "leave out --pull never"),
            ("i", error(ErrorKind::Invalid), "--help"),
            ("i", Error::new(ErrorKind::Invalid, "executor_config: it"), "longshore schema docker-config"),
            ("i", Error::new(ErrorKind::Invalid, "executor_options.docker: it"), "longshore schema docker-options"),
            ("i", error(ErrorKind::Unsupported), "longshore executors"),
            ("i", error(ErrorKind::Unsupported).with_operation("plan"), "leave the option out"),
            (
                "--config c i",
                error(ErrorKind::Unsupported).with_operation("plan"),
                "under `allow` in the configuration",
            ),
            ("--config c i", error(ErrorKind::Unsupported).with_operation("route_job"), "route --explain"),
            ("--config c i", error(ErrorKind::Capacity).with_operation("route_job"), "hosts check"),
            ("--config c i", error(ErrorKind::Timeout).with_operation("route_job"), "route --explain"),
            ("i", error(ErrorKind::StartFailed), "could not be started"),
            ("i", error(ErrorKind::CommandNotFound), "sh -c"),
            ("i", error(ErrorKind::CommandNotExecutable), "chmod +x"),
            ("i", error(ErrorKind::SecretUnavailable), "env:NAME"),
            ("i", error(ErrorKind::Unauthenticated), "credentials"),
            ("i", error(ErrorKind::PermissionDenied), "administers"),
            ("i", error(ErrorKind::Conflict), "name"),
            ("i", error(ErrorKind::Capacity), "elsewhere"),
            ("i", error(ErrorKind::Quota), "elsewhere"),
            ("i", error(ErrorKind::RateLimited), "in a while"),
            ("i", error(ErrorKind::DeadlinePassed), "--start-timeout"),
            ("i", error(ErrorKind::Timeout).with_operation("prepare"), "--start-timeout"),
            ("i", error(ErrorKind::Timeout), "does not answer"),
            ("i", error(ErrorKind::Unexpected), "--verbose"),
        ];
        for (line, error, expected) in cases {
            let hint = of_error(&asked(line), &error).unwrap_or_default();
            assert!(hint.contains(expected), "{line} {}: {hint}", error.kind());
        }
    }

    #[test]
    fn what_is_kept_can_be_found() {
        let token = LaunchToken::new(JobId::new(jiff::Timestamp::UNIX_EPOCH), 1);
        let handle = |executor: &str| {
            let (executor, host) = (executor.parse().unwrap(), executor.parse().unwrap());
            ExecutionHandle::new(executor, host, token, 1, "abc", serde_json::Value::Null)
        };
        assert!(to_find(&handle("docker"), None).contains(&format!("`docker rm -f {token}`")));
        let elsewhere = to_find(&handle("docker"), Some("unix:///run/x.sock"));
        assert!(elsewhere.contains(&format!("`docker --host unix:///run/x.sock logs {token}`")), "{elsewhere}");
        assert_eq!(to_find(&handle("mock"), None), format!("on host mock it is abc, launched as {token}"));
    }
}
