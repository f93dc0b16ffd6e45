//! The declared schema: every name that a condition may use, and its type.

/// A name that conditions may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Variable {
    /// The name as it is written.
    pub name: &'static str,
    /// Its type, as CEL names it.
    pub kind: &'static str,
    /// What it is, and what it is where the job says nothing.
    pub meaning: &'static str,
    pub(super) slot: Slot,
}

/// Where a context keeps a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    Int(IntSlot),
    Double(DoubleSlot),
    Text(TextSlot),
    Texts(TextsSlot),
    Labels,
    Cost,
    Hosts,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntSlot {
    MemoryLimit,
    RunTimeout,
    StartTimeout,
    ExpectedDuration,
    Memory,
    Gpus,
    EphemeralStorage,
    Pids,
    Hour,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DoubleSlot {
    CpuLimit,
    Cpu,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextSlot {
    JobId,
    Preferred,
    Name,
    Image,
    Network,
    Security,
    Platform,
    GpuModel,
    User,
    Day,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextsSlot {
    Groups,
    Env,
}

impl IntSlot {
    pub(super) const COUNT: usize = 9;
}

impl DoubleSlot {
    pub(super) const COUNT: usize = 2;
}

impl TextSlot {
    pub(super) const COUNT: usize = 10;

    /// The values that there are, where there are no others.
    pub(super) const fn values(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Day => Some(&["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]),
            Self::Security => Some(&["default", "hardened", "platform"]),
            _ => None,
        }
    }
}

const fn variable(name: &'static str, kind: &'static str, slot: Slot, meaning: &'static str) -> Variable {
    Variable { name, kind, meaning, slot }
}

/// Every name that conditions may use.
pub const VARIABLES: &[Variable] = &[
    variable("job.id", "string", Slot::Text(TextSlot::JobId), "the job's id"),
    variable("job.name", "string", Slot::Text(TextSlot::Name), "the template's name"),
    variable("job.preferred_executor", "string", Slot::Text(TextSlot::Preferred), "what the job prefers, else \"\""),
    variable("template.name", "string", Slot::Text(TextSlot::Name), "the template's name"),
    variable("template.image", "string", Slot::Text(TextSlot::Image), "the image as it was written"),
    variable("template.memory_limit", "int", Slot::Int(IntSlot::MemoryLimit), "MiB, rounded up; 0 without a limit"),
    variable("template.cpu_limit", "double", Slot::Double(DoubleSlot::CpuLimit), "cores; 0.0 without a limit"),
    variable("template.run_timeout", "int", Slot::Int(IntSlot::RunTimeout), "seconds, rounded up; 0 without one"),
    variable("template.start_timeout", "int", Slot::Int(IntSlot::StartTimeout), "seconds, rounded up; 0 without one"),
    variable(
        "template.expected_duration",
        "int",
        Slot::Int(IntSlot::ExpectedDuration),
        "seconds, rounded up; 0 when it is not told",
    ),
    variable("template.network", "string", Slot::Text(TextSlot::Network), "the network, else \"\""),
    variable("template.security", "string", Slot::Text(TextSlot::Security), "default, hardened or platform"),
    variable("template.platform", "string", Slot::Text(TextSlot::Platform), "such as linux/arm64, else \"\""),
    variable("resources.memory", "int", Slot::Int(IntSlot::Memory), "as `template.memory_limit`"),
    variable("resources.cpu", "double", Slot::Double(DoubleSlot::Cpu), "as `template.cpu_limit`"),
    variable("resources.gpus", "int", Slot::Int(IntSlot::Gpus), "how many graphics processors"),
    variable("resources.gpu_model", "string", Slot::Text(TextSlot::GpuModel), "their model, else \"\""),
    variable(
        "resources.ephemeral_storage",
        "int",
        Slot::Int(IntSlot::EphemeralStorage),
        "MiB, rounded up; 0 without a demand",
    ),
    variable("resources.pids", "int", Slot::Int(IntSlot::Pids), "the most processes; 0 without a limit"),
    variable("user.name", "string", Slot::Text(TextSlot::User), "who asks for the job, else \"\""),
    variable("user.groups", "list(string)", Slot::Texts(TextsSlot::Groups), "the groups of whoever asks"),
    variable("labels", "map(string, string)", Slot::Labels, "the job's labels: `labels.team`, `labels[\"a/b\"]`"),
    variable(
        "env",
        "list(string)",
        Slot::Texts(TextsSlot::Env),
        "the names of the job's variables, never their values",
    ),
    variable("hour", "int", Slot::Int(IntSlot::Hour), "the hour of the day, 0 to 23, UTC"),
    variable("day", "string", Slot::Text(TextSlot::Day), "the day of the week, monday to sunday, UTC"),
    variable(
        "estimated_cost",
        "double",
        Slot::Cost,
        "what the job is expected to cost at the rule's own target, in `routing.currency`",
    ),
    variable(
        "hosts",
        "map(string, host)",
        Slot::Hosts,
        "a configured host: `hosts.NAME.running`, `hosts[\"my-host\"].load`",
    ),
];

/// What a host has: its name, its type and its meaning.
pub(super) const HOST_FIELDS: [(&str, HostField); 4] =
    [("running", HostField::Running), ("max", HostField::Max), ("free", HostField::Free), ("load", HostField::Load)];

/// What is known of a host's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HostField {
    /// The jobs that run there.
    Running,
    /// The most that may.
    Max,
    /// How many more may.
    Free,
    /// The running ones' share of the most.
    Load,
}

/// The names that begin with the same word, such as `template`.
pub(super) fn members(root: &str) -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().filter_map(move |variable| variable.name.strip_prefix(root)?.strip_prefix('.'))
}

/// The first words of all names.
pub(super) fn roots() -> impl Iterator<Item = &'static str> {
    VARIABLES.iter().map(|variable| variable.name.split_once('.').map_or(variable.name, |(root, _)| root))
}

pub(super) fn find(name: &str) -> Option<&'static Variable> {
    VARIABLES.iter().find(|variable| variable.name == name)
}
