//! Budgets: that there is a level, and that what is spent can be counted.

use longshore_core::{
    price::{Money, PriceBook},
    route::{Budget, BudgetName, Condition},
    suggestion,
};
use std::collections::{BTreeMap, BTreeSet};

use super::Checker;
use crate::{
    document::BudgetSection,
    tree::{Node, Value},
};

impl Checker<'_> {
    pub(super) fn budgets(
        &mut self,
        node: &Node,
        sections: &BTreeMap<String, BudgetSection>,
        prices: &PriceBook,
    ) -> Vec<Budget> {
        let mut found = Vec::new();
        for entry in node.get("budgets").map(Node::entries).unwrap_or_default() {
            let Some(section) = sections.get(&entry.key) else { continue };
            match BudgetName::new(&*entry.key) {
                Ok(name) => found.extend(self.budget(&entry.node, name, section, prices)),
                Err(violation) => {
                    self.report.error("invalid-value", &entry.key_origin(), violation.to_string(), None);
                }
            }
        }
        found
    }

    fn budget(&mut self, node: &Node, name: BudgetName, section: &BudgetSection, prices: &PriceBook) -> Option<Budget> {
        let mut budget = Budget::new(name, section.period).on(self.targets(node.get("targets"), "targets"));
        if let Some(level) = &section.warning {
            budget = budget.warning_at(level.clone());
        }
        if let Some(level) = &section.hard {
            budget = budget.hard_at(level.clone());
        }
        self.check_levels(node, &budget, prices);
        let Some((condition, text)) = node.get("condition").zip(section.condition.as_deref()) else {
            return Some(budget);
        };
        let parsed = self.condition(condition, text)?;
        if let Condition::Cel(parsed) = &parsed
            && parsed.asks_for_cost()
        {
            let message = "a budget can't depend on `estimated_cost`, which it limits itself";
            self.report.error("bad-condition", &condition.origin, message, None);
        }
        Some(budget.when(parsed))
    }

    fn check_levels(&mut self, node: &Node, budget: &Budget, prices: &PriceBook) {
        let levels: Vec<&Money> = budget.warning.iter().chain(&budget.hard).collect();
        if levels.is_empty() && node.get("warning").or_else(|| node.get("hard")).is_none() {
            let help = "set `warning`, `hard` or both, such as hard = \"100 USD\"".to_owned();
            self.report.error("missing-key", &node.origin, format!("the budget `{}` has no level", budget.name), help);
        }
        if let (Some(warning), Some(hard)) = (&budget.warning, &budget.hard)
            && prices.convert(warning, hard.currency()).is_ok_and(|warning| warning.amount() > hard.amount())
        {
            let origin = node.get("warning").map_or(&node.origin, |node| &node.origin);
            let message = format!("the warning level of {warning} is above the hard one of {hard}, and is never told");
            self.report.warning("level", origin, message, None);
        }
        let mut missing = BTreeSet::new();
        for level in levels {
            for host in self.hosts.values().filter(|host| budget.counts_on(&host.host)) {
                let Ok(sheet) = prices.of(&host.host) else { continue };
                let one = Money::new(1.into(), sheet.currency.clone());
                missing.extend(one.and_then(|one| prices.convert(&one, level.currency()).err()));
            }
        }
        for message in missing {
            self.report.warning("no-rate", &node.origin, message, None);
        }
    }
}

/// What has been spent of budgets, in an example.
pub(super) fn spent(
    checker: &mut Checker<'_>,
    node: &Node,
    spent: &BTreeMap<String, Money>,
    budgets: &[Budget],
) -> Vec<(BudgetName, Money)> {
    let mut found = Vec::new();
    for entry in node.entries().iter().filter(|entry| entry.node.value != Value::Null) {
        let known = budgets.iter().find(|budget| budget.name.as_str() == entry.key);
        match (known, spent.get(&entry.key)) {
            (Some(budget), Some(money)) => found.push((budget.name.clone(), money.clone())),
            (None, _) => {
                let names: Vec<&str> = budgets.iter().map(|budget| budget.name.as_str()).collect();
                let help = suggestion(&entry.key, names, "no budget is configured");
                let message = format!("there is no budget `{}`", entry.key);
                checker.report.error("unknown-budget", &entry.key_origin(), message, help);
            }
            (Some(_), None) => {}
        }
    }
    found
}
