//! What conditions are evaluated over.

use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use super::names::{DoubleSlot, IntSlot, TextSlot, TextsSlot};
use crate::{ContainerJob, HostName, JobTemplate, LabelKey, LabelValue};

/// What rules can know of a job: made once a job, however many rules there are.
#[derive(Debug, Clone)]
pub struct JobContext<'a> {
    ints: [i64; IntSlot::COUNT],
    doubles: [f64; DoubleSlot::COUNT],
    texts: [Cow<'a, str>; TextSlot::COUNT],
    groups: &'a [String],
    env: Vec<&'a str>,
    pub(super) labels: &'a BTreeMap<LabelKey, LabelValue>,
}

/// What is known of a host's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HostLoad {
    /// The jobs that run there.
    pub running: u32,
    /// The most that may; absent, as many as come.
    pub max: Option<u32>,
}

impl HostLoad {
    /// So many jobs of at most as many.
    #[must_use]
    pub const fn new(running: u32, max: Option<u32>) -> Self {
        Self { running, max }
    }
}

/// A job's context, and what is asked only where a condition mentions it.
#[derive(Clone, Copy)]
pub struct Scope<'a> {
    /// The job.
    pub job: &'a JobContext<'a>,
    /// The load of a host; none of one that there is not.
    pub host: &'a dyn Fn(&HostName) -> Option<HostLoad>,
    /// What the job is expected to cost at the rule's target, or why that is not known.
    pub cost: &'a dyn Fn() -> Result<f64, String>,
}

impl std::fmt::Debug for Scope<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").field("job", self.job).finish_non_exhaustive()
    }
}

impl<'a> JobContext<'a> {
    /// What rules can know of the job at a time; the template is the job's resolved one.
    #[must_use]
    pub fn new(job: &'a ContainerJob, template: &'a JobTemplate, now: Timestamp) -> Self {
        let resources = &template.resources;
        let memory = resources.memory.map_or(0, |memory| whole(memory.mib_rounded_up()));
        let cpu = resources.cpu.map_or(0.0, |cpu| f64::from(cpu.millis()) / 1000.0);
        let gpu = resources.gpu.as_ref();
        let utc = now.to_zoned(TimeZone::UTC);
        let user = job.created_by.as_ref();
        let mut context = Self {
            ints: [0; IntSlot::COUNT],
            doubles: [0.0; DoubleSlot::COUNT],
            texts: [const { Cow::Borrowed("") }; TextSlot::COUNT],
            groups: user.map_or(&[], |user| &user.groups),
            env: template.env.iter().map(|variable| variable.name.as_str()).collect(),
            labels: &template.labels,
        };
        let ints = [
            (IntSlot::MemoryLimit, memory),
            (IntSlot::Memory, memory),
            (IntSlot::RunTimeout, seconds(template.run_timeout)),
            (IntSlot::StartTimeout, seconds(template.start_timeout)),
            (IntSlot::ExpectedDuration, seconds(template.expected_duration)),
            (IntSlot::Gpus, gpu.map_or(0, |gpu| gpu.count.get().into())),
            (IntSlot::EphemeralStorage, resources.ephemeral_storage.map_or(0, |size| whole(size.mib_rounded_up()))),
            (IntSlot::Pids, resources.pids.map_or(0, |pids| pids.get().into())),
            (IntSlot::Hour, utc.hour().into()),
        ];
        ints.into_iter().for_each(|(slot, value)| context.ints[slot as usize] = value);
        [DoubleSlot::CpuLimit, DoubleSlot::Cpu].into_iter().for_each(|slot| context.doubles[slot as usize] = cpu);
        let preferred = job.preferred_executor.as_ref().map_or("", |wish| wish.host.as_str());
        let texts = [
            (TextSlot::JobId, Cow::Owned(job.id.to_string())),
            (TextSlot::Preferred, Cow::Borrowed(preferred)),
            (TextSlot::Name, Cow::Borrowed(template.name.as_str())),
            (TextSlot::Image, Cow::Owned(template.image.to_string())),
            (TextSlot::Network, shown(template.network.as_ref())),
            (TextSlot::Security, Cow::Owned(template.security.to_string())),
            (TextSlot::Platform, shown(template.platform.as_ref())),
            (TextSlot::GpuModel, Cow::Borrowed(gpu.and_then(|gpu| gpu.model.as_deref()).unwrap_or_default())),
            (TextSlot::User, Cow::Borrowed(user.map_or("", |user| &user.name))),
            (TextSlot::Day, Cow::Borrowed(day(utc.weekday()))),
        ];
        texts.into_iter().for_each(|(slot, value)| context.texts[slot as usize] = value);
        context
    }

    pub(super) const fn int(&self, slot: IntSlot) -> i64 {
        self.ints[slot as usize]
    }

    pub(super) const fn double(&self, slot: DoubleSlot) -> f64 {
        self.doubles[slot as usize]
    }

    pub(super) fn text(&self, slot: TextSlot) -> &str {
        &self.texts[slot as usize]
    }

    pub(super) fn texts(&self, slot: TextsSlot) -> Vec<Cow<'_, str>> {
        match slot {
            TextsSlot::Groups => self.groups.iter().map(|group| Cow::Borrowed(group.as_str())).collect(),
            TextsSlot::Env => self.env.iter().map(|name| Cow::Borrowed(*name)).collect(),
        }
    }

    pub(super) fn has_text(&self, slot: TextsSlot, wanted: &str) -> bool {
        match slot {
            TextsSlot::Groups => self.groups.iter().any(|group| group == wanted),
            TextsSlot::Env => self.env.contains(&wanted),
        }
    }

    pub(super) fn count(&self, slot: TextsSlot) -> usize {
        match slot {
            TextsSlot::Groups => self.groups.len(),
            TextsSlot::Env => self.env.len(),
        }
    }

    pub(super) fn label(&self, key: &str) -> Option<&'a str> {
        // The keys compare as their texts do, and no key has to be made to look one up.
        self.labels.get(key).map(LabelValue::as_str)
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn seconds(duration: Option<Duration>) -> i64 {
    duration.map_or(0, |duration| whole(duration.as_secs() + u64::from(duration.subsec_nanos() > 0)))
}

fn shown(value: Option<&impl ToString>) -> Cow<'static, str> {
    value.map_or(Cow::Borrowed(""), |value| Cow::Owned(value.to_string()))
}

const fn day(weekday: Weekday) -> &'static str {
    match weekday {
        Weekday::Monday => "monday",
        Weekday::Tuesday => "tuesday",
        Weekday::Wednesday => "wednesday",
        Weekday::Thursday => "thursday",
        Weekday::Friday => "friday",
        Weekday::Saturday => "saturday",
        Weekday::Sunday => "sunday",
    }
}
