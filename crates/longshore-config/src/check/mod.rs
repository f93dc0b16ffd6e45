//! What no single value's type can tell: that names lead somewhere, that conditions hold water, that rules can be
//! reached, that budgets can be counted.

mod budgets;
mod hosts;
mod routing;
mod tests;

use longshore_core::{
    ExecutorRegistry, HostName,
    route::{Condition, Target},
    rules, suggestion,
};
use std::{collections::BTreeMap, path::Path};

use crate::{
    config::{Config, ConfiguredHost},
    document::Document,
    problem::Problems,
    reading::{self, Read},
    report::Report,
    shape::Shape,
    spec::{DescribedJob, Wrong},
    tree::{Node, Origin, Value},
};

/// Turns a document into a configuration. What is wrong is noted; the result counts only when nothing is.
pub(crate) fn check(
    tree: &Node,
    document: Read<Document>,
    registry: &ExecutorRegistry,
    path: &Path,
    report: &mut Report,
) -> Config {
    let Read { value: document, node } = document;
    let names = Names::of(tree);
    let hosts = hosts::check(&node, &document.hosts, registry, report);
    let templates = templates(&node, &document, registry, report);
    let mut checker = Checker { names, registry, hosts: &hosts, report };
    let prices = checker.prices(&node, &document.routing);
    let default = checker.default(tree, &node, &document.routing);
    let fallback = checker.targets(node.get("routing").and_then(|routing| routing.get("fallback")), "fallback");
    let rules = checker.rules(tree, &node, &document.routing.rules);
    let budgets = checker.budgets(&node, &document.budgets, &prices);
    let tests = checker.tests(&node, &document.routing.tests, &templates, &budgets);
    Config {
        path: path.to_owned(),
        hosts,
        rules,
        default,
        fallback,
        policy: document.routing.policy,
        budgets,
        prices,
        unknown_price: document.routing.unknown_price,
        templates,
        tests,
        shown: tree.to_shown_json(),
        source: report.source.clone(),
        warnings: Problems { source: report.source.clone(), list: Vec::new(), omitted: 0 },
    }
}

/// The names that can be pointed at: of all hosts and kinds, also of those that something is wrong with.
struct Names {
    hosts: Vec<HostName>,
    kinds: Vec<String>,
}

impl Names {
    fn of(tree: &Node) -> Self {
        let hosts = tree.get("hosts").map(Node::entries).unwrap_or_default();
        let kind = |node: &Node| match node.get("executor").map(|node| &node.value) {
            Some(Value::Text(kind)) => Some(kind.clone()),
            _ => None,
        };
        let mut kinds: Vec<String> = hosts.iter().filter_map(|entry| kind(&entry.node)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        Self { hosts: hosts.iter().filter_map(|entry| HostName::new(&*entry.key).ok()).collect(), kinds }
    }

    /// What a name means: a host of that name, else a kind of executor that a host has.
    fn target(&self, name: &str) -> Option<Target> {
        let host = self.hosts.iter().find(|host| host.as_str() == name);
        let kind = || self.kinds.iter().find(|kind| *kind == name).and_then(|kind| kind.parse().ok());
        host.cloned().map(Target::Host).or_else(|| kind().map(Target::Executor))
    }
}

/// What everything else is checked against.
struct Checker<'a> {
    names: Names,
    registry: &'a ExecutorRegistry,
    hosts: &'a BTreeMap<HostName, ConfiguredHost>,
    report: &'a mut Report,
}

