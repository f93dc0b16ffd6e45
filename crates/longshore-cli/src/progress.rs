//! How far the image is, for a person at a terminal.

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use longshore::PrepareProgress;
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::text::clean;

/// One line on the terminal that shows how far the preparation is. Shows nothing where stderr is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    parts: Mutex<Parts>,
}

impl Progress {
    /// A line that appears with the first report.
    pub(crate) fn new(hidden: bool) -> Self {
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {wide_msg}") {
            bar.set_style(style);
        }
        Self { bar, parts: Mutex::default() }
    }

    /// Takes in a report.
    pub(crate) fn report(&self, report: &PrepareProgress) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if parts.latest.is_empty() {
            self.bar.enable_steady_tick(Duration::from_millis(120));
        }
        parts.take(report);
        self.bar.set_message(parts.summary());
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// What is known of each part, usually a layer of the image.
#[derive(Debug, Default)]
struct Parts {
    steps: BTreeMap<String, String>,
    sizes: BTreeMap<String, (u64, u64)>,
    latest: String,
    of_a_part: bool,
}

impl Parts {
    fn take(&mut self, report: &PrepareProgress) {
        self.latest = clean(&report.step);
        // `Pulling from NAME` has the tag for its item, which is no part of the image.
        let part = report.item.as_ref().filter(|_| !self.latest.starts_with("Pulling from"));
        self.of_a_part = part.is_some();
        let Some(item) = part else { return };
        self.steps.insert(item.clone(), self.latest.clone());
        match (report.done, report.total) {
            (Some(done), Some(total)) if self.latest == "Downloading" => {
                self.sizes.insert(item.clone(), (done.min(total), total));
            }
            _ => {
                // Whatever follows a download means that all of it is here.
                self.sizes.entry(item.clone()).and_modify(|(done, total)| *done = *total);
            }
        }
    }

    fn summary(&self) -> String {
        if self.sizes.is_empty() || !self.of_a_part {
            return self.latest.clone();
        }
        let add = |sum: (u64, u64), size: &(u64, u64)| (sum.0.saturating_add(size.0), sum.1.saturating_add(size.1));
        let (done, total) = self.sizes.values().fold((0, 0), add);
        let ready = self.steps.values().filter(|step| is_ready(step)).count();
        let parts = self.steps.len();
        format!("{}: {} of {}, {ready} of {parts} parts ready", self.latest, HumanBytes(done), HumanBytes(total))
    }
}

/// In the words of Docker's engine.
fn is_ready(step: &str) -> bool {
    matches!(step, "Pull complete" | "Already exists")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Report<'a> = (&'a str, Option<&'a str>, Option<u64>, Option<u64>);

    fn after(reports: &[Report<'_>]) -> String {
        let mut parts = Parts::default();
        for (step, item, done, total) in reports {
            parts.take(&PrepareProgress::new(*step, item.map(str::to_owned), *done, *total));
        }
        parts.summary()
    }

    #[test]
    fn parts_add_up() {
        assert_eq!(after(&[("Pulling\u{1b}[2J from a/b", None, None, None)]), "Pulling[2J from a/b");
        let halfway = after(&[
            ("Pulling from a/b", Some("1.2"), None, None),
            ("Already exists", Some("a"), None, None),
            ("Downloading", Some("b"), Some(512), Some(1024)),
            ("Downloading", Some("c"), Some(512), Some(1024)),
        ]);
        assert_eq!(halfway, "Downloading: 1.00 KiB of 2.00 KiB, 1 of 3 parts ready");
        let extracting =
            after(&[("Downloading", Some("b"), Some(512), Some(1024)), ("Extracting", Some("b"), Some(1), Some(5))]);
        assert_eq!(extracting, "Extracting: 1.00 KiB of 1.00 KiB, 0 of 1 parts ready");
        assert!(
            after(&[("Downloading", Some("b"), Some(1024), Some(1024)), ("Pull complete", Some("b"), None, None)])
                .ends_with("1 of 1 parts ready")
        );
    }
}
