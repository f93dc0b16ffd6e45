//! What the store in memory holds, and every change of it.

use jiff::Timestamp;
use longshore_core::{HostName, JobId, JobName, JobStatus, LaunchToken, Result, price::Money};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

use super::queue::Queue;
use crate::{
    Actor, Adoption, AttemptRecord, AttemptState, Beat, Change, Charge, Claim, Claimed, Held, IdempotencyKey, InUse,
    Intervention, JobArchive, JobEvent, JobMove, JobRecord, Outcome, Pause, Placement, Placer, Request, SavedTemplate,
    SessionId, Submission, Submitted, WaitingFor, What, refusals,
};

/// A budget's period in one currency.
type Period = (longshore_core::route::BudgetName, Option<Timestamp>, longshore_core::price::Currency);

#[derive(Debug, Default)]
pub(super) struct World {
    pub(super) jobs: BTreeMap<JobId, JobRecord>,
    pub(super) attempts: BTreeMap<LaunchToken, AttemptRecord>,
    pub(super) events: BTreeMap<JobId, Vec<JobEvent>>,
    pub(super) pauses: BTreeMap<Option<HostName>, Pause>,
    pub(super) templates: BTreeMap<JobName, SavedTemplate>,
    keys: BTreeMap<IdempotencyKey, JobId>,
    fingerprints: BTreeMap<JobId, [u8; 32]>,
    sessions: BTreeMap<SessionId, Beat>,
    /// The sessions that are over, and whether they ended by themselves.
    over: BTreeMap<SessionId, bool>,
    open: BTreeSet<LaunchToken>,
    charged: BTreeMap<Period, Decimal>,
    queue: Queue,
}

impl World {
    pub(super) fn submit(&mut self, submission: Submission, now: Timestamp) -> Result<Submitted> {
        let fingerprint = submission.fingerprint();
        let id = submission.job.id;
        let by_key = submission.idempotency_key.as_ref().and_then(|key| self.keys.get(key).copied());
        if let Some(known) = by_key.or_else(|| self.jobs.contains_key(&id).then_some(id)) {
            if self.fingerprints.get(&known) == Some(&fingerprint) {
                return Ok(Submitted::Existing(known));
            }
            return Err(refusals::another_job(&submission, known));
        }
        if let Some(key) = &submission.idempotency_key {
            self.keys.insert(key.clone(), id);
        }
        self.fingerprints.insert(id, fingerprint);
        let record = JobRecord::new(submission, now);
        self.tell(id, JobEvent::new(now, "submitted", refusals::submitter(record.job())));
        self.queue.enter(&record);
        self.jobs.insert(id, record);
        Ok(Submitted::New(id))
    }

    pub(super) fn job(&self, id: JobId) -> Result<&JobRecord> {
        self.jobs.get(&id).ok_or_else(|| refusals::no_such_job(id))
    }

    pub(super) fn intervene(&mut self, id: JobId, what: Intervention, request: Request) -> Result<JobRecord> {
        let record = self.job(id)?.clone();
        match what {
            Intervention::Cancel => self.cancel(&record, request)?,
            Intervention::SettleLost => self.settle_lost(&record, request)?,
            Intervention::Reprioritize(priority) => {
                refusals::only_pending(&record)?;
                if record.job().priority == priority {
                    return Ok(record);
                }
                let detail = format!("priority {priority}");
                self.change_pending(id, |record| record.submission.job.priority = priority);
                let event = JobEvent::new(request.at, "reprioritized", request.by).with_detail(Some(detail));
                self.tell(id, event);
            }
        }
        self.job(id).cloned()
    }

    fn cancel(&mut self, record: &JobRecord, request: Request) -> Result<()> {
        if record.cancel.is_some() {
            return Ok(());
        }
        refusals::only_unfinished(record)?;
        let event = JobEvent::new(request.at, "cancel-requested", request.by.clone()).with_detail(request.why.clone());
        self.tell(record.id(), event);
        if record.status == JobStatus::Pending {
            self.leave_queue(record.id());
        }
        let Some(record) = self.jobs.get_mut(&record.id()) else { return Ok(()) };
        if record.status == JobStatus::Pending {
            record.status = JobStatus::Cancelled;
            record.reason = Some("cancelled before it was launched".to_owned());
            record.finished_at = Some(request.at);
            record.waiting_for = WaitingFor::NOTHING;
        }
        record.cancel = Some(request);
        Ok(())
    }

