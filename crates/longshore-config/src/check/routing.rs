//! Rules, the default, prices.

use longshore_core::{
    HostName,
    price::{Currency, ExchangeRates, PriceBook},
    route::{Condition, Rule, RuleName, Target},
    rules,
};
use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
};

use super::Checker;
use crate::{
    document::{RoutingSection, RuleSection},
    tree::{Node, Origin, Value},
};

impl Checker<'_> {
    /// The prices of the hosts, and what currencies are worth in each other.
    pub(super) fn prices(&mut self, node: &Node, routing: &RoutingSection) -> PriceBook {
        let mut rates = ExchangeRates::new();
        let written = node.get("routing").and_then(|routing| routing.get("exchange_rates"));
        for entry in written.map(Node::entries).unwrap_or_default() {
            match (Currency::new(&*entry.key), routing.exchange_rates.get(&entry.key)) {
                (Err(violation), _) => {
                    self.report.error("invalid-value", &entry.key_origin(), violation.to_string(), None);
                }
                (Ok(_), Some(worth)) if worth.amount().is_zero() => {
                    let message = format!("one {} can't be worth nothing", entry.key);
                    self.report.error("invalid-value", &entry.node.origin, message, None);
                }
                (Ok(currency), Some(worth)) => rates = rates.with(currency, worth),
                (Ok(_), None) => {}
            }
        }
        let mut prices = PriceBook::new().with_rates(rates);
        if let Some(currency) = &routing.currency {
            prices = prices.compared_in(currency.clone());
        }
        for (name, host) in self.hosts {
            if let Some(price) = &host.price {
                prices = prices.with(name.clone(), price.clone());
            }
        }
        prices
    }

    /// The default: that of the routing section, or the host that says so of itself.
    pub(super) fn default(&mut self, tree: &Node, node: &Node, routing: &RoutingSection) -> Option<Target> {
        let named = node.get("routing").and_then(|routing| routing.get("default"));
        let hosts = tree.get("hosts").map(Node::entries).unwrap_or_default();
        let marked = |host: &Node| host.get("default").is_some_and(|node| node.value == Value::Bool(true));
        let marked: Vec<_> = hosts.iter().filter(|entry| marked(&entry.node)).collect();
        let first = named.map(|_| "routing.default").or_else(|| marked.first().map(|entry| entry.key.as_str()));
        for entry in marked.iter().skip(usize::from(named.is_none())) {
            let origin = entry.node.get("default").map_or(&entry.node.origin, |node| &node.origin);
            let message = format!("there is one default, and it is already {}", first.unwrap_or_default());
            self.report.error("twin", origin, message, "leave out one of them".to_owned());
        }
        if let (Some(node), Some(name)) = (named, &routing.default) {
            return self.target(node, name);
        }
        self.hosts.iter().find(|(_, host)| host.is_default).map(|(name, _)| Target::Host(name.clone()))
    }

    /// The enabled rules, in the order of the file.
    pub(super) fn rules(&mut self, tree: &Node, node: &Node, sections: &[RuleSection]) -> Vec<Rule> {
        let items = |node: &Node| -> Vec<Node> {
            node.get("routing").and_then(|routing| routing.get("rules")).map(Node::items).unwrap_or_default().to_vec()
        };
        let (written, nodes) = (items(tree), items(node));
        // Those that something is wrong with have their number all the same.
        let mut numbers = (1_usize..).zip(&written);
        let mut names: BTreeSet<RuleName> = BTreeSet::new();
        let mut rules = Vec::new();
        for (section, node) in sections.iter().zip(&nodes) {
            let number = numbers.find(|(_, written)| written.origin == node.origin).map_or(0, |(number, _)| number);
            let numbered = || RuleName::new(format!("rule-{number}")).ok();
            let Some(name) = section.name.clone().or_else(numbered) else { continue };
            if !names.insert(name.clone()) {
                let origin = node.get("name").map_or(&node.origin, |node| &node.origin);
                let message = format!("two rules have the name `{name}`");
                self.report.error("twin", origin, message, "rename one".to_owned());
            }
            let target = self.rule_target(node, section);
            let condition = node.get("condition").and_then(|node| self.condition(node, &section.condition));
            if let (Some(target), Some(condition), true) = (target, condition, section.enabled) {
                let reason = section.reason.clone().unwrap_or_else(|| section.condition.trim().to_owned());
                let rule = Rule::new(name, condition, target, reason);
                rules.push((rule.with_priority(section.priority).spilling(section.spill), node.origin.clone()));
            }
        }
        self.shadowed(&rules);
        rules.into_iter().map(|(rule, _)| rule).collect()
    }

    fn rule_target(&mut self, node: &Node, section: &RuleSection) -> Option<Target> {
        let origin = |key: &str| node.get(key).map_or(&node.origin, |node| &node.origin);
        match (&section.host, &section.executor) {
            (Some(host), None) => self.host(origin("host"), host).then(|| Target::Host(HostName::clone(host))),
            (None, Some(kind)) => self.kind(origin("executor"), kind).then(|| Target::Executor(kind.clone())),
            (Some(_), Some(_)) => {
                let help = "keep `host` for one host, or `executor` for any of its kind".to_owned();
                self.report.error("two-targets", origin("executor"), "a rule has one target", help);
                None
            }
            (None, None) => {
                // One that is there and wrong has been told already.
                let help = "set `host` or `executor`".to_owned();
                if node.get("host").or_else(|| node.get("executor")).is_none() {
                    self.report.error("missing-key", &node.origin, "the rule has no target", help);
                }
                None
            }
        }
    }

    /// Warns of rules that an earlier one of the same condition, or of `true`, keeps from being asked while its target
    /// is well.
    fn shadowed(&mut self, rules: &[(Rule, Origin)]) {
        let mut order: Vec<&(Rule, Origin)> = rules.iter().collect();
        order.sort_by_key(|(rule, _)| Reverse(rule.priority));
        let mut always: Option<&Rule> = None;
        let mut alike: HashMap<String, Vec<(&rules::Condition, &Rule)>> = HashMap::new();
        for (rule, origin) in order {
            let Condition::Cel(condition) = &rule.condition else { continue };
            let alike = alike.entry(bucket(condition)).or_default();
            let same = alike.iter().find(|(earlier, _)| *earlier == condition).map(|(_, rule)| *rule);
            let Some(first) = always.or(same) else {
                if !rule.spill {
                    always = condition.is_always().then_some(rule);
                    alike.push((condition, rule));
                }
                continue;
            };
            let message = format!(
                "the rule `{}` is out of reach: `{}` is asked before it and takes the same jobs",
                rule.name, first.name
            );
            let help = "change its condition or its priority, leave it out, or send the jobs on by routing.fallback \
                        or `spill`";
            self.report.warning("shadowed-rule", origin, message, help.to_owned());
        }
    }
}

/// The same for conditions that mean the same but for spaces and needless parentheses, and for few others.
fn bucket(condition: &rules::Condition) -> String {
    condition.source().chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')' | '\'' | '"')).collect()
}
