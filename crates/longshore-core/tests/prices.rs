//! What jobs cost: figures worked out by hand from the providers' price pages.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use longshore_core::{
    ByteSize, Cpu, ExecutorType, Region,
    price::{Consumption, Currency, Estimate, ExchangeRates, FreeLeft, Money, PriceBook, PriceSheet, builtin},
};
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::{cmp::Ordering, time::Duration};

fn sheet(executor: &str, region: &str) -> &'static PriceSheet {
    builtin(&executor.parse::<ExecutorType>().unwrap(), &region.parse::<Region>().unwrap()).unwrap()
}

fn used(cpu: u32, memory: u64, millis: u64) -> Consumption {
    let mut used = Consumption::default();
    used.cpu = Cpu::from_millis(cpu);
    used.memory = ByteSize::from_bytes(memory);
    used.duration = Duration::from_millis(millis);
    used
}

fn total(sheet: &PriceSheet, used: &Consumption) -> String {
    sheet.cost(used).cost().map_or_else(|reason| format!("unknown: {reason}"), ToString::to_string)
}

fn own(value: Value) -> PriceSheet {
    serde_json::from_value(value).unwrap()
}

const GB: u64 = 1_000_000_000;
const GIB: u64 = 1 << 30;
const HOUR: u64 = 3_600_000;

#[test]
fn the_built_in_prices_give_what_is_worked_out_by_hand() {
    let arm = |mut used: Consumption| {
        used.architecture = Some("arm64".to_owned());
        used
    };
    let stored = |mut used: Consumption, bytes| {
        used.storage = ByteSize::from_bytes(bytes);
        used
    };
    let cases = [
        // 1 × 0.04048 + 2 × 0.004445: what Fargate calls 2 GB are the 2048 MiB that one asks for.
        ("fargate", "us-east-1", used(1000, 2048 << 20, HOUR), "0.04937 USD"),
        // A minute at least: a sixtieth of the hour before.
        ("fargate", "us-east-1", used(1000, 2 * GIB, 1), "0.000822833333 USD"),
        // 60.001 s are charged as 61: 0.04937 / 3600 × 61
        ("fargate", "us-east-1", used(1000, 2 * GIB, 60_001), "0.000836547222 USD"),
        ("fargate", "us-east-1", arm(used(1000, 2 * GIB, HOUR)), "0.0395 USD"),
        // 10 GiB beyond the 20 that are included: 0.04937 + 10 × 0.000111
        ("fargate", "us-east-1", stored(used(1000, 2 * GIB, HOUR), 30 * GIB), "0.05048 USD"),
        ("fargate", "us-east-1", stored(used(1000, 2 * GIB, HOUR), 20 * GIB), "0.04937 USD"),
        // 60 × (1 × 0.000018 + 0.5 × 0.000002)
        ("cloudrun", "us-central1", used(1000, GIB / 2, 100), "0.00114 USD"),
        // 90.1 s after rounding 90.05 up: 90.1 × (2 × 0.000018 + 4 × 0.000002)
        ("cloudrun", "europe-west1", used(2000, 4 * GIB, 90_050), "0.0039644 USD"),
        // 1 × (0.07 × 0.00001 + 0.128 × 0.000001)
        ("scaleway", "fr-par", used(70, 128_000_000, 999), "0.000000828 EUR"),
        ("aci", "eastus", used(1000, GB, 10_000), "0.00015 USD"),
        // CPU comes with the memory: 0.1 × 0.0000166667 + 0.0000002
        ("lambda", "us-east-1", used(250, GIB, 100), "0.00000186667 USD"),
        ("lambda", "us-east-1", arm(used(250, GIB, 100)), "0.00000153334 USD"),
        // 2 × 0.1 × 0.0000166667 + 0.0000002, whether the CPU is known or not
        ("lambda", "us-east-1", used(0, 2048 << 20, 100), "0.00000353334 USD"),
    ];
    for (executor, region, used, expected) in cases {
        assert_eq!(total(sheet(executor, region), &used), expected, "{executor} {used:?}");
    }
}