    fn settle_lost(&mut self, record: &JobRecord, request: Request) -> Result<()> {
        if record.status == JobStatus::Lost {
            return Ok(());
        }
        refusals::only_launched(record)?;
        let why = request.why.clone().unwrap_or_else(|| format!("settled by {}", request.by));
        let token = LaunchToken::new(record.id(), record.attempts);
        if let Some(attempt) = self.attempts.get_mut(&token).filter(|attempt| attempt.state.takes_place()) {
            attempt.state = AttemptState::Ended;
            attempt.ended_at = Some(request.at);
            attempt.outcome = Some(Outcome::lost(why.clone()));
        }
        self.tell(
            record.id(),
            JobEvent::new(request.at, "settled-lost", request.by.clone())
                .of_attempt(record.attempts)
                .with_detail(Some(why.clone())),
        );
        self.finish(record.id(), JobStatus::Lost, why, request.at);
        Ok(())
    }

    fn finish(&mut self, id: JobId, status: JobStatus, reason: String, at: Timestamp) {
        if let Some(record) = self.jobs.get_mut(&id) {
            record.status = status;
            record.reason = Some(reason);
            record.finished_at = Some(at);
            record.waiting_for = WaitingFor::NOTHING;
        }
    }

    fn leave_queue(&mut self, id: JobId) {
        if let Some(record) = self.jobs.get(&id) {
            self.queue.leave(record);
        }
    }

    fn change_pending(&mut self, id: JobId, change: impl FnOnce(&mut JobRecord)) {
        let Some(record) = self.jobs.get_mut(&id) else { return };
        self.queue.leave(record);
        change(record);
        self.queue.enter(record);
    }

    pub(super) fn tell(&mut self, id: JobId, event: JobEvent) {
        self.events.entry(id).or_default().push(event);
    }

    // Sessions.

    pub(super) fn open_session(&mut self, session: SessionId, name: &str) -> Result<()> {
        if self.over.contains_key(&session) {
            return Err(refusals::lease_lost(session));
        }
        self.sessions.entry(session).or_insert_with(|| Beat::new(session, 0, false, name.to_owned()));
        Ok(())
    }

    pub(super) fn close_session(&mut self, session: SessionId) -> Result<()> {
        if self.over.get(&session) == Some(&true) {
            return Ok(());
        }
        self.alive(session)?;
        self.free(session, true);
        Ok(())
    }

    pub(super) fn alive(&self, session: SessionId) -> Result<()> {
        if self.sessions.contains_key(&session) { Ok(()) } else { Err(refusals::lease_lost(session)) }
    }

    pub(super) fn beat(&mut self, session: SessionId) -> Result<Vec<Beat>> {
        self.alive(session)?;
        if let Some(own) = self.sessions.get_mut(&session) {
            own.beats += 1;
        }
        Ok(self.sessions.values().filter(|other| other.session != session).cloned().collect())
    }

    pub(super) fn fence(&mut self, session: SessionId, other: &Beat) -> Result<bool> {
        self.alive(session)?;
        match self.sessions.get(&other.session) {
            Some(now) if now.beats == other.beats => self.free(other.session, false),
            Some(_) => return Ok(false),
            None => {}
        }
        Ok(true)
    }

    fn free(&mut self, session: SessionId, by_itself: bool) {
        self.sessions.remove(&session);
        self.over.insert(session, by_itself);
        for attempt in self.attempts.values_mut().filter(|attempt| attempt.session == Some(session)) {
            attempt.session = None;
        }
    }

    pub(super) fn adopt(&mut self, session: SessionId, adoption: &Adoption) -> Result<Vec<Held>> {
        self.alive(session)?;
        let is_free = |attempt: &AttemptRecord| attempt.session.is_none() && adoption.wants(attempt);
        let free = self.open.iter().filter(|token| self.attempts.get(token).is_some_and(is_free));
        let free: Vec<_> = free.take(adoption.most).copied().collect();
        for token in &free {
            if let Some(attempt) = self.attempts.get_mut(token) {
                adoption.take(session, attempt);
            }
        }
        free.into_iter().map(|token| self.held(token)).collect()
    }

    pub(super) fn held_by(&self, session: SessionId) -> Result<Vec<Held>> {
        self.alive(session)?;
        let mine = |token: &&LaunchToken| self.attempts.get(token).is_some_and(|it| it.session == Some(session));
        self.open.iter().filter(mine).map(|token| self.held(*token)).collect()
    }

    pub(super) fn held(&self, token: LaunchToken) -> Result<Held> {
        let attempt = self.attempts.get(&token).ok_or_else(|| refusals::no_such_attempt(token))?;
        Ok(Held::new(self.job(token.job())?.clone(), attempt.clone()))
    }

    // The queue.

