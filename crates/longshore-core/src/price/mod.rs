//! What jobs cost: prices with their sources, estimates beforehand and actual costs afterwards, by the same code.
//!
//! A price that is not known is *unknown*, never zero: the policy `cheapest` ranks it last, and a hard budget refuses it
//! unless configured otherwise. Amounts are decimal throughout, and currencies meet only where a rate is configured.
//!
//! What is built in ([`builtin`]) are list prices in US dollars or euros for first-tier regions, each with the page that it
//! is from; a host's own `price` section replaces them.

mod book;
mod builtin;
mod cost;
mod money;
mod sheet;

pub use book::{ExchangeRates, PriceBook};
pub use builtin::builtin;
pub use cost::{Consumption, Cost, CostItem, Estimate, FreeLeft};
pub use money::{Currency, Money, Rate};
pub use sheet::{FreeTier, MemoryUnit, PriceSheet, Rates, StoragePrice, TimeUnit};
