//! Pure functions between the contract and the simulation.

use jiff::Timestamp;
use longshore_core::{
    ByteSize, Capabilities, Capability, Cause, Error, ErrorKind, Evidence, JobTemplate, Measured, Result,
    SecurityProfile, Signal, StopReason, StoredDuration, Termination, Usage,
};

use crate::{
    behaviour::Behaviour,
    files::Files,
    process::{End, How, Process, Sender},
};

/// Under these names the probe is found in every image; it is also every image's entrypoint.
pub(crate) const PROBES: [&str; 4] = ["/longshore-probe", "longshore-probe", "/probe", "probe"];

/// The user of a hardened job that names none: nobody in particular.
const NOBODY: (u32, u32) = (65534, 65534);

/// What the container's program is told to do: its arguments, once it is clear that it is the probe.
pub(crate) fn instructions(template: &JobTemplate, behaviour: &Behaviour, files: &Files) -> Result<Vec<String>> {
    if let Some(script) = &behaviour.script {
        return Ok(script.clone());
    }
    let rest = template.command.iter().flatten().chain(&template.args).cloned();
    let Some(entrypoint) = &template.entrypoint else { return Ok(rest.collect()) };
    let mut argv = entrypoint.iter().cloned().chain(rest);
    let refused = |kind, message: String| Err(Error::new(kind, message));
    match argv.next() {
        None => {
            refused(ErrorKind::StartFailed, "there is no program to run; leave the entrypoint out, or name one".into())
        }
        Some(program) if PROBES.contains(&program.as_str()) => Ok(argv.collect()),
        Some(program) if files.is_folder(&program) => {
            refused(ErrorKind::CommandNotExecutable, format!("{program} is a folder and can't be executed"))
        }
        Some(program) => {
            let known = PROBES.join(", ");
            let message = format!("the image has no program {program}; it has {known}, or script what the job does");
            refused(ErrorKind::CommandNotFound, message)
        }
    }
}

/// The numbers of the user and group that the template names.
pub(crate) fn user(template: &JobTemplate) -> Result<(u32, u32)> {
    let Some(named) = &template.user else {
        let hardened = template.security == SecurityProfile::Hardened;
        return Ok(if hardened { NOBODY } else { (0, 0) });
    };
    let (user, group) = named.split_once(':').unwrap_or((named, "0"));
    let number = |part: &str| if part == "root" { Some(0) } else { part.parse().ok() };
    number(user).zip(number(group)).ok_or_else(|| {
        let message = format!("the image knows no user {named}; use root or numbers, as in 1000:1000");
        Error::new(ErrorKind::StartFailed, message)
    })
}

/// How an execution ended, as far as the provider has evidence.
pub(crate) fn termination(end: &End, starts_at: Timestamp, capabilities: &Capabilities) -> Termination {
    let (cause, evidence) = cause(end, capabilities);
    let started_at = (end.how != How::NeverStarted).then_some(starts_at);
    Termination::new(cause, evidence).with_exit_code(exit_code(end)).with_times(started_at, Some(end.at))
}

/// The exit code as a container engine tells it: a death by signal is 128 and the signal's number.
fn exit_code(end: &End) -> Option<i32> {
    match (end.how, end.by) {
        (_, Sender::Provider(Cause::Exited { code })) => Some(code),
        (How::NeverStarted, _) | (_, Sender::Provider(_)) => None,
        (How::Exited(code), _) => Some(i32::from(code)),
        (How::Signalled(signal), _) => Some(by_signal(signal)),
        (How::OutOfMemory, _) => Some(by_signal(Signal::KILL)),
    }
}

fn by_signal(signal: Signal) -> i32 {
    128 + i32::from(signal.number())
}

fn cause(end: &End, capabilities: &Capabilities) -> (Cause, Evidence) {
    let evidence = Evidence::complete();
    match (end.by, end.how) {
        (Sender::Provider(cause), _) => (cause, evidence.with_message(Some("interrupted, as scripted".to_owned()))),
        (Sender::Stop(reason), how) => (reason.into(), of_stop(reason, how)),
        (_, How::OutOfMemory) if capabilities.has(Capability::OutOfMemoryEvidence) => {
            let message = "the memory limit was exceeded".to_owned();
            (Cause::OutOfMemory, evidence.with_fact("oom_killed", true).with_message(Some(message)))
        }
        (_, How::OutOfMemory) => signalled(Signal::KILL, Sender::Outside, capabilities),
        (by, How::Signalled(signal)) => signalled(signal, by, capabilities),
        (_, How::Exited(code)) => {
            let doubtful = code > 128 && !capabilities.has(Capability::SignalEvidence);
            (Cause::Exited { code: code.into() }, if doubtful { evidence.left_open() } else { evidence })
        }
        (_, How::NeverStarted) => (Cause::Unknown, evidence.left_open()),
    }
}

fn of_stop(reason: StopReason, how: How) -> Evidence {
    let evidence = Evidence::complete().with_fact("stop", Cause::from(reason));
    match how {
        How::Signalled(signal) => evidence.with_fact("signal", signal),
        How::Exited(_) | How::OutOfMemory | How::NeverStarted => evidence,
    }
}

/// A death by signal, or no more than its exit code where the provider can't tell the two apart.
fn signalled(signal: Signal, by: Sender, capabilities: &Capabilities) -> (Cause, Evidence) {
    if !capabilities.has(Capability::SignalEvidence) {
        return (Cause::Exited { code: by_signal(signal) }, Evidence::incomplete());
    }
    let sender = if by == Sender::Itself { "itself" } else { "outside" };
    (Cause::Signalled { signal }, Evidence::complete().with_fact("signal", signal).with_fact("sent_by", sender))
}

/// What the execution used: the simulation counts it to the end.
pub(crate) fn usage(termination: &Termination, process: &Process) -> Usage {
    let mut usage = Usage::of_wall_time(termination.run_time().unwrap_or_default());
    if termination.started_at.is_some() {
        usage.cpu_time = Some(Measured::Measured(StoredDuration(process.cpu_time())));
        usage.peak_memory = ByteSize::from_bytes(process.memory()).map(Measured::Measured);
    }
    usage
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
