//! Which requests a rule means: method, path, query. Pure functions.

use hyper::Method;

/// What a request must look like.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    method: Option<Method>,
    segments: Vec<String>,
    query: Vec<String>,
}

impl Pattern {
    /// Reads a path pattern; every text is one. `None` as the method means every method.
    pub(super) fn new(method: Option<Method>, pattern: &str) -> Self {
        let (path, query) = split_query(pattern);
        Self {
            method,
            segments: segments(path).map(str::to_owned).collect(),
            query: pairs(query).map(str::to_owned).collect(),
        }
    }

    pub(super) fn matches(&self, method: &Method, path_and_query: &str) -> bool {
        let (path, query) = split_query(path_and_query);
        self.method.as_ref().is_none_or(|wanted| wanted == method)
            && self.matches_path(path)
            && self.query.iter().all(|wanted| pairs(query).any(|given| glob(wanted, given)))
    }

    fn matches_path(&self, path: &str) -> bool {
        let path: Vec<&str> = segments(path).collect();
        let unversioned = path.split_first().filter(|(first, _)| is_api_version(first)).map(|(_, rest)| rest);
        match_segments(&self.segments, &path) || unversioned.is_some_and(|rest| match_segments(&self.segments, rest))
    }
}

fn split_query(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_start_matches('/').split('/')
}

fn pairs(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter(|pair| !pair.is_empty())
}

/// Docker's `v1.41`, but not the plain `v2` that is a part of other providers' paths.
fn is_api_version(segment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    segment
        .strip_prefix('v')
        .and_then(|version| version.split_once('.'))
        .is_some_and(|(major, minor)| is_number(major) && is_number(minor))
}

fn match_segments(pattern: &[String], path: &[&str]) -> bool {
    let Some((first, pattern)) = pattern.split_first() else {
        return path.is_empty();
    };
    if first == "**" {
        return (0..=path.len()).any(|taken| match_segments(pattern, &path[taken..]));
    }
    path.split_first().is_some_and(|(segment, path)| glob(first, segment) && match_segments(pattern, path))
}

/// Whether the text fits the pattern, in which `*` stands for any characters or none.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, pattern)) = pattern.split_once('*') else {
        return pattern == text;
    };
    text.strip_prefix(head)
        .is_some_and(|rest| (0..=rest.len()).filter_map(|taken| rest.get(taken..)).any(|rest| glob(pattern, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(pattern: &str, target: &str) -> bool {
        Pattern::new(Some(Method::GET), pattern).matches(&Method::GET, target)
    }

    #[test]
    fn the_method_must_be_the_same_unless_none_is_given() {
        assert!(!Pattern::new(Some(Method::POST), "/x").matches(&Method::GET, "/x"));
        assert!(Pattern::new(None, "/x").matches(&Method::GET, "/x"));
        assert!(Pattern::new(None, "/x").matches(&Method::DELETE, "/x"));
    }

    #[test]
    fn a_star_is_one_segment_or_a_part_of_one() {
        assert!(get("/containers/*/start", "/containers/abc/start"));
        assert!(!get("/containers/*/start", "/containers/a/b/start"));
        assert!(!get("/containers/*/start", "/containers/start"));
        assert!(!get("/containers/*", "/containers/abc/start"));
        assert!(get("/jobs/*:run", "/jobs/nightly:run"));
        assert!(!get("/jobs/*:run", "/jobs/nightly:runner"));
        assert!(get("/a*b*c", "/a-b-b-c"));
        assert!(!get("/a*b*c", "/a-c-b"));
    }

    #[test]
    fn two_stars_are_any_number_of_segments() {
        assert!(get("/images/**/json", "/images/registry.example/team/app:1/json"));
        assert!(get("/images/**/json", "/images/json"));
        assert!(!get("/images/**/json", "/images/app/history"));
        assert!(get("**", "/"));
        assert!(get("/**", "/v1.41/containers/json?all=1"));
    }

    #[test]
    fn an_api_version_is_skipped_unless_the_pattern_has_one() {
        assert!(get("/info", "/v1.41/info"));
        assert!(get("/info", "/info"));
        assert!(get("/v1.41/info", "/v1.41/info"));
        assert!(!get("/v1.41/info", "/v1.40/info"));
        assert!(!get("/v1.41/info", "/info"));
        assert!(!get("/jobs", "/v2/jobs"));
        assert!(!get("/info", "/v1./info"));
        assert!(!get("/info", "/volumes.1/info"));
    }

    #[test]
    fn the_query_is_ignored_unless_given_and_then_each_pair_must_be_there() {
        assert!(get("/logs", "/logs?follow=1&stdout=1"));
        assert!(get("/logs?follow=1", "/logs?stdout=1&follow=1"));
        assert!(get("/logs?follow=*", "/logs?follow=true"));
        assert!(!get("/logs?follow=1", "/logs?follow=10"));
        assert!(!get("/logs?follow=1", "/logs"));
    }

    #[test]
    fn text_outside_ascii_is_no_trouble() {
        assert!(get("/é*é", "/éüé"));
        assert!(!get("/é*é", "/éü"));
    }
}
