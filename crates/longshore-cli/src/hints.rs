//! What to do next about an error: pure, one table.

use longshore::{Advice, Error, ErrorKind, ExecutionHandle};
use std::{error::Error as StdError, io};

/// What a person can do about the error, where something can be done. `executor` is the kind of executor that
/// was asked for.
pub(crate) fn of_error(executor: &str, error: &Error) -> Option<String> {
    let hint = match error.kind() {
        ErrorKind::Unavailable => return Some(of_unavailable(executor, error)),
        ErrorKind::ImageUnavailable => return Some(of_image(executor, error)),
        ErrorKind::Invalid => "`longshore run --help` tells what each option takes",
        ErrorKind::Unsupported if error.operation() == Some("plan") => {
            "leave the option out, choose another --executor, or let the host allow it (--executor-config KEY=VALUE)"
        }
        ErrorKind::Unsupported => "`longshore executors` lists what this program can run on",
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

/// How to find a container that was left where it is.
pub(crate) fn to_find(handle: &ExecutionHandle) -> String {
    let (id, token) = (&handle.external_execution_id, handle.token);
    match handle.executor_type.as_str() {
        // The container's name is the token.
        "docker" => format!("`docker logs {token}` shows its output, `docker rm -f {token}` removes it"),
        _ => format!("on host {} it is {id}, launched as {token}", handle.host),
    }
}

fn of_unavailable(executor: &str, error: &Error) -> String {
    if executor != "docker" {
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

fn of_image(executor: &str, error: &Error) -> String {
    if error.advice() != Advice::Permanent {
        return "the registry could not be reached; try again, or fetch the image beforehand and run with --pull never"
            .to_owned();
    }
    let sign_in = if executor == "docker" {
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

    #[test]
    fn hints_say_what_to_do_next() {
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        let error = |kind| Error::new(kind, "it");
        let engine = |kind| error(kind).with_context("engine", "unix:///run/x.sock");
        let cases = [
            ("docker", engine(ErrorKind::Unavailable), "unix:///run/x.sock"),
            ("docker", engine(ErrorKind::Unavailable), "--host URI or DOCKER_HOST"),
            ("docker", engine(ErrorKind::Unavailable).with_source(refused()), "the group that may"),
            ("docker", error(ErrorKind::Unavailable), "the socket"),
            ("mock", error(ErrorKind::Unavailable), "host can be reached"),
            ("docker", error(ErrorKind::ImageUnavailable), "docker login"),
            ("mock", error(ErrorKind::ImageUnavailable), "credentials for a private registry"),
            ("docker", error(ErrorKind::ImageUnavailable).with_advice(Advice::Temporary), "could not be reached"),
            ("docker", error(ErrorKind::Invalid), "--help"),
            ("docker", error(ErrorKind::Unsupported), "longshore executors"),
            ("docker", error(ErrorKind::Unsupported).with_operation("plan"), "leave the option out"),
            ("docker", error(ErrorKind::StartFailed), "could not be started"),
            ("docker", error(ErrorKind::CommandNotFound), "sh -c"),
            ("docker", error(ErrorKind::CommandNotExecutable), "chmod +x"),
            ("docker", error(ErrorKind::SecretUnavailable), "env:NAME"),
            ("docker", error(ErrorKind::Unauthenticated), "credentials"),
            ("docker", error(ErrorKind::PermissionDenied), "administers"),
            ("docker", error(ErrorKind::Conflict), "name"),
            ("docker", error(ErrorKind::Capacity), "elsewhere"),
            ("docker", error(ErrorKind::Quota), "elsewhere"),
            ("docker", error(ErrorKind::RateLimited), "in a while"),
            ("docker", error(ErrorKind::DeadlinePassed), "--start-timeout"),
            ("docker", error(ErrorKind::Timeout).with_operation("prepare"), "--start-timeout"),
            ("docker", error(ErrorKind::Timeout), "does not answer"),
            ("docker", error(ErrorKind::Unexpected), "--verbose"),
        ];
        for (executor, error, expected) in cases {
            let hint = of_error(executor, &error).unwrap_or_default();
            assert!(hint.contains(expected), "{executor} {}: {hint}", error.kind());
        }
    }

    #[test]
    fn what_is_kept_can_be_found() {
        let token = LaunchToken::new(JobId::new(jiff::Timestamp::UNIX_EPOCH), 1);
        let handle = |executor: &str| {
            let (executor, host) = (executor.parse().unwrap(), executor.parse().unwrap());
            ExecutionHandle::new(executor, host, token, 1, "abc", serde_json::Value::Null)
        };
        assert!(to_find(&handle("docker")).contains(&format!("docker logs {token}")));
        assert_eq!(to_find(&handle("mock")), format!("on host mock it is abc, launched as {token}"));
    }
}
