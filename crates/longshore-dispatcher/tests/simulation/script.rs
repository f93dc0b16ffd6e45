//! What a seed means: places, jobs, what people do, and everything that goes wrong.

use longshore_core::{
    Capability, Cause, ContainerJob, Cpu, ErrorKind, ExecutionHost, HostName, JobId, JobTemplate, LaunchIdempotency,
    Priority, Resources, RetryOn, RetryPolicy, Timestamp, price::Money,
};
use longshore_dispatcher::Settings;
use longshore_mock::{Behaviour, EventFaults, Interruption, MockConfig, Refusal, Rule};
use std::{collections::BTreeSet, num::NonZeroU32, time::Duration};

use crate::{dice::Dice, world::owner};

#[derive(Debug)]
pub(crate) struct Script {
    /// How long things go wrong.
    pub(crate) storm: Duration,
    pub(crate) faults: Faults,
    pub(crate) hosts: Vec<HostScript>,
    pub(crate) jobs: Vec<JobScript>,
    pub(crate) crew: Vec<Member>,
    pub(crate) settings: Settings,
    /// What may be spent in all.
    pub(crate) hard: Option<Money>,
    /// What people and nature do to the hosts and processes, and when.
    pub(crate) acts: Vec<(Duration, Act)>,
}

/// How much goes wrong: so many times in a thousand; latencies in milliseconds.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    pub(crate) store: u64,
    pub(crate) store_latency: u64,
    pub(crate) place: u64,
    pub(crate) place_latency: u64,
    pub(crate) launch: u64,
    pub(crate) events: u64,
    pub(crate) keeper: u64,
}

#[derive(Debug)]
pub(crate) struct HostScript {
    pub(crate) host: ExecutionHost,
    pub(crate) config: MockConfig,
    /// The jobs whose executions it forgets.
    pub(crate) forgets: BTreeSet<usize>,
}

#[derive(Debug)]
pub(crate) struct JobScript {
    pub(crate) at: Duration,
    pub(crate) job: ContainerJob,
    /// It ends only when somebody or something ends it.
    pub(crate) is_endless: bool,
    pub(crate) acts: Vec<(Duration, JobAct)>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum JobAct {
    Cancel,
    SettleLost,
    Reprioritize(i32),
}

/// A dispatcher.
#[derive(Debug)]
pub(crate) struct Member {
    /// How far its clock is ahead, in milliseconds.
    pub(crate) ahead: i64,
    /// After about how many steps it dies, if it does.
    pub(crate) dies: Option<u64>,
    /// After about how many steps it freezes, if it does, and for how long at most.
    pub(crate) freezes: Option<(u64, Duration)>,
    /// For how long each of its lives freezes just before its first launch is sent, if it does.
    pub(crate) hesitates: Option<Duration>,
}

/// Which member or host is the one of a number that is counted round.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    CutFromStore(usize, Duration),
    CutFromPlaces(usize, Duration),
    Out(usize, Duration),
    Pause(Option<usize>, Duration),
    Jump(usize, i64),
    Drain(usize, u64),
    Gap(usize),
    Preempt(usize),
}

impl Script {
    pub(crate) fn draw(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let dice = &mut dice;
        let storm = dice.millis(30_000, 400_000);
        let jobs = usize::try_from(dice.between(1, 7)).unwrap();
        let jobs: Vec<_> = (0..jobs).map(|number| JobScript::draw(dice, number, as_millis(storm))).collect();
        // What never ends by itself must be on hosts that can stop it.
        let stops = jobs.iter().any(|job| job.is_endless);
        let hosts = 0..dice.between(1, 3);
        let hosts: Vec<_> = hosts.map(|at| HostScript::draw(dice, at, jobs.len(), stops)).collect();
        let crew = (0..dice.pick(&[1, 1, 2, 2, 3])).map(|_| Member::draw(dice)).collect();
        let acts = 0..dice.pick(&[0, 0, 1, 2, 4, 6]);
        let acts = acts.map(|_| (dice.millis(0, as_millis(storm)), Act::draw(dice))).collect();
        Self {
            storm,
            faults: Faults::draw(dice),
            acts,
            crew,
            settings: settings(dice),
            hard: dice.chance(250).then(|| format!("{} USD", dice.between(100, 600)).parse().unwrap()),
            jobs,
            hosts,
        }
    }

    pub(crate) fn limit(&self, host: &HostName) -> Option<u32> {
        let known = self.hosts.iter().find(|known| known.host.name == *host)?;
        known.host.max_concurrent_jobs.map(NonZeroU32::get)
    }
}

fn as_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap()
}

