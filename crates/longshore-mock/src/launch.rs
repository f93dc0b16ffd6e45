//! Launching at the provider: once for each token, as far as it promises that.

use bytes::Bytes;
use jiff::Timestamp;
use longshore_core::{
    Advice, Error, ErrorKind, JobTemplate, LaunchIdempotency, LaunchRequest, MountSource, Result, SecurityProfile,
    clock::later,
};
use std::sync::Arc;

use crate::{
    behaviour::{Behaviour, Loss, Refusal},
    config::MockConfig,
    execution::{Execution, Script},
    files::Files,
    mapping,
    plan::Frozen,
    process::{Limits, Process},
    program::{Run, Surroundings},
    secrets::Delivered,
    world::{Record, State},
};

/// A launch that has taken effect, or had done so before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launched {
    pub(crate) id: String,
    pub(crate) created_at: Timestamp,
    /// True when the caller is not to hear of it.
    pub(crate) is_answer_lost: bool,
}

/// One launch, as it reaches the provider.
pub(crate) struct Launch<'a> {
    pub(crate) config: &'a MockConfig,
    pub(crate) request: &'a LaunchRequest,
    pub(crate) behaviour: &'a Behaviour,
    pub(crate) delivered: Delivered,
    /// How it is lost on its way, whatever is scripted.
    pub(crate) loss: Option<Loss>,
}

impl Launch<'_> {
    pub(crate) fn run(self, state: &mut State, now: Timestamp) -> Result<Launched> {
        self.refuse_as_scripted(state)?;
        let loss = self.loss.or_else(|| self.scripted_loss(state));
        if loss == Some(Loss::BeforeEffect) {
            return Err(lost());
        }
        let launched = match self.earlier(state, now)? {
            Some(launched) => launched,
            None => self.create(state, now)?,
        };
        Ok(Launched { is_answer_lost: loss == Some(Loss::AfterEffect), ..launched })
    }

    fn refuse_as_scripted(&self, state: &mut State) -> Result<()> {
        let Some(refusal) = &self.behaviour.refuse else { return Ok(()) };
        let refused = &mut state.told_of(self.request.token.job()).refused;
        if !refusal.applies(*refused) {
            return Ok(());
        }
        *refused += 1;
        Err(refused_as(refusal))
    }

    fn scripted_loss(&self, state: &mut State) -> Option<Loss> {
        let scripted = self.behaviour.lose.as_ref()?;
        let lost = &mut state.told_of(self.request.token.job()).lost;
        if !scripted.applies(*lost) {
            return None;
        }
        *lost += 1;
        Some(scripted.loss)
    }

    /// What an earlier launch of the token has made, where the provider can tell.
    fn earlier(&self, state: &State, now: Timestamp) -> Result<Option<Launched>> {
        let Some(record) = state.record(self.request.token) else { return Ok(None) };
        let launched = Launched { id: record.id.clone(), created_at: record.created_at, is_answer_lost: false };
        match self.config.launch {
            LaunchIdempotency::BestEffort => Ok(None),
            LaunchIdempotency::ByToken { window } if now >= later(record.created_at, window) => Ok(None),
            LaunchIdempotency::ByToken { .. } if *record.request != *self.request => {
                Err(conflict("the token was used before for another request; use a new attempt"))
            }
            LaunchIdempotency::ByToken { .. } => Ok(Some(launched)),
            _ if !state.has(&record.id) => Ok(None),
            _ if record.request.owner != self.request.owner => {
                Err(conflict("the name is taken by another owner's execution"))
            }
            _ => Ok(Some(launched)),
        }
    }

    fn create(self, state: &mut State, now: Timestamp) -> Result<Launched> {
        let template = &self.request.plan.template;
        if !self.config.images.has(&template.image) {
            let message = format!("there is no image {}", template.image);
            return Err(Error::new(ErrorKind::ImageUnavailable, message));
        }
        let id = state.new_id();
        let script = Script::new(self.behaviour, now);
        let process = self.process(&id, script.starts_at)?;
        let log_cap = template.log_cap.unwrap_or(self.config.log_cap);
        let request = Arc::new(self.request.clone());
        let execution = Execution::new(id.clone(), Arc::clone(&request), script, log_cap, process);
        state.add(execution, Record { id: id.clone(), created_at: now, request }, now);
        Ok(Launched { id, created_at: now, is_answer_lost: false })
    }

    fn process(&self, id: &str, starts_at: Timestamp) -> Result<Process> {
        let template = &self.request.plan.template;
        let files = files(template, self.config, &self.delivered)?;
        let instructions = mapping::instructions(template, self.behaviour, &files)?;
        let (user, group) = mapping::user(template)?;
        let working_directory = template.working_directory.clone().unwrap_or_else(|| "/".to_owned());
        let variables = template.env.iter().map(|variable| (variable.name.to_string(), variable.value.clone()));
        let surroundings = Surroundings {
            env: variables.chain(self.delivered.variables.iter().cloned()).collect(),
            working_directory: working_directory.clone(),
            user,
            group,
            hostname: id.to_owned(),
        };
        let frozen = Frozen::of(&self.request.plan)?;
        let limits = Limits {
            memory: template.resources.memory.unwrap_or(frozen.memory).bytes(),
            processes: template.resources.pids.map(std::num::NonZeroU32::get),
            cpu_millis: template.resources.cpu.map(longshore_core::Cpu::millis),
            log_cap: template.log_cap.unwrap_or(self.config.log_cap).bytes(),
            output_rate: self.config.output_rate.bytes(),
            working_directory,
        };
        Ok(Process::new(Run::new(&instructions, surroundings), files, limits, starts_at))
    }
}

/// What the container sees when it starts.
fn files(template: &JobTemplate, config: &MockConfig, delivered: &Delivered) -> Result<Files> {
    let hardened = template.security == SecurityProfile::Hardened;
    let room = template.resources.ephemeral_storage.map(longshore_core::ByteSize::bytes);
    let mut files = Files::new(hardened, room);
    if hardened {
        files.mount("/tmp", false, None);
    }
    files.add_folder(template.working_directory.as_deref().unwrap_or("/"));
    for tmpfs in &template.tmpfs {
        files.mount(&tmpfs.target, false, tmpfs.size.map(longshore_core::ByteSize::bytes));
    }
    for mount in &template.mounts {
        files.mount(&mount.target, mount.read_only, None);
        if let MountSource::Bind(folder) = &mount.source {
            let kept = config.folders.get(folder).ok_or_else(|| {
                Error::new(ErrorKind::StartFailed, format!("the host has no folder {folder} for jobs; see `folders`"))
            })?;
            for (name, text) in kept {
                files.place(&format!("{}/{name}", mount.target), Bytes::copy_from_slice(text.as_bytes()));
            }
        }
    }
    for (name, value) in &delivered.files {
        files.place(&format!("/run/secrets/{name}"), value.clone());
    }
    Ok(files)
}

fn refused_as(refusal: &Refusal) -> Error {
    let message = refusal.message.clone().unwrap_or_else(|| format!("{}: refused, as scripted", refusal.kind));
    let error = Error::new(refusal.kind, message);
    match refusal.retry_after {
        Some(pause) => error.with_advice(Advice::After(pause)),
        None => error,
    }
}

/// Nobody can say whether the launch has taken effect.
pub(crate) fn lost() -> Error {
    let message = "the launch got no answer, and may have taken effect; look it up";
    Error::new(ErrorKind::Unavailable, message).with_advice(Advice::LookUpFirst)
}

pub(crate) fn conflict(message: &str) -> Error {
    Error::new(ErrorKind::Conflict, message)
}
