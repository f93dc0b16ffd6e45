//! From what a job uses to what it costs.

use rust_decimal::{Decimal, prelude::ToPrimitive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::{fmt, time::Duration};

use crate::{
    ByteSize, Cpu, GpuRequest, StoredDuration,
    price::{Money, PriceSheet, Rate, Rates, StoragePrice},
};

/// What a job uses, as far as it is charged for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Consumption {
    /// How long it runs.
    pub duration: Duration,
    /// The CPU that it is granted.
    pub cpu: Option<Cpu>,
    /// The memory that it is granted.
    pub memory: Option<ByteSize>,
    /// The graphics processors that it is granted.
    pub gpu: Option<GpuRequest>,
    /// The ephemeral storage that it is granted.
    pub storage: Option<ByteSize>,
    /// The architecture that it runs on: `amd64`, `arm64`.
    pub architecture: Option<String>,
    /// Whether it runs on capacity that can be taken away.
    pub spot: bool,
    /// The machine's own CPU and memory, for a price of the whole machine.
    pub machine: (Option<Cpu>, Option<ByteSize>),
    /// What is left of this month's free tier; by default nothing.
    pub free_left: FreeLeft,
}

/// What is left of a month's free tier.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FreeLeft {
    /// Seconds of one virtual CPU.
    pub vcpu_seconds: Decimal,
    /// Seconds of one unit of memory.
    pub memory_seconds: Decimal,
}

impl FreeLeft {
    /// So many seconds of one virtual CPU, and of one unit of memory.
    #[must_use]
    pub const fn new(vcpu_seconds: Decimal, memory_seconds: Decimal) -> Self {
        Self { vcpu_seconds, memory_seconds }
    }
}

/// What a job is expected to cost, or why that is not known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Estimate {
    /// The cost, and what it is made of.
    Known(Cost),
    /// It is not known; which is never zero.
    Unknown {
        /// Why, and what would make it known.
        reason: String,
    },
}

/// A cost and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct Cost {
    /// All of it.
    pub total: Money,
    /// What it is made of.
    pub items: Vec<CostItem>,
    /// The time that is charged, after the minimum and rounding.
    pub charged: StoredDuration,
    /// The page that the prices are from, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
}

/// One item of a cost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[non_exhaustive]
pub struct CostItem {
    /// What is charged, with its quantity and price: `vCPU: 1 × 60 s at 0.04048 an hour`.
    pub what: String,
    /// The amount.
    pub amount: Money,
}

impl Estimate {
    pub(super) fn unknown(reason: impl Into<String>) -> Self {
        Self::Unknown { reason: reason.into() }
    }

    /// The cost.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn cost(&self) -> Result<&Money, &str> {
        match self {
            Self::Known(cost) => Ok(&cost.total),
            Self::Unknown { reason } => Err(reason),
        }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(cost) => {
                let charged = jiff::SignedDuration::try_from(cost.charged.0).unwrap_or(jiff::SignedDuration::MAX);
                write!(f, "{} for {charged:#}", cost.total)
            }
            Self::Unknown { reason } => write!(f, "unknown: {reason}"),
        }
    }
}

impl PriceSheet {
    /// What it costs to use as much: an estimate beforehand, the actual cost afterwards.
    #[must_use]
    pub fn cost(&self, used: &Consumption) -> Estimate {
        let charged = self.charged(used.duration);
        match self.items(used, charged) {
            Ok(items) => self.total(items, charged),
            Err(reason) => Estimate::Unknown { reason },
        }
    }

    /// The time that is charged: at least the minimum, rounded up to a multiple of the step.
    fn charged(&self, duration: Duration) -> Duration {
        let least = self.minimum.map_or(duration, |minimum| duration.max(minimum));
        let Some(step) = self.step.filter(|step| !step.is_zero()) else { return least };
        let steps = least.as_nanos().div_ceil(step.as_nanos());
        u32::try_from(steps).ok().and_then(|steps| step.checked_mul(steps)).unwrap_or_else(|| {
            let nanos = steps.saturating_mul(step.as_nanos());
            Duration::from_secs(u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u64::MAX))
        })
    }

    fn items(&self, used: &Consumption, charged: Duration) -> Result<Vec<(String, Decimal)>, String> {
        let seconds = seconds(charged)?;
        let mut items = Vec::new();
        if let Some(price) = self.cost_per_hour {
            let share = share(used);
            let amount = product(&[price.decimal(), seconds, share])? / Decimal::from(3600);
            items.push((format!("machine: {} of it for {charged:?} at {price} an hour", percent(share)), amount));
        }
        if let Some(rates) = self.rates_for(used.architecture.as_deref()) {
            items.extend(computing(rates, used, seconds)?);
        } else if self.cost_per_hour.is_none() {
            return Err("no price of CPU and memory is given".to_owned());
        }
        items.extend(self.stored(used, seconds)?);
        items.extend(self.graphics(used, seconds)?);
        if used.spot {
            let factor = self.spot_factor.ok_or("the price of spot capacity varies; set spot_factor")?;
            for (_, amount) in &mut items {
                *amount = product(&[*amount, factor.decimal()])?;
            }
        }
        items.extend(self.request.map(|price| ("launch".to_owned(), price.decimal())));
        Ok(items)
    }

    /// Ephemeral storage beyond what is included.
    fn stored(&self, used: &Consumption, seconds: Decimal) -> Result<Option<(String, Decimal)>, String> {
        let Some(asked) = used.storage else { return Ok(None) };
        match &self.storage {
            Some(price) => storage(price, asked, seconds),
            // A machine of one's own has its disk in its price.
            None if self.cost_per_hour.is_some() => Ok(None),
            None => Err(format!("no price is known of {asked} of ephemeral storage; set `storage` in the price")),
        }
    }

    fn graphics(&self, used: &Consumption, seconds: Decimal) -> Result<Option<(String, Decimal)>, String> {
        // A machine of one's own has its processors in its price.
        let Some(gpu) = used.gpu.as_ref().filter(|_| self.cost_per_hour.is_none()) else { return Ok(None) };
        let model = gpu.model.as_deref().ok_or("the price of a graphics processor depends on its model; name it")?;
        let price = self.gpu_second.get(model).ok_or_else(|| {
            let known: Vec<&str> = self.gpu_second.keys().map(String::as_str).collect();
            format!("no price is known of the graphics processor {model}; known: {}", known.join(", "))
        })?;
        let count = Decimal::from(gpu.count.get());
        let amount = product(&[price.decimal(), count, seconds])?;
        Ok(Some((format!("{model}: {count} × {seconds} s at {price} a second"), amount)))
    }

    fn total(&self, items: Vec<(String, Decimal)>, charged: Duration) -> Estimate {
        let money = |amount: Decimal| Money::new(amount.round_dp(12), self.currency.clone());
        let sum = items.iter().try_fold(Decimal::ZERO, |sum, (_, amount)| sum.checked_add(*amount));
        let Some(total) = sum.and_then(money) else { return Estimate::unknown("the sum is too large") };
        let items = items.into_iter().filter_map(|(what, amount)| Some(CostItem { what, amount: money(amount)? }));
        let (items, source) = (items.collect(), self.source.clone());
        Estimate::Known(Cost { total, items, charged: StoredDuration(charged), source })
    }
}

