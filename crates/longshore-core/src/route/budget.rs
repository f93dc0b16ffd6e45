//! How much may be spent, on what, in which time.

use jiff::{Timestamp, ToSpan, Zoned, civil::Weekday, tz::TimeZone};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ExecutionHost,
    ids::{NameRule, parsed_name},
    price::Money,
    route::{Condition, Target},
};

fn first(c: char) -> bool {
    c.is_ascii_lowercase() || c.is_ascii_digit()
}

fn rest(c: char) -> bool {
    first(c) || c == '-'
}

parsed_name! {
    /// The name of a budget.
    BudgetName, NameRule {
        field: "budget name",
        rule: "use 1 to 63 lower-case letters, digits and dashes, beginning with a letter or digit",
        pattern: "^[a-z0-9][a-z0-9-]{0,62}$",
        longest: 63,
        first,
        rest,
    }
}

/// A limit on what jobs may cost.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Budget {
    /// Its name.
    pub name: BudgetName,
    /// When what was spent counts from zero again.
    pub period: BudgetPeriod,
    /// Beyond this each decision carries a notice.
    pub warning: Option<Money>,
    /// Beyond this nothing is launched.
    pub hard: Option<Money>,
    /// The jobs that count.
    pub condition: Condition,
    /// The hosts that count; empty, all.
    pub targets: Vec<Target>,
}

impl Budget {
    /// A budget over every job on every host, without levels yet.
    #[must_use]
    pub const fn new(name: BudgetName, period: BudgetPeriod) -> Self {
        Self { name, period, warning: None, hard: None, condition: Condition::Always, targets: Vec::new() }
    }

    /// The same budget with the level beyond which there is a notice.
    #[must_use]
    pub fn warning_at(mut self, level: Money) -> Self {
        self.warning = Some(level);
        self
    }

    /// The same budget with the level beyond which nothing is launched.
    #[must_use]
    pub fn hard_at(mut self, level: Money) -> Self {
        self.hard = Some(level);
        self
    }

    /// The same budget over the jobs for which the condition holds.
    #[must_use]
    pub fn when(mut self, condition: Condition) -> Self {
        self.condition = condition;
        self
    }

    /// The same budget over the hosts of these targets.
    #[must_use]
    pub fn on(mut self, targets: impl IntoIterator<Item = Target>) -> Self {
        self.targets.extend(targets);
        self
    }

    /// Whether what jobs cost on this host counts.
    #[must_use]
    pub fn counts_on(&self, host: &ExecutionHost) -> bool {
        self.targets.is_empty() || self.targets.iter().any(|target| target.covers(host))
    }
}

/// When what was spent counts from zero again. Periods begin at midnight UTC; a week begins on Monday.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BudgetPeriod {
    /// Each day.
    Day,
    /// Each week.
    Week,
    /// Each month.
    Month,
    /// Each year.
    Year,
    /// Never.
    Total,
}

impl BudgetPeriod {
    /// When the period in which `now` lies began; absent for [`BudgetPeriod::Total`].
    #[must_use]
    pub fn began(self, now: Timestamp) -> Option<Timestamp> {
        let today = now.to_zoned(TimeZone::UTC).start_of_day().ok()?;
        let date = today.date();
        let first = match self {
            Self::Day => date,
            Self::Week => date.checked_sub(i64::from(date.weekday().since(Weekday::Monday)).days()).ok()?,
            Self::Month => date.first_of_month(),
            Self::Year => date.first_of_year(),
            Self::Total => return None,
        };
        first.to_zoned(TimeZone::UTC).ok().map(|first: Zoned| first.timestamp())
    }

    /// When that period ends and the next one begins; absent for [`BudgetPeriod::Total`].
    #[must_use]
    pub fn ends(self, now: Timestamp) -> Option<Timestamp> {
        let span = match self {
            Self::Day => 1.day(),
            Self::Week => 1.week(),
            Self::Month => 1.month(),
            Self::Year => 1.year(),
            Self::Total => return None,
        };
        let began = self.began(now)?.to_zoned(TimeZone::UTC);
        began.checked_add(span).ok().map(|end| end.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_begin_and_end_at_midnight_utc() {
        let cases = [
            (BudgetPeriod::Day, "2026-02-28T23:59:59Z", "2026-02-28T00:00:00Z", "2026-03-01T00:00:00Z"),
            (BudgetPeriod::Week, "2026-03-01T12:00:00Z", "2026-02-23T00:00:00Z", "2026-03-02T00:00:00Z"),
            (BudgetPeriod::Week, "2026-03-02T00:00:00Z", "2026-03-02T00:00:00Z", "2026-03-09T00:00:00Z"),
            (BudgetPeriod::Month, "2026-01-31T05:00:00Z", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
            (BudgetPeriod::Year, "2028-02-29T05:00:00Z", "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"),
        ];
        for (period, now, began, ends) in cases {
            let now: Timestamp = now.parse().unwrap();
            assert_eq!(period.began(now).unwrap().to_string(), began, "{period:?} {now}");
            assert_eq!(period.ends(now).unwrap().to_string(), ends, "{period:?} {now}");
        }
        assert_eq!(BudgetPeriod::Total.ends(Timestamp::UNIX_EPOCH), None);
    }
}