#[test]
fn a_gigabyte_is_no_gibibyte() {
    let per = |unit: &str| own(json!({"currency": "USD", "rates": {"vcpu": 0, "memory": "1", "memory_unit": unit}}));
    assert_eq!(total(&per("GiB"), &used(1000, GIB, 1000)), "1 USD");
    assert_eq!(total(&per("GB"), &used(1000, GIB, 1000)), "1.073741824 USD");
    let stored = |price: Value| {
        let mut job = used(1000, GIB, HOUR);
        job.storage = ByteSize::from_bytes(3 * GIB);
        total(&own(json!({"currency": "USD", "rates": {"vcpu": 0, "memory": 0}, "storage": price})), &job)
    };
    assert_eq!(stored(json!({"per_hour": 1})), "3 USD");
    assert_eq!(stored(json!({"per_hour": 1, "included": GIB})), "2 USD");
    assert_eq!(stored(json!({"per_hour": 1, "unit": "GB", "included": GIB})), "2.147483648 USD");
}

#[test]
fn a_machine_of_ones_own_is_charged_by_the_larger_share() {
    let machine = own(json!({"currency": "EUR", "cost_per_hour": 0.5}));
    let mut job = used(1000, GIB, HOUR);
    assert_eq!(total(&machine, &job), "0.5 EUR");
    job.machine = (Cpu::from_millis(4000), ByteSize::from_bytes(16 * GIB));
    assert_eq!(total(&machine, &job), "0.125 EUR");
    job.memory = None;
    assert_eq!(total(&machine, &job), "0.5 EUR");
    assert_eq!(total(&own(json!({"currency": "EUR", "cost_per_hour": 0})), &job), "0 EUR");
    // Its disk and its graphics processors are in the price, and whoever has the latter has all of it.
    job.memory = ByteSize::from_bytes(GIB);
    job.storage = ByteSize::from_bytes(GIB);
    assert_eq!(total(&machine, &job), "0.125 EUR");
    let one = std::num::NonZeroU32::MIN;
    job.gpu = Some(longshore_core::GpuRequest::builder().count(one).build());
    assert_eq!(total(&machine, &job), "0.5 EUR");
}

#[test]
fn what_is_not_known_is_said_and_is_never_zero() {
    let gpu = |mut used: Consumption, model: Option<&str>| {
        let count = std::num::NonZeroU32::new(2).unwrap();
        used.gpu = Some(longshore_core::GpuRequest::builder().count(count).maybe_model(model).build());
        used
    };
    let spot = |mut used: Consumption| {
        used.spot = true;
        used
    };
    let fargate = sheet("fargate", "us-east-1");
    let stored = |mut used: Consumption| {
        used.storage = ByteSize::from_bytes(1);
        used
    };
    let with_gpu = own(json!({"currency": "USD", "rates": {"vcpu": "1", "memory": 0}, "gpu_second": {"l4": "3"}}));
    let cases = [
        (fargate, used(1000, GB, 1), None),
        (fargate, used(0, GB, 1), Some("resources.cpu")),
        (fargate, used(1000, 0, 1), Some("resources.memory")),
        (fargate, spot(used(1000, GB, 1)), Some("spot_factor")),
        (fargate, gpu(used(1000, GB, 1), Some("l4")), Some("no price is known of the graphics processor l4")),
        (&with_gpu, gpu(used(1000, GB, 1000), None), Some("name it")),
        (&with_gpu, gpu(used(1000, GB, 1000), Some("h100")), Some("known: l4")),
        (&own(json!({"currency": "USD"})), used(1000, GB, 1), Some("no price of CPU and memory")),
        (sheet("cloudrun", "us-east1"), stored(used(1000, GB, 1)), Some("set `storage` in the price")),
    ];
    for (sheet, used, expected) in cases {
        let estimate = sheet.cost(&used);
        match (expected, &estimate) {
            (None, Estimate::Known(cost)) => assert!(cost.total.amount() > Decimal::ZERO),
            (Some(expected), Estimate::Unknown { reason }) => assert!(reason.contains(expected), "{reason}"),
            _ => panic!("{expected:?}: {estimate}"),
        }
    }
    assert_eq!(total(&with_gpu, &gpu(used(1000, GB, 1000), Some("l4"))), "7 USD");
    let halved =
        own(json!({"currency": "USD", "rates": {"vcpu": "1", "memory": 0}, "spot_factor": "0.5", "request": "1"}));
    assert_eq!(total(&halved, &spot(used(1000, GB, 2000))), "2 USD");
}

