//! Reading entries: for one execution, or for many by one question, within the quota of reads.

use jiff::Timestamp;
use longshore_core::{Clock, Error, ErrorKind, Result, clock::later};
use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    client::{Api, LogAnswer, LogQuestion},
    gather::Gather,
    mapping::entries::{Answer, Entry, Position},
};

/// How many entries are asked for at once.
const PAGE: u32 = 1000;
/// How many when they are so long that fewer must do.
const LEAST_PAGE: u32 = 50;
/// How many executions one question names: a filter has at most 20,000 characters
/// (<https://cloud.google.com/logging/quotas>).
const NAMES: usize = 200;
/// Executions whose logs are read up to times so far apart are not asked for together.
const APART: Duration = Duration::from_secs(300);
/// How many times an empty page with an unchanged token is taken for a search that goes on.
const IDLE: u32 = 30;
/// How many bytes of entries one question gathers for all that it names.
const BYTES: usize = 8 << 20;

/// What of a log is wanted: all after a position, up to a time.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) execution: String,
    pub(crate) after: Position,
    pub(crate) until: Timestamp,
}

/// What was read: all entries after the wanted position, up to where it reaches.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) entries: Vec<Entry>,
    pub(crate) reaches: Position,
}

/// Reads entries, together for all who want some at the same time.
#[derive(Debug)]
pub(crate) struct Fetcher {
    api: Arc<Api>,
    clock: Arc<dyn Clock>,
    questions: Gather<Wanted, Stretch>,
}

impl Fetcher {
    pub(crate) fn new(api: Arc<Api>, clock: Arc<dyn Clock>) -> Self {
        Self { api, clock, questions: Gather::default() }
    }

    /// What follows in a log. What is read reaches beyond the wanted position, also when there are no entries.
    pub(crate) async fn fetch(&self, wanted: Wanted) -> Result<Stretch> {
        self.questions.ask(wanted, |round| self.round(round)).await
    }

    async fn round(&self, round: Vec<Wanted>) -> Vec<Result<Stretch>> {
        let mut order: Vec<usize> = (0..round.len()).collect();
        order.sort_by_key(|at| round[*at].after.at);
        let mut answers: Vec<Option<Result<Stretch>>> = round.iter().map(|_| None).collect();
        for group in groups(&order, &round) {
            let wanted: Vec<&Wanted> = group.iter().map(|at| &round[*at]).collect();
            let read = self.read(&wanted).await;
            for at in group {
                answers[*at] = Some(match &read {
                    Ok(read) => Ok(read.stretch(&round[*at])),
                    Err(error) => Err(error.repeated()),
                });
            }
        }
        let missing = || Err(Error::new(ErrorKind::Unexpected, "a round of log reads left a question out"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(missing)).collect()
    }

    /// Reads page after page of what a group wants, until there is no more or enough.
    async fn read(&self, group: &[&Wanted]) -> Result<Read> {
        let from = group.iter().map(|it| it.after.at).min().unwrap_or(Timestamp::MAX);
        let until = group.iter().map(|it| it.until).max().unwrap_or(Timestamp::MIN);
        let mut names: Vec<&str> = group.iter().map(|it| it.execution.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let filter = self.api.log_filter(&names, from, until);
        let mut question = LogQuestion { filter, page_token: None, page_size: PAGE };
        let mut read = Read::new(Position::after(until));
        let mut idle = 0;
        loop {
            let answer = match self.api.log_page(&question).await? {
                LogAnswer::Page(answer) => answer,
                LogAnswer::TooLong if question.page_size > LEAST_PAGE => {
                    question.page_size = (question.page_size / 4).max(LEAST_PAGE);
                    continue;
                }
                LogAnswer::TooLong => {
                    return Err(Error::new(
                        ErrorKind::Unexpected,
                        "Cloud Logging answers with entries longer than it documents",
                    ));
                }
            };
            let before = question.page_token.take();
            question.page_token = answer.next_page_token.clone().filter(|token| !token.is_empty());
            read.take(answer, group);
            if question.page_token.is_none() {
                return Ok(read);
            }
            if read.is_enough() {
                read.stop_at_the_last();
                return Ok(read);
            }
            if question.page_token == before {
                idle += 1;
                if idle == IDLE {
                    return Err(Error::new(
                        ErrorKind::Unavailable,
                        "Cloud Logging searches on and finds nothing; ask again",
                    ));
                }
                self.clock.sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// Neighbours in time, as many as one question can name.
fn groups<'a>(order: &'a [usize], round: &[Wanted]) -> Vec<&'a [usize]> {
    let mut groups = Vec::new();
    let mut rest = order;
    while let Some(first) = rest.first() {
        let latest = later(round[*first].after.at, APART);
        let together = rest.iter().take(NAMES).take_while(|at| round[**at].after.at <= latest).count();
        let (group, others) = rest.split_at(together);
        groups.push(group);
        rest = others;
    }
    groups
}

/// What one question has brought so far.
#[derive(Debug)]
struct Read {
    entries: HashMap<String, Vec<Entry>>,
    last: Option<Position>,
    bytes: usize,
    reaches: Position,
}

impl Read {
    fn new(reaches: Position) -> Self {
        Self { entries: HashMap::new(), last: None, bytes: 0, reaches }
    }

    fn take(&mut self, answer: Answer, group: &[&Wanted]) {
        for (execution, entry) in answer.entries.into_iter().filter_map(crate::mapping::entries::RawEntry::read) {
            if self.last.as_ref().is_none_or(|last| *last < entry.position) {
                self.last = Some(entry.position.clone());
            }
            let earliest = group.iter().filter(|it| it.execution == execution).map(|it| &it.after).min();
            if earliest.is_some_and(|after| entry.position > *after) {
                self.bytes += entry.bytes.len();
                self.entries.entry(execution).or_default().push(entry);
            }
        }
    }

    /// True when there is something to give, and no more should be held.
    fn is_enough(&self) -> bool {
        !self.entries.is_empty() && (self.bytes >= BYTES || self.entries.len() == 1)
    }

    /// More would follow: what was read reaches no further than its last entry.
    fn stop_at_the_last(&mut self) {
        if let Some(last) = self.last.clone() {
            self.reaches = last;
        }
    }

    /// What was read for one of those who wanted it.
    fn stretch(&self, wanted: &Wanted) -> Stretch {
        let mut entries: Vec<Entry> = self.entries.get(&wanted.execution).cloned().unwrap_or_default();
        let until = Position::after(wanted.until);
        entries.retain(|entry| entry.position > wanted.after && entry.position <= until);
        entries.sort_by(|a, b| a.position.cmp(&b.position));
        // The same entry may be told twice: it has the same time and the same id.
        entries.dedup_by(|a, b| a.position == b.position);
        Stretch { entries, reaches: self.reaches.clone().min(until) }
    }
}

#[cfg(test)]
#[path = "fetch_tests.rs"]
mod tests;