/// CPU and memory. What comes with the other is not asked for.
fn computing(rates: &Rates, used: &Consumption, seconds: Decimal) -> Result<Vec<(String, Decimal)>, String> {
    let mut items = Vec::new();
    let free = used.free_left;
    if !rates.vcpu.decimal().is_zero() {
        let cpu = used.cpu.ok_or("the CPU that the job is granted is not known; ask for resources.cpu")?;
        let vcpus = Decimal::new(i64::from(cpu.millis()), 3).normalize();
        items.push(("vCPU", rates.vcpu, vcpus, "", free.vcpu_seconds));
    }
    if !rates.memory.decimal().is_zero() {
        let memory = used.memory.ok_or("the memory that the job is granted is not known; ask for resources.memory")?;
        let units = Decimal::from(memory.bytes()) / Decimal::from(rates.memory_unit.bytes());
        items.push(("memory", rates.memory, units.normalize(), rates.memory_unit.name(), free.memory_seconds));
    }
    let item = |(what, price, units, unit, free): (&str, Rate, Decimal, &str, Decimal)| {
        let charged = (product(&[units, seconds])? - free).max(Decimal::ZERO);
        let amount = product(&[price.decimal(), charged])? / Decimal::from(rates.per.seconds());
        let shown = format!("{} {unit}", units.round_dp(6).normalize());
        Ok((format!("{what}: {} × {seconds} s at {price} a {}", shown.trim_end(), rates.per.name()), amount))
    };
    items.into_iter().map(item).collect()
}

fn storage(price: &StoragePrice, asked: ByteSize, seconds: Decimal) -> Result<Option<(String, Decimal)>, String> {
    let beyond = asked.bytes().saturating_sub(price.included.map_or(0, ByteSize::bytes));
    if beyond == 0 {
        return Ok(None);
    }
    let units = Decimal::from(beyond) / Decimal::from(price.unit.bytes());
    let amount = product(&[price.per_hour.decimal(), units, seconds])? / Decimal::from(3600);
    let (shown, unit) = (units.round_dp(6).normalize(), price.unit.name());
    Ok(Some((format!("storage: {shown} {unit} × {seconds} s at {} an hour", price.per_hour), amount)))
}

/// The larger of the job's shares of its machine's CPU and memory; all of it where either is not known, or where the job has
/// graphics processors, which leave others little use of the machine.
fn share(used: &Consumption) -> Decimal {
    if used.gpu.is_some() {
        return Decimal::ONE;
    }
    let of = |part: u64, whole: u64| (whole > 0).then(|| Decimal::from(part) / Decimal::from(whole));
    let (machine_cpu, machine_memory) = used.machine;
    let cpu = used.cpu.zip(machine_cpu).and_then(|(cpu, all)| of(cpu.millis().into(), all.millis().into()));
    let memory = used.memory.zip(machine_memory).and_then(|(memory, all)| of(memory.bytes(), all.bytes()));
    match (cpu, memory) {
        (Some(cpu), Some(memory)) => cpu.max(memory).min(Decimal::ONE),
        // Without a limit on the other it may take all of it.
        _ => Decimal::ONE,
    }
}

fn percent(share: Decimal) -> String {
    let percent = (share * Decimal::ONE_HUNDRED).round_dp(1).normalize();
    percent
        .to_u32()
        .filter(|whole| Decimal::from(*whole) == percent)
        .map_or_else(|| format!("{percent} %"), |whole| format!("{whole} %"))
}

fn seconds(duration: Duration) -> Result<Decimal, String> {
    let whole = Decimal::from(duration.as_secs());
    let part = Decimal::new(i64::from(duration.subsec_nanos()), 9);
    whole.checked_add(part).map(|seconds| seconds.normalize()).ok_or_else(|| "the time is too long".to_owned())
}

fn product(factors: &[Decimal]) -> Result<Decimal, String> {
    let product = factors.iter().try_fold(Decimal::ONE, |product, factor| product.checked_mul(*factor));
    product.ok_or_else(|| "the amount is too large".to_owned())
}