    pub(super) fn claim(&mut self, claim: &Claim, placer: &dyn Placer) -> Result<Claimed> {
        self.alive(claim.session)?;
        for due in self.queue.due(claim.now) {
            self.change_pending(due, |record| record.waiting_for = WaitingFor::NOTHING);
        }
        let in_use = self.in_use(claim);
        let first = self.queue.first(claim.most, |hosts| placer.room(hosts, &in_use));
        let jobs: Vec<JobRecord> = first.iter().filter_map(|id| self.jobs.get(id).cloned()).collect();
        let mut claimed = Claimed { looked_at: jobs.len(), ..Claimed::default() };
        let placements = placer.place(&jobs, &in_use);
        refusals::only_next_attempts(&jobs, &placements)?;
        for (job, placement) in jobs.iter().zip(placements) {
            claimed.held.extend(self.settle(claim, job, placement)?);
        }
        claimed.next_at = self.queue.next_at();
        Ok(claimed)
    }

    fn in_use(&self, claim: &Claim) -> InUse {
        let mut in_use = InUse { pauses: self.pauses.values().cloned().collect(), ..InUse::default() };
        let placed = self.open.iter().filter_map(|token| self.attempts.get(token));
        for attempt in placed.filter(|attempt| attempt.state.takes_place()) {
            *in_use.hosts.entry(attempt.host().clone()).or_default() += 1;
        }
        let wanted =
            |(budget, period, _): &Period| claim.periods.iter().any(|(name, asked)| (name, asked) == (budget, period));
        for (key @ (budget, period, currency), amount) in &self.charged {
            if let Some(amount) = Money::new(*amount, currency.clone()).filter(|_| wanted(key)) {
                in_use.charged.push(Charge::new(budget.clone(), *period, amount));
            }
        }
        in_use
    }

    fn settle(&mut self, claim: &Claim, job: &JobRecord, placement: Placement) -> Result<Option<Held>> {
        let id = job.id();
        let by = Actor::Dispatcher(claim.session);
        match placement {
            Placement::Leave => {}
            Placement::Wait { reason, waiting_for } => {
                if job.waiting_for.hosts != waiting_for.hosts || job.reason.is_none() {
                    self.tell(id, JobEvent::new(claim.now, "waiting", by).with_detail(Some(reason.clone())));
                }
                self.change_pending(id, |record| {
                    record.reason = Some(reason);
                    record.waiting_for = waiting_for;
                });
            }
            Placement::Refuse { reason, .. } => self.end_pending(id, JobStatus::Failed, reason, claim.now, by),
            Placement::GiveUp => {
                let reason = refusals::waited_too_long(job);
                self.end_pending(id, JobStatus::TimedOut, reason, claim.now, by);
            }
            Placement::Launch(intent) => {
                let token = intent.request.token;
                self.leave_queue(id);
                let attempt = AttemptRecord::new(*intent, claim.session, claim.now);
                let detail = Some(format!("on host {}", attempt.host()));
                self.tell(id, JobEvent::new(claim.now, "claimed", by).of_attempt(token.attempt()).with_detail(detail));
                self.charge(&[], &attempt.charges);
                if let Some(record) = self.jobs.get_mut(&id) {
                    record.begin(&attempt);
                }
                self.open.insert(token);
                self.attempts.insert(token, attempt);
                return self.held(token).map(Some);
            }
        }
        Ok(None)
    }

    fn end_pending(&mut self, id: JobId, status: JobStatus, reason: String, at: Timestamp, by: Actor) {
        self.leave_queue(id);
        self.tell(id, JobEvent::new(at, "ended", by).with_detail(Some(reason.clone())));
        self.finish(id, status, reason, at);
    }

    pub(super) fn wake_queue(&mut self) {
        let waiting =
            self.jobs.values().filter(|job| job.status == JobStatus::Pending && !job.waiting_for.is_nothing());
        for id in waiting.map(JobRecord::id).collect::<Vec<_>>() {
            self.change_pending(id, |record| record.waiting_for = WaitingFor::NOTHING);
        }
    }

    fn charge(&mut self, before: &[Charge], after: &[Charge]) {
        let key = |charge: &Charge| (charge.budget.clone(), charge.period, charge.amount.currency().clone());
        for charge in after {
            *self.charged.entry(key(charge)).or_default() += charge.amount.amount();
        }
        for charge in before {
            *self.charged.entry(key(charge)).or_default() -= charge.amount.amount();
        }
    }

    // Changes.

    pub(super) fn record(&mut self, session: SessionId, change: Change) -> Result<()> {
        let attempt = self.attempts.get(&change.token).ok_or_else(|| refusals::no_such_attempt(change.token))?;
        if change.is_in(attempt) {
            return Ok(());
        }
        if !change.may_be_told(session, attempt.session, attempt.state) {
            return Err(refusals::stale(&change, attempt.state));
        }
        let effect = change.effect();
        let job = self.job(change.token.job())?;
        let cancelled = job.cancel.is_some();
        let job_move = effect.job.clone().map(|it| if cancelled { it.of_cancelled() } else { it });
        if job_move.as_ref().is_some_and(|it| !it.from().contains(&job.status)) {
            return Err(refusals::stale(&change, attempt.state));
        }
        let by = Actor::Dispatcher(session);
        let event = JobEvent::new(change.at, effect.kind, by).of_attempt(change.token.attempt());
        let event = event.with_detail(effect.detail.clone());
        let told = self.events.get(&change.token.job()).is_some_and(|events| events.contains(&event));
        if told && matches!(change.what, What::Noted(_)) {
            return Ok(());
        }
        self.tell(change.token.job(), event);
        self.apply_to_job(&change, job_move);
        self.apply_to_attempt(&change);
        Ok(())
    }

