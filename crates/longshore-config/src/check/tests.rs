//! Routing tests: that what they name is there, and that they expect one thing.

use longshore_core::{
    HostName, JobTemplate,
    route::{Budget, Target},
};
use std::collections::BTreeMap;

use super::{Checker, budgets::spent, check_options, note};
use crate::{
    document::{ExpectSection, TestSection},
    routing_test::{Expected, RoutingTest},
    spec::DescribedJob,
    tree::Node,
};

impl Checker<'_> {
    pub(super) fn tests(
        &mut self,
        node: &Node,
        sections: &[TestSection],
        templates: &BTreeMap<String, JobTemplate>,
        budgets: &[Budget],
    ) -> Vec<RoutingTest> {
        let nodes = node.get("routing").and_then(|routing| routing.get("tests")).map(Node::items).unwrap_or_default();
        let tests = sections.iter().zip(nodes).enumerate();
        tests.filter_map(|(at, (section, node))| self.test(at, section, node, templates, budgets)).collect()
    }

    fn test(
        &mut self,
        at: usize,
        section: &TestSection,
        node: &Node,
        templates: &BTreeMap<String, JobTemplate>,
        budgets: &[Budget],
    ) -> Option<RoutingTest> {
        let job_node = node.get("job").unwrap_or(node);
        check_options(job_node, self.registry, self.report);
        let job = match section.job.job(templates) {
            Ok(job) => {
                self.check_wish(job_node, &job);
                Some(job)
            }
            Err(wrong) => {
                note(job_node, wrong, self.report);
                None
            }
        };
        let full = self.named(node, "full", &section.full);
        let down = self.named(node, "down", &section.down);
        self.check_full(node, &full);
        let spent = node.get("spent").map(|node| spent(self, node, &section.spent, budgets)).unwrap_or_default();
        let expected = self.expected(node.get("expect").unwrap_or(node), &section.expect);
        Some(RoutingTest {
            name: section.name.clone().unwrap_or_else(|| format!("test {}", at + 1)),
            job: job?,
            at: section.at,
            full,
            down,
            spent,
            expected: expected?,
            rule: section.expect.rule.clone(),
            origin: node.get("expect").map_or_else(|| node.origin.clone(), |node| node.origin.clone()),
        })
    }

    fn named(&mut self, node: &Node, key: &str, names: &[HostName]) -> Vec<HostName> {
        let items = node.get(key).map(Node::items).unwrap_or_default();
        items
            .iter()
            .zip(names)
            .filter(|(item, name)| self.host(&item.origin, name))
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// What a job prefers is a host, or a kind of executor.
    fn check_wish(&mut self, node: &Node, job: &DescribedJob) {
        let Some(wish) = &job.preferred_executor else { return };
        let written = node.get("preferred_executor").unwrap_or(node);
        self.target(written.get("host").unwrap_or(written), wish.host.as_str());
    }

    /// A host without a limit is never full.
    fn check_full(&mut self, node: &Node, full: &[HostName]) {
        for name in full {
            if self.hosts.get(name).is_some_and(|host| host.host.max_concurrent_jobs.is_none()) {
                let origin = node.get("full").map_or(&node.origin, |node| &node.origin);
                let message = format!("`{name}` has no max_concurrent_jobs, and so is never full");
                self.report.error("never-full", origin, message, "set it, or use `down`".to_owned());
            }
        }
    }

    fn expected(&mut self, node: &Node, section: &ExpectSection) -> Option<Expected> {
        let origin = |key: &str| node.get(key).map_or(&node.origin, |node| &node.origin);
        match (&section.host, &section.executor, section.outcome) {
            (Some(host), None, None) => {
                self.host(origin("host"), host).then(|| Expected::On(Target::Host(host.clone())))
            }
            (None, Some(kind), None) => {
                self.kind(origin("executor"), kind).then(|| Expected::On(Target::Executor(kind.clone())))
            }
            (None, None, Some(outcome)) => Some(Expected::Nowhere(outcome)),
            (None, None, None) if section.rule.is_some() => Some(Expected::On(Target::Anywhere)),
            // What is there and wrong has been told already.
            (None, None, None) if ["host", "executor", "outcome", "rule"].iter().any(|key| node.get(key).is_some()) => {
                None
            }
            _ => {
                let help = "set one of `host`, `executor` and `outcome`".to_owned();
                self.report.error("two-targets", &node.origin, "a test expects one thing", help);
                None
            }
        }
    }
}
