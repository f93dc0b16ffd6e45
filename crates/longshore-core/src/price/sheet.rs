//! What one place charges.

use bon::Builder;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

use crate::{
    ByteSize,
    price::{Currency, FreeLeft, Rate},
    units::duration,
};

/// What one place charges for a job. What a place does not charge for is left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PriceSheet {
    /// The currency of every price here.
    pub currency: Currency,
    /// What a whole machine of one's own costs an hour, whatever runs on it. A job is charged the larger of its shares of
    /// the machine's CPU and memory, as far as both are known, else the whole machine; and the whole machine where it has
    /// graphics processors. Storage and graphics processors come with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_per_hour: Option<Rate>,
    /// CPU and memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rates: Option<Rates>,
    /// CPU and memory on arm64, where they are charged differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arm64: Option<Rates>,
    /// Each launch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Rate>,
    /// A second of one graphics processor, by its model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[builder(default)]
    pub gpu_second: BTreeMap<String, Rate>,
    /// Ephemeral storage. Absent, the price of storage that a job asks for is not known, unless a whole machine is charged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storage: Option<StoragePrice>,
    /// What everything is multiplied with on capacity that can be taken away; absent, its price is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spot_factor: Option<Rate>,
    /// The shortest time that is charged.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub minimum: Option<Duration>,
    /// Times are rounded up to a multiple of this.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    #[schemars(with = "duration::Text")]
    pub step: Option<Duration>,
    /// What is free each month. It is counted only where the caller says how much of it is left: [`FreeTier::left`],
    /// [`RoutingSnapshot::with_free_left`](crate::route::RoutingSnapshot::with_free_left).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<FreeTier>,
    /// The page that the prices are from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(into)]
    pub source: Option<String>,
    /// When they were seen there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(into)]
    pub as_of: Option<String>,
    /// What else is to be known of them, such as what was not checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[builder(into)]
    pub note: Option<String>,
}

/// The prices of CPU and memory. One of zero comes with the other, and is not asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rates {
    /// One virtual CPU; zero where it comes with the memory.
    pub vcpu: Rate,
    /// One unit of memory; zero where it comes with the CPU.
    pub memory: Rate,
    /// The unit of memory.
    #[serde(default)]
    #[builder(default)]
    pub memory_unit: MemoryUnit,
    /// The time that both are for.
    #[serde(default)]
    #[builder(default)]
    pub per: TimeUnit,
}

/// What a provider calls a gigabyte, of memory or of storage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub enum MemoryUnit {
    /// 1,000,000,000 bytes.
    #[serde(rename = "GB")]
    Gigabyte,
    /// 1,073,741,824 bytes.
    #[default]
    #[serde(rename = "GiB")]
    Gibibyte,
}

/// The time that a price is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TimeUnit {
    /// A second.
    #[default]
    Second,
    /// An hour.
    Hour,
}

/// The price of ephemeral storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema, Builder)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct StoragePrice {
    /// One unit for an hour.
    pub per_hour: Rate,
    /// The unit.
    #[serde(default)]
    #[builder(default)]
    pub unit: MemoryUnit,
    /// How much costs nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub included: Option<ByteSize>,
}

/// What costs nothing each month.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FreeTier {
    /// Seconds of one virtual CPU.
    pub vcpu_seconds: u64,
    /// Seconds of one unit of memory.
    pub memory_seconds: u64,
}

impl FreeTier {
    /// So many seconds of one virtual CPU and of one unit of memory.
    #[must_use]
    pub const fn new(vcpu_seconds: u64, memory_seconds: u64) -> Self {
        Self { vcpu_seconds, memory_seconds }
    }

    /// What is left of a month's free tier after so many seconds of one virtual CPU and of one unit of memory were used.
    #[must_use]
    pub fn left(self, used_vcpu_seconds: Decimal, used_memory_seconds: Decimal) -> FreeLeft {
        let left =
            |free: u64, used: Decimal| Decimal::from(free).saturating_sub(used.max(Decimal::ZERO)).max(Decimal::ZERO);
        FreeLeft::new(left(self.vcpu_seconds, used_vcpu_seconds), left(self.memory_seconds, used_memory_seconds))
    }
}

impl MemoryUnit {
    pub(super) const fn bytes(self) -> u64 {
        match self {
            Self::Gigabyte => 1_000_000_000,
            Self::Gibibyte => 1 << 30,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Gigabyte => "GB",
            Self::Gibibyte => "GiB",
        }
    }
}

impl TimeUnit {
    pub(super) const fn seconds(self) -> u32 {
        match self {
            Self::Second => 1,
            Self::Hour => 3600,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Second => "second",
            Self::Hour => "hour",
        }
    }
}

impl PriceSheet {
    /// The rates for an architecture.
    pub(super) fn rates_for(&self, architecture: Option<&str>) -> Option<&Rates> {
        match (&self.arm64, architecture) {
            (Some(rates), Some("arm64")) => Some(rates),
            _ => self.rates.as_ref(),
        }
    }
}