fn settings(dice: &mut Dice) -> Settings {
    Settings::builder()
        .owner(owner())
        .lease(Duration::from_secs(dice.pick(&[9, 15, 30])))
        .launch_window(Duration::from_secs(dice.pick(&[10, 20, 60])))
        .margin(Duration::from_secs(dice.pick(&[15, 30, 60])))
        .poll(Duration::from_secs(dice.pick(&[2, 5])))
        .drain(Duration::from_secs(dice.pick(&[5, 120])))
        .max_jobs(dice.pick(&[2, 100]))
        .claim_size(dice.pick(&[1, 2, 256]))
        .lost_after(Duration::from_secs(6 * 3600))
        .build()
}

impl Faults {
    fn draw(dice: &mut Dice) -> Self {
        let mut often = |rates: &[u64]| dice.pick(rates);
        Self {
            store: often(&[0, 0, 20, 100, 300]),
            store_latency: often(&[0, 5, 50, 2_000]),
            place: often(&[0, 0, 20, 100, 300]),
            place_latency: often(&[0, 20, 500, 5_000]),
            launch: often(&[0, 100, 300, 700]),
            events: often(&[0, 0, 300, 1_000]),
            keeper: often(&[0, 0, 300]),
        }
    }
}

impl Member {
    fn draw(dice: &mut Dice) -> Self {
        Self {
            ahead: dice.pick(&[0, 0, 1_000, -90_000, 5_400_000, -7_200_000]),
            dies: dice.pick(&[None, Some(8), Some(25), Some(60), Some(200)]),
            freezes: dice.chance(300).then(|| (dice.between(5, 150), dice.millis(1_000, 180_000))),
            hesitates: dice.chance(200).then(|| dice.millis(1_000, 300_000)),
        }
    }
}

impl Act {
    fn draw(dice: &mut Dice) -> Self {
        let who = usize::try_from(dice.below(3)).unwrap();
        let long = dice.skewed(180_000);
        match dice.below(10) {
            0 => Self::CutFromStore(who, long),
            1 => Self::CutFromPlaces(who, long),
            2 => Self::Out(who, long),
            3 => Self::Pause(dice.chance(700).then_some(who), long),
            4 => Self::Jump(who, dice.pick(&[-3_600_000, -20_000, -500, 500, 20_000, 3_600_000])),
            5 | 6 => Self::Drain(who, dice.below(3)),
            7 => Self::Gap(who),
            _ => Self::Preempt(who),
        }
    }
}

impl HostScript {
    fn draw(dice: &mut Dice, at: u64, jobs: usize, stops: bool) -> Self {
        let launch = match dice.below(4) {
            0 => LaunchIdempotency::ByToken { window: Duration::from_secs(24 * 3600) },
            1 => LaunchIdempotency::BestEffort,
            _ => LaunchIdempotency::ByKey,
        };
        let mut forgets = BTreeSet::new();
        let mut rules = Vec::new();
        for job in 0..jobs {
            if dice.chance(30) {
                forgets.insert(job);
            }
            rules.extend(rule(dice, job, forgets.contains(&job)));
        }
        let unstoppable = if stops { 0 } else { 150 };
        let without = [(Capability::Events, 300), (Capability::Stop, unstoppable), (Capability::SignalEvidence, 200)];
        let without: Vec<_> = without.into_iter().filter(|(_, rate)| dice.chance(*rate)).map(|(it, _)| it).collect();
        let mut events = EventFaults::default();
        events.late = dice.skewed(3_000);
        events.twice = dice.chance(300);
        events.gap_every = NonZeroU32::new(u32::try_from(dice.pick(&[0, 0, 3])).unwrap());
        let config = MockConfig::builder().launch(launch).without(without).events(events).rules(rules).build();
        let host = ExecutionHost::builder()
            .name(["alpha", "beta", "gamma"][usize::try_from(at).unwrap()].parse().unwrap())
            .executor_type("mock".parse().unwrap())
            .maybe_max_concurrent_jobs(NonZeroU32::new(dice.pick(&[0, 1, 2, 3])))
            .build();
        Self { host, config, forgets }
    }
}

/// What a job meets at a host.
fn rule(dice: &mut Dice, job: usize, is_forgotten: bool) -> Vec<Rule> {
    let usual = Behaviour::builder()
        .prepare(if dice.chance(60) { dice.millis(8_000, 70_000) } else { dice.skewed(3_000) })
        .launch(dice.skewed(4_000))
        .pending(if dice.chance(80) { dice.millis(5_000, 60_000) } else { dice.skewed(4_000) })
        .late_logs(dice.skewed(2_000))
        .maybe_cut_logs(dice.chance(100).then(|| longshore_core::ByteSize::from_bytes(4).unwrap()))
        .maybe_unprovable(dice.chance(20).then_some(true))
        .maybe_vanish(is_forgotten.then(|| dice.millis(1, 60_000)))
        .maybe_refuse(dice.chance(200).then(|| refusal(dice)))
        .maybe_interrupt(dice.chance(100).then(|| interruption(dice)))
        .build();
    let name = format!("job-{job}");
    let mut rules = Vec::new();
    if dice.chance(500) {
        // The first attempts end otherwise than the later ones.
        let first = Behaviour::builder().script([format!("exit {}", dice.pick(&[0, 1, 75]))]).build();
        let mut rule = Rule::for_jobs(&name, first);
        rule.attempts = BTreeSet::from([1, 2]);
        rules.push(rule);
    }
    rules.push(Rule::for_jobs(&name, usual));
    rules
}

