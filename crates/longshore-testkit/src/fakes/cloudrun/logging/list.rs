//! `entries:list`.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    filter::{self, Filter},
    log::{Entry, Key, Log},
};
use crate::fakes::cloudrun::{
    error::Refusal,
    name::no_project,
    options::Trouble,
    pages::{Cut, Paging},
    rules::{number, text, texts},
};

/// The most bytes of entries in one answer, about.
const LARGEST_PAGE: usize = 4 << 20;
const MOST_RESOURCES: usize = 100;

/// Answers a list of what can be listed by now.
pub(crate) fn list(
    log: &Log,
    body: &Map<String, Value>,
    project: &str,
    trouble: &Trouble,
    now: Timestamp,
) -> Result<Value, Refusal> {
    resources(body, project)?;
    let descending = match text(body, "orderBy").unwrap_or("timestamp asc") {
        "timestamp asc" => false,
        "timestamp desc" => true,
        other => return Err(Refusal::field("order_by", format!("must be timestamp asc or desc, found '{other}'."))),
    };
    let filter_text = text(body, "filter").unwrap_or_default();
    let filter = filter::parse(filter_text)?;
    let scope = [filter_text, if descending { "desc" } else { "asc" }];
    let cut = Cut { default: 50, most: trouble.page_limit.unwrap_or(1_000), shifting: false };
    let token = text(body, "pageToken").unwrap_or_default();
    let paging = Paging::new(number(body, "pageSize").unwrap_or(0), token, &scope, &cut)?;
    let place = Place::read(paging.after(), trouble.empty_log_pages);
    if place.empty_pages > 0 {
        let next = Place { empty_pages: place.empty_pages - 1, ..place };
        return Ok(json!({ "nextPageToken": paging.token(&next.write()) }));
    }
    let from = filter.not_before().unwrap_or(Timestamp::MIN);
    let entries = log.visible(now, from, place.after.as_ref(), descending);
    Ok(page(entries, &filter, &paging, trouble))
}

fn resources(body: &Map<String, Value>, project: &str) -> Result<(), Refusal> {
    let mut names = texts(body, "resourceNames").unwrap_or_default();
    names.extend(texts(body, "projectIds").unwrap_or_default().into_iter().map(|id| format!("projects/{id}")));
    if names.len() > MOST_RESOURCES {
        return Err(Refusal::field("resource_names", format!("at most {MOST_RESOURCES} may be named.")));
    }
    for name in names {
        match name.split('/').collect::<Vec<_>>()[..] {
            ["projects", known] if known == project => {}
            ["projects", other] => return Err(no_project(other)),
            _ => return Err(Refusal::field("resource_names", format!("'{name}' is not a project's name."))),
        }
    }
    Ok(())
}

/// Where a page begins: behind an entry, once so many empty pages have passed.
struct Place {
    empty_pages: u32,
    after: Option<Key>,
}

impl Place {
    fn read(after: Option<&str>, empty_pages: u32) -> Self {
        match after.and_then(|after| after.split_once('#')) {
            Some((left, after)) => Self { empty_pages: left.parse().unwrap_or(0), after: Key::read(after) },
            None => Self { empty_pages, after: None },
        }
    }

    fn write(&self) -> String {
        let after = self.after.as_ref().map(Key::write).unwrap_or_default();
        format!("{}#{after}", self.empty_pages)
    }
}

fn page<'a>(entries: impl Iterator<Item = &'a Entry>, filter: &Filter, paging: &Paging, trouble: &Trouble) -> Value {
    let mut wanted = entries.filter(|entry| filter.fits(entry)).peekable();
    let (mut page, mut keys, mut bytes) = (Vec::new(), Vec::new(), 0);
    while let Some(entry) = wanted.next_if(|_| page.len() < paging.size() && bytes < LARGEST_PAGE) {
        bytes += entry.size();
        page.push(entry.json());
        keys.push(entry.key());
    }
    let mut answer = json!({});
    if wanted.peek().is_some() {
        let back = if trouble.duplicate_log_entries && keys.len() > 1 { 2 } else { 1 };
        let after = keys.len().checked_sub(back).and_then(|at| keys.get(at)).cloned();
        answer["nextPageToken"] = paging.token(&Place { empty_pages: 0, after }.write()).into();
    }
    if !page.is_empty() {
        answer["entries"] = page.into();
    }
    answer
}
