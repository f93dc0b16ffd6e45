//! What CPU and memory Cloud Run has: steps of CPU, each with a range of memory.
//! <https://cloud.google.com/run/docs/configuring/jobs/cpu>,
//! <https://cloud.google.com/run/docs/configuring/jobs/memory-limits>

use longshore_core::{ByteSize, Cpu};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What a job has that asks for nothing.
pub(crate) const DEFAULT_CPU: u32 = 1;
/// The least memory, and what a job has that asks for nothing.
pub(crate) const LEAST_MEMORY: u64 = 512 * MIB;
/// The most CPU.
pub(crate) const MOST_CPU: u32 = 8;
/// The most memory.
pub(crate) const MOST_MEMORY: u64 = 32 * GIB;

/// Whole CPUs, with the least and the most memory that goes with them.
const STEPS: [(u32, u64, u64); 5] = [
    (1, LEAST_MEMORY, 4 * GIB),
    (2, LEAST_MEMORY, 8 * GIB),
    (4, 2 * GIB, 16 * GIB),
    (6, 4 * GIB, 24 * GIB),
    (8, 4 * GIB, MOST_MEMORY),
];

/// What is given for what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) cpu: u32,
    pub(crate) mebibytes: u64,
}

impl Size {
    /// The smallest size that has at least this; `None` where there is none so large.
    pub(crate) fn of(cpu: Option<Cpu>, memory: Option<ByteSize>) -> Option<Self> {
        let cpu = cpu.map_or(DEFAULT_CPU, |cpu| cpu.millis().div_ceil(1000));
        let memory = memory.map_or(LEAST_MEMORY, ByteSize::bytes);
        let (cpu, least, _) = STEPS.into_iter().find(|(step, _, most)| *step >= cpu && *most >= memory)?;
        Some(Self { cpu, mebibytes: memory.max(least).div_ceil(MIB) })
    }

    /// The size as core's units have it.
    pub(crate) fn units(self) -> Option<(Cpu, ByteSize)> {
        Cpu::from_millis(self.cpu * 1000).zip(ByteSize::from_bytes(self.mebibytes * MIB))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_rounded_up_to_what_there_is() {
        let size = |cpu: Option<&str>, memory: Option<&str>| {
            let (cpu, memory) = (cpu.map(|it| it.parse().unwrap()), memory.map(|it| it.parse().unwrap()));
            Size::of(cpu, memory).map(|size| (size.cpu, size.mebibytes))
        };
        for (cpu, memory, given) in [
            (None, None, Some((1, 512))),
            (Some("0.1"), Some("64m"), Some((1, 512))),
            (Some("1"), Some("4g"), Some((1, 4096))),
            (Some("1"), Some("4097m"), Some((2, 4097))),
            (None, Some("8193m"), Some((4, 8193))),
            (None, Some("17g"), Some((6, 17408))),
            (None, Some("25g"), Some((8, 25600))),
            (Some("3"), Some("1g"), Some((4, 2048))),
            (Some("5"), None, Some((6, 4096))),
            (Some("8"), Some("1g"), Some((8, 4096))),
            (None, Some("1000001"), Some((1, 512))),
            (None, Some("536870913"), Some((1, 513))),
            (Some("8.001"), None, None),
            (None, Some("33g"), None),
        ] {
            assert_eq!(size(cpu, memory), given, "{cpu:?} {memory:?}");
        }
    }
}