impl Checker<'_> {
    /// What somebody points at by a name, where a host or a kind of executor will do.
    fn target(&mut self, node: &Node, name: &str) -> Option<Target> {
        let found = self.names.target(name);
        if found.is_none() {
            let known = self.names.hosts.iter().map(HostName::as_str);
            let known: Vec<&str> = known.chain(self.names.kinds.iter().map(String::as_str)).collect();
            let help = suggestion(name, known, "no host is configured");
            self.report.error("unknown-host", &node.origin, format!("no host answers to `{name}`"), help);
        }
        found
    }

    /// What a list of names points at.
    fn targets(&mut self, node: Option<&Node>, what: &str) -> Vec<Target> {
        let mut found: Vec<Target> = Vec::new();
        for item in node.map(Node::items).unwrap_or_default() {
            let Value::Text(name) = &item.value else { continue };
            let Some(target) = self.target(item, name) else { continue };
            if found.contains(&target) {
                let message = format!("`{name}` stands in `{what}` twice");
                self.report.warning("twin", &item.origin, message, "leave out the second".to_owned());
            } else {
                found.push(target);
            }
        }
        found
    }

    /// A host by its name.
    fn host(&mut self, origin: &Origin, name: &HostName) -> bool {
        let is_known = self.names.hosts.contains(name);
        if !is_known {
            let known: Vec<&str> = self.names.hosts.iter().map(HostName::as_str).collect();
            let help = suggestion(name.as_str(), known, "no host is configured");
            self.report.error("unknown-host", origin, format!("there is no host `{name}`"), help);
        }
        is_known
    }

    /// A kind of executor that a host must have for anything to go there.
    fn kind(&mut self, origin: &Origin, kind: &longshore_core::ExecutorType) -> bool {
        let is_known = self.names.kinds.iter().any(|known| known == kind.as_str());
        if !is_known && self.registry.kinds().all(|known| known.executor_type != *kind) {
            let error = self.registry.unknown(kind);
            self.report.error("unknown-executor", origin, error.message(), None);
        } else if !is_known {
            let known: Vec<&str> = self.names.kinds.iter().map(String::as_str).collect();
            let help = suggestion(kind.as_str(), known, "no host is configured");
            self.report.error("unknown-host", origin, format!("no host has the executor `{kind}`"), help);
        }
        is_known
    }

    /// A condition, with each of its faults at its place in the file.
    fn condition(&mut self, node: &Node, text: &str) -> Option<Condition> {
        let faults = match rules::Condition::parse(text, &self.names.hosts) {
            Ok(condition) => return Some(Condition::Cel(condition)),
            Err(faults) => faults,
        };
        for fault in faults.as_slice() {
            let origin = self.report.source.within(&node.origin, text, fault.at, fault.length);
            self.report.error("bad-condition", &origin, fault.message.clone(), fault.help.clone());
        }
        None
    }
}

fn templates(
    node: &Node,
    document: &Document,
    registry: &ExecutorRegistry,
    report: &mut Report,
) -> BTreeMap<String, longshore_core::JobTemplate> {
    let mut found = BTreeMap::new();
    for (name, section) in &document.templates {
        let Some(node) = node.get("templates").and_then(|templates| templates.get(name)) else { continue };
        check_options(node, registry, report);
        match section.template(name) {
            Ok(template) => {
                found.insert(name.clone(), template);
            }
            Err(wrong) => note(node, wrong, report),
        }
    }
    found
}

/// Checks the sections that only one kind of executor reads, each by that kind's own schema.
pub(crate) fn check_options(node: &Node, registry: &ExecutorRegistry, report: &mut Report) {
    for entry in node.get("executor_options").map(Node::entries).unwrap_or_default() {
        let kind = registry.kinds().find(|kind| kind.executor_type.as_str() == entry.key);
        match (kind, entry.key.parse()) {
            (Some(kind), _) => {
                let schema = (kind.options_schema)().to_value();
                reading::sound(&entry.node, Shape::of(&schema), &format!("executor_options.{}", entry.key), report);
            }
            (None, Ok(kind)) => {
                report.error("unknown-executor", &entry.key_origin(), registry.unknown(&kind).message(), None);
            }
            // What is no name at all is told by whoever reads it as one.
            (None, Err(_)) => {}
        }
    }
}

/// Notes a wish that names nothing.
pub(crate) fn note_wish(node: &Node, job: &DescribedJob, config: &Config, report: &mut Report) {
    let Some(wish) = job.preferred_executor.as_ref().filter(|wish| config.target(wish.host.as_str()).is_none()) else {
        return;
    };
    let written = node.get("preferred_executor").unwrap_or(node);
    let help = suggestion(wish.host.as_str(), config.hosts().map(|host| host.name.as_str()), "no host is configured");
    report.error("unknown-host", &written.origin, format!("no host answers to `{}`", wish.host), help);
}

/// Notes what is wrong with a job's description, each at its place.
pub(crate) fn note(node: &Node, wrong: Vec<Wrong>, report: &mut Report) {
    // An image that is there and wrong has been told already.
    let is_told = |wrong: &Wrong| wrong.message.starts_with("missing field `image`") && node.get("image").is_some();
    for Wrong { path, message, help } in wrong.into_iter().filter(|wrong| !is_told(wrong)) {
        report.error("invalid-job", &node.follow(&path).origin, message, help);
    }
}
