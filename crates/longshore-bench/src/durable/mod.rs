//! Durable jobs: how many a second, how soon, and at what weight.

mod bare;
mod engine;
mod history;
mod latency;
mod postgres;
mod rate;
mod stage;
mod weight;

pub(crate) use weight::weigh;

use serde_json::json;
use std::time::Duration;

use crate::{
    cases::{Bench, Finding},
    raw::Result,
    stats,
};

/// Figures that have a limit of their own.
#[derive(Debug)]
pub(crate) struct Figure {
    pub(crate) case: String,
    pub(crate) unit: &'static str,
    /// One for each round, or the distribution's percentiles by name.
    pub(crate) values: Vec<(String, f64)>,
    pub(crate) target: &'static str,
}

impl Figure {
    fn of_rounds(case: impl Into<String>, unit: &'static str, rounds: &[f64], target: &'static str) -> Self {
        let mut sorted = rounds.to_vec();
        let median = stats::median(&mut sorted);
        let ends = sorted.first().copied().zip(sorted.last().copied()).unwrap_or_default();
        let values = [("median", median), ("least", ends.0), ("most", ends.1)];
        Self { case: case.into(), unit, values: named(values), target }
    }

    fn of_times(case: impl Into<String>, mut milliseconds: Vec<f64>, target: &'static str) -> Self {
        let values = [50, 90, 99].map(|percent| (percent, stats::percentile(&mut milliseconds, percent)));
        let values = values.map(|(percent, value)| (format!("p{percent}"), value));
        Self { case: case.into(), unit: "ms", values: values.into(), target }
    }

    fn one(case: impl Into<String>, unit: &'static str, name: &str, value: f64, target: &'static str) -> Self {
        Self { case: case.into(), unit, values: named([(name, value)]), target }
    }

    pub(crate) fn in_words(&self) -> String {
        let values: Vec<String> = self.values.iter().map(|(name, value)| format!("{name} {value:.2}")).collect();
        format!("{}: {} {} ({})", self.case, values.join(", "), self.unit, self.target)
    }

    pub(crate) fn in_json(&self) -> serde_json::Value {
        let values: serde_json::Map<_, _> =
            self.values.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({ "case": self.case, "unit": self.unit, "target": self.target, "values": values })
    }
}

fn named<const N: usize>(values: [(&str, f64); N]) -> Vec<(String, f64)> {
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What a case says when it is done.
pub(crate) enum Said {
    Finding(Finding),
    Figure(Figure),
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// How many jobs one round has.
    pub(crate) jobs: usize,
    /// How many rounds.
    pub(crate) rounds: usize,
    /// How many finished jobs the full store has.
    pub(crate) history: usize,
}

/// Everything that needs no engine.
pub(crate) async fn measure(extent: Extent, say: &mut dyn FnMut(Said) -> Result<()>) -> Result<()> {
    say(Said::Figure(rate::on_sqlite(extent).await?))?;
    for said in postgres::measure(extent).await? {
        say(said)?;
    }
    say(Said::Figure(latency::queue_to_launch().await?))?;
    for figure in weight::idle(Duration::from_secs(20)).await? {
        say(Said::Figure(figure))?;
    }
    say(Said::Figure(weight::resident().await?))?;
    if extent.history > 0 {
        say(Said::Finding(history::measure(extent).await?))?;
    }
    Ok(())
}

/// What needs an engine.
pub(crate) async fn measure_on_engine(bench: &Bench, say: &mut dyn FnMut(Said) -> Result<()>) -> Result<()> {
    say(Said::Finding(engine::end_to_end(bench).await?))?;
    say(Said::Figure(engine::exit_to_stored(bench).await?))
}