    fn apply_to_job(&mut self, change: &Change, job_move: Option<JobMove<'_>>) {
        let Some(record) = self.jobs.get_mut(&change.token.job()) else { return };
        if let What::Launched(_) = change.what {
            record.runs += 1;
        }
        if let What::Ended { outcome, .. } = &change.what {
            record.exit_code = outcome.exit_code();
        }
        let Some(job_move) = job_move else { return };
        record.status = job_move.status();
        match job_move {
            JobMove::Run => {}
            JobMove::Finish { reason, .. } => {
                record.reason = Some(reason.to_owned());
                record.finished_at = Some(change.at);
            }
            JobMove::Requeue { reason, waiting_for, refused_by } => {
                record.reason = Some(reason.to_owned());
                record.waiting_for = waiting_for.clone();
                record.refused_by.extend(refused_by.cloned());
                self.queue.enter(record);
            }
        }
    }

    fn apply_to_attempt(&mut self, change: &Change) {
        let Some(attempt) = self.attempts.get_mut(&change.token) else { return };
        let before = attempt.charges.clone();
        attempt.apply(change);
        let after = attempt.charges.clone();
        if !attempt.state.is_open() {
            self.open.remove(&change.token);
        }
        self.charge(&before, &after);
    }

    // Moving between stores.

    pub(super) fn archive(&self, id: JobId) -> Option<JobArchive> {
        let attempts = self.attempts_of(id).cloned().collect();
        Some(JobArchive::new(self.jobs.get(&id)?.clone(), attempts, self.events.get(&id).cloned().unwrap_or_default()))
    }

    pub(super) fn attempts_of(&self, id: JobId) -> impl Iterator<Item = &AttemptRecord> {
        self.attempts.range(LaunchToken::new(id, 0)..=LaunchToken::new(id, u32::MAX)).map(|(_, attempt)| attempt)
    }

    /// Takes in those that are new, or none of them.
    pub(super) fn import(&mut self, archives: Vec<JobArchive>) -> Result<u64> {
        let mut new: BTreeMap<JobId, JobArchive> = BTreeMap::new();
        let mut keys = BTreeMap::new();
        for archive in archives {
            refusals::only_whole(&archive)?;
            let id = archive.job.id();
            if self.jobs.contains_key(&id) || new.contains_key(&id) {
                continue;
            }
            if let Some(key) = &archive.job.submission.idempotency_key {
                if let Some(known) = self.keys.get(key).or_else(|| keys.get(key)) {
                    return Err(refusals::another_job(&archive.job.submission, *known));
                }
                keys.insert(key.clone(), id);
            }
            new.insert(id, archive);
        }
        let count = new.len();
        new.into_values().for_each(|archive| self.take_in(archive));
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    fn take_in(&mut self, archive: JobArchive) {
        let JobArchive { job, attempts, events } = archive;
        let id = job.id();
        self.keys.extend(job.submission.idempotency_key.clone().map(|key| (key, id)));
        self.fingerprints.insert(id, job.submission.fingerprint());
        if job.status == JobStatus::Pending {
            self.queue.enter(&job);
        }
        for mut attempt in attempts {
            attempt.session = attempt.session.filter(|session| self.sessions.contains_key(session));
            self.charge(&[], &attempt.charges);
            if attempt.state.is_open() {
                self.open.insert(attempt.token());
            }
            self.attempts.insert(attempt.token(), attempt);
        }
        self.events.insert(id, events);
        self.jobs.insert(id, job);
    }

    pub(super) fn purge(&mut self, id: JobId) -> bool {
        let Some(job) = self.jobs.get(&id) else { return false };
        if !job.status.is_terminal() || self.attempts_of(id).any(|attempt| attempt.state.is_open()) {
            return false;
        }
        if let Some(key) = &job.submission.idempotency_key {
            self.keys.remove(key);
        }
        let tokens: Vec<_> = self.attempts_of(id).map(AttemptRecord::token).collect();
        for token in tokens {
            self.attempts.remove(&token);
        }
        self.events.remove(&id);
        self.fingerprints.remove(&id);
        self.jobs.remove(&id).is_some()
    }
}
