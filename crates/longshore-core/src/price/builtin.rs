//! The list prices that are built in: `builtin.json`, each with the page that it is from.

use serde::Deserialize;
use std::sync::LazyLock;

use crate::{ExecutorType, Region, price::PriceSheet};

/// One place of the table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    executor: ExecutorType,
    regions: Vec<Region>,
    price: PriceSheet,
}

static TABLE: LazyLock<Vec<Entry>> =
    LazyLock::new(|| serde_json::from_str(include_str!("builtin.json")).unwrap_or_default());

/// The list price of a kind of executor in a region, where one is built in. Nothing else is known: no price is taken from
/// another region.
#[must_use]
pub fn builtin(executor: &ExecutorType, region: &Region) -> Option<&'static PriceSheet> {
    let entry = TABLE.iter().find(|entry| entry.executor == *executor && entry.regions.contains(region));
    entry.map(|entry| &entry.price)
}

/// The regions of a kind of executor whose price is built in.
pub(super) fn regions(executor: &ExecutorType) -> impl Iterator<Item = &'static Region> {
    TABLE.iter().filter(move |entry| entry.executor == *executor).flat_map(|entry| &entry.regions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_can_be_read_and_every_price_says_where_it_is_from() {
        let entries: Vec<Entry> = serde_json::from_str(include_str!("builtin.json")).unwrap();
        assert_eq!(entries.len(), 5);
        for Entry { executor, regions, price } in &entries {
            assert!(price.source.as_ref().is_some_and(|source| source.starts_with("https://")), "{executor}");
            assert!(price.as_of.is_some() && !regions.is_empty(), "{executor}");
            let is_checked = price.note.as_ref().is_none_or(|note| !note.contains("to be checked"));
            assert_eq!(is_checked, executor.as_str() != "aci", "{executor}");
        }
    }
}
