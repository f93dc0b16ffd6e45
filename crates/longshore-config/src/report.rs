//! Gathers what is wrong while a file is read and checked.

use crate::{
    problem::{Place, Problem, Problems, Severity},
    source::Source,
    tree::Origin,
};

/// How many problems are told at one time.
const MOST: usize = 100;

/// What has been found wrong so far, and of what text.
pub(crate) struct Report {
    pub(crate) source: Source,
    list: Vec<Problem>,
}

impl Report {
    /// Nothing is wrong yet.
    pub(crate) const fn new(source: Source) -> Self {
        Self { source, list: Vec::new() }
    }

    pub(crate) fn error(
        &mut self,
        code: &'static str,
        origin: &Origin,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.note(Severity::Error, code, origin, message.into(), help.into());
    }

    pub(crate) fn warning(
        &mut self,
        code: &'static str,
        origin: &Origin,
        message: impl Into<String>,
        help: impl Into<Option<String>>,
    ) {
        self.note(Severity::Warning, code, origin, message.into(), help.into());
    }

    fn note(&mut self, severity: Severity, code: &'static str, origin: &Origin, message: String, help: Option<String>) {
        let (message, help) = (harmless(message), help.map(harmless));
        let problem = Problem { severity, code, message, help, place: self.source.place(origin) };
        if !self.list.contains(&problem) {
            self.list.push(problem);
        }
    }

    /// Whether so much is wrong that no more is looked for.
    pub(crate) fn is_full(&self) -> bool {
        self.list.len() >= MOST
    }

    /// How many errors have been found.
    pub(crate) fn errors(&self) -> usize {
        self.list.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    pub(crate) fn has_errors(&self) -> bool {
        self.errors() > 0
    }

    /// What was found, in the order of the file.
    pub(crate) fn finish(mut self) -> Problems {
        self.list.sort_by_key(|problem| match &problem.place {
            Place::Whole => (0, 0),
            Place::File { bytes, .. } => (1, bytes.start),
            Place::Variable(_) => (2, 0),
        });
        self.list.truncate(MOST);
        Problems { source: self.source, list: self.list }
    }
}

/// The text without what a terminal could take for a command, and without what re-orders it.
fn harmless(text: String) -> String {
    if text.chars().any(crate::source::is_harmful) {
        return text.chars().map(|c| if crate::source::is_harmful(c) { '?' } else { c }).collect();
    }
    text
}