#[test]
fn an_amount_beyond_all_counting_is_unknown() {
    let dear = own(json!({"currency": "USD", "rates": {"vcpu": "79228162514264337593543950335", "memory": 0}}));
    let mut job = used(64_000, GB, 0);
    job.duration = Duration::MAX;
    assert!(total(&dear, &job).starts_with("unknown: the "), "{}", total(&dear, &job));
}

#[test]
fn both_rates_are_given() {
    for rates in [json!({}), json!({"vcpu": 1}), json!({"memory": 1})] {
        let found = serde_json::from_value::<PriceSheet>(json!({"currency": "USD", "rates": rates}));
        assert!(found.unwrap_err().to_string().contains("missing field"), "{rates}");
    }
}

#[test]
fn what_is_left_of_a_month_is_never_below_nothing() {
    let free = sheet("cloudrun", "us-central1").free.unwrap();
    let left = |vcpu: i64, memory: i64| free.left(vcpu.into(), memory.into());
    assert_eq!(left(0, 0), FreeLeft::new(240_000.into(), 450_000.into()));
    assert_eq!(left(239_999, 460_000), FreeLeft::new(1.into(), 0.into()));
    assert_eq!(left(-5, i64::MAX), FreeLeft::new(240_000.into(), 0.into()));
    // 100 s are charged: (2 × 100 - 50) × 0.000018 + 0
    let mut job = used(2000, GIB, 100_000);
    job.free_left = left(239_950, 0);
    assert_eq!(total(sheet("cloudrun", "us-central1"), &job), "0.0027 USD");
}

#[test]
fn plans_on_capacity_that_can_be_taken_away_cost_what_the_factor_says() {
    let host: longshore_core::ExecutionHost =
        serde_json::from_value(json!({"name": "h", "executor_type": "docker"})).unwrap();
    let plan = json!({
        "executor_type": "docker", "host": "h", "grants": [], "host_settings": {"version": 1, "settings": null},
        "template": {"name": "a", "image": "tool:1", "resources": {"cpu": "2", "memory": "1g"}, "run_timeout": "10s"},
    });
    let mut plan: longshore_core::Plan = serde_json::from_value(plan).unwrap();
    assert!(!serde_json::to_string(&plan).unwrap().contains("spot"));
    let price = json!({"currency": "USD", "rates": {"vcpu": 1, "memory": 0}, "spot_factor": "0.25"});
    let book = PriceBook::new().with("h".parse().unwrap(), own(price));
    let cost = |plan: &longshore_core::Plan, free: i64| {
        let free = FreeLeft::new(free.into(), 0.into());
        let actual = book.actual(&host, None, plan, Duration::from_secs(5), free);
        let estimate = book.estimate(&host, None, plan, free);
        (estimate.cost().unwrap().to_string(), actual.cost().unwrap().to_string())
    };
    assert_eq!(cost(&plan, 0), ("20 USD".to_owned(), "10 USD".to_owned()));
    assert_eq!(cost(&plan, 4), ("16 USD".to_owned(), "6 USD".to_owned()));
    plan.spot = true;
    let stored = serde_json::to_string(&plan).unwrap();
    assert!(stored.ends_with(",\"spot\":true}"), "{stored}");
    assert_eq!(serde_json::from_str::<longshore_core::Plan>(&stored).unwrap(), plan);
    assert_eq!(cost(&plan, 0), ("5 USD".to_owned(), "2.5 USD".to_owned()));
}

