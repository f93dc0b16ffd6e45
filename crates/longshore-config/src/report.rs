//! Gathers what is wrong while a file is read and checked.

use crate::{
    problem::{Place, Problem, Problems, Severity},
    source::Source,
    tree::Origin,
};

/// How many errors, and how many warnings, are told at one time.
const MOST: usize = 100;

/// What has been found wrong so far, and of what text.
pub(crate) struct Report {
    pub(crate) source: Source,
    list: Vec<Problem>,
    errors: usize,
    warnings: usize,
    omitted: usize,
}

impl Report {
    /// Nothing is wrong yet.
    pub(crate) const fn new(source: Source) -> Self {
        Self { source, list: Vec::new(), errors: 0, warnings: 0, omitted: 0 }
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
        let told = match severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if *told >= MOST {
            *told += 1;
            self.omitted += 1;
            return;
        }
        let (message, help) = (self.source.harmless(message), help.map(|help| self.source.harmless(help)));
        let problem = Problem { severity, code, message, help, place: self.source.place(origin) };
        if !self.list.contains(&problem) {
            *told += 1;
            self.list.push(problem);
        }
    }

    /// Whether so much is wrong that no more is looked for.
    pub(crate) const fn is_full(&self) -> bool {
        self.errors >= MOST
    }

    /// How many errors have been found.
    pub(crate) const fn errors(&self) -> usize {
        self.errors
    }

    pub(crate) const fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// What was found, in the order of the file.
    pub(crate) fn finish(mut self) -> Problems {
        self.list.sort_by_key(|problem| match &problem.place {
            Place::Whole => (0, 0),
            Place::File { bytes, .. } => (1, bytes.start),
            Place::Variable(_) => (2, 0),
        });
        Problems { source: self.source, list: self.list, omitted: self.omitted }
    }
}