fn refusal(dice: &mut Dice) -> Refusal {
    let kind = dice.pick(&[
        ErrorKind::Capacity,
        ErrorKind::Capacity,
        ErrorKind::Quota,
        ErrorKind::RateLimited,
        ErrorKind::ImageUnavailable,
        ErrorKind::Invalid,
        ErrorKind::StartFailed,
        ErrorKind::CommandNotFound,
        ErrorKind::PermissionDenied,
        ErrorKind::Unexpected,
    ]);
    let times = u32::try_from(dice.between(1, 3)).unwrap();
    Refusal::builder()
        .kind(kind)
        .times(times)
        .maybe_retry_after(dice.chance(300).then(|| dice.millis(0, 20_000)))
        .build()
}

fn interruption(dice: &mut Dice) -> Interruption {
    let cause =
        dice.pick(&[Cause::Preempted, Cause::Preempted, Cause::Capacity, Cause::LostByProvider, Cause::Unknown]);
    Interruption::builder().after(dice.skewed(60_000)).cause(cause).build()
}

impl JobScript {
    fn draw(dice: &mut Dice, number: usize, storm: u64) -> Self {
        let created_at: Timestamp = "2026-05-01T12:00:00Z".parse().unwrap();
        let mut script = vec![format!("print hello from {number}")];
        let is_endless = dice.chance(100);
        let by_hand = dice.chance(500);
        if is_endless {
            script.push("sleep 100h".to_owned());
        } else if dice.chance(800) {
            script.push(format!("sleep {}ms", dice.skewed(120_000).as_millis()));
        }
        script.push("print bye".to_owned());
        script.push(format!("exit {}", dice.pick(&[0, 0, 0, 1, 75])));
        let mut template = JobTemplate::builder()
            .name(format!("job-{number}").parse().unwrap())
            .image("probe".parse().unwrap())
            .args(script)
            .resources(Resources::builder().cpu(Cpu::from_millis(1_000).unwrap()).build())
            .build();
        template.run_timeout = (!is_endless || !by_hand).then(|| dice.millis(20_000, 150_000));
        template.start_timeout = dice.chance(300).then(|| dice.millis(3_000, 60_000));
        template.stop_grace = dice.chance(300).then(|| dice.millis(0, 20_000));
        let mut job = ContainerJob::new(template, created_at);
        job.id = JobId::from_uuid(uuid::Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0100 + number as u128));
        job.queue_timeout = Some(dice.millis(60_000, 900_000));
        job.priority = Priority::new(dice.pick(&[0, 0, 5, -5])).unwrap();
        job.retry = dice.chance(500).then(|| policy(dice));
        let at = dice.below(storm);
        let mut acts = Vec::new();
        if is_endless && by_hand {
            acts.push((dice.skewed(150_000), JobAct::Cancel));
        }
        acts.extend((0..dice.pick(&[0, 0, 0, 1, 2])).map(|_| {
            let act = match dice.below(10) {
                0..7 => JobAct::Cancel,
                7 => JobAct::SettleLost,
                _ => JobAct::Reprioritize(dice.pick(&[-9, 9])),
            };
            (dice.skewed(150_000), act)
        }));
        acts.sort_by_key(|(after, _)| *after);
        Self { at: Duration::from_millis(at), acts, is_endless, job }
    }
}

fn policy(dice: &mut Dice) -> RetryPolicy {
    let all = [RetryOn::Infrastructure, RetryOn::Preemption, RetryOn::Timeout, RetryOn::Failure];
    let on: Vec<_> = all.into_iter().filter(|_| dice.chance(500)).collect();
    RetryPolicy::builder()
        .max_attempts(NonZeroU32::new(dice.pick(&[1, 2, 3])).unwrap())
        .on(on)
        .exit_codes(dice.chance(500).then_some(75))
        .first_pause(dice.skewed(20_000))
        .build()
}

impl Script {
    /// Whether the host forgets the job's executions.
    pub(crate) fn is_forgotten(&self, host: &HostName, job: JobId) -> bool {
        let known = self.hosts.iter().find(|known| known.host.name == *host);
        let number = self.jobs.iter().position(|known| known.job.id == job);
        known.zip(number).is_some_and(|(host, number)| host.forgets.contains(&number))
    }
}