#[test]
fn currencies_meet_only_by_a_configured_rate() {
    let (dollar, euro): (Currency, Currency) = ("USD".parse().unwrap(), "EUR".parse().unwrap());
    let money = |text: &str| text.parse::<Money>().unwrap();
    let none = ExchangeRates::new();
    let error = none.convert(&money("1 EUR"), &dollar).unwrap_err();
    assert!(error.contains("routing.exchange_rates.EUR = \"… USD\""), "{error}");
    let rates = none.with(euro.clone(), &money("1.25 USD"));
    assert_eq!(rates.convert(&money("4 EUR"), &dollar).unwrap().to_string(), "5 USD");
    assert_eq!(rates.convert(&money("5 USD"), &euro).unwrap().to_string(), "4 EUR");
    assert_eq!(rates.convert(&money("5 USD"), &dollar).unwrap().to_string(), "5 USD");

    let known = |text: &str| sheet_of(text).cost(&used(1000, GB, 1000));
    let unknown = own(json!({"currency": "USD"})).cost(&used(1000, GB, 1000));
    let book = PriceBook::new();
    assert_eq!(book.compare(&known("1 USD"), &known("2 USD")), Ordering::Less);
    assert_eq!(book.compare(&known("2 USD"), &unknown), Ordering::Less);
    assert_eq!(book.compare(&known("2 USD"), &known("1 EUR")), Ordering::Less);
    assert_eq!(book.compare(&unknown, &known("1 EUR")), Ordering::Equal);
    let book = book.with_rates(rates);
    assert_eq!(book.compare(&known("2 USD"), &known("1 EUR")), Ordering::Greater);
    assert_eq!(book.compared_in(euro).comparable(&known("5 USD")), Ok(Decimal::from(4)));
}

fn sheet_of(price: &str) -> PriceSheet {
    let (amount, currency) = price.split_once(' ').unwrap();
    own(json!({"currency": currency, "rates": {"vcpu": amount, "memory": 0}}))
}

proptest! {
    #[test]
    fn costs_grow_with_what_is_used_and_free_tiers_never_raise_them(
        cpu in 1_u32..64_000, more_cpu in 0_u32..64_000,
        memory in 1_u64..(1 << 38), more_memory in 0_u64..(1 << 38),
        millis in 0_u64..100_000_000, more_millis in 0_u64..100_000_000,
        free in 0_u32..1_000_000,
        place in prop::sample::select(vec![
            ("fargate", "us-east-1"), ("cloudrun", "us-central1"), ("scaleway", "nl-ams"), ("aci", "eastus"),
            ("lambda", "us-east-1"),
        ]),
    ) {
        let sheet = sheet(place.0, place.1);
        let amount = |used: &Consumption| sheet.cost(used).cost().unwrap().amount();
        let less = used(cpu, memory, millis);
        let cost = amount(&less);
        prop_assert!(cost >= Decimal::ZERO);
        prop_assert!(amount(&used(cpu + more_cpu, memory, millis)) >= cost);
        prop_assert!(amount(&used(cpu, memory + more_memory, millis)) >= cost);
        prop_assert!(amount(&used(cpu, memory, millis + more_millis)) >= cost);
        let mut freed = less.clone();
        freed.free_left = FreeLeft::new(free.into(), free.into());
        prop_assert!(amount(&freed) <= cost);
        // The items make the sum, but for the twelfth digit.
        let Estimate::Known(known) = sheet.cost(&less) else { panic!() };
        let sum: Decimal = known.items.iter().map(|item| item.amount.amount()).sum();
        prop_assert!((sum - cost).abs() < Decimal::new(1, 11));
        prop_assert!(known.charged.0 >= less.duration);
    }
}
