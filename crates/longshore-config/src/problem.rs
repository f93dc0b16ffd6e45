//! What is wrong with a configuration, where, and what to do about it.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde::Serialize;
use std::{fmt, ops::Range};

use crate::source::Source;

/// The longest text that is shown around a place, in bytes.
const LONGEST_SHOWN: usize = 2000;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Severity {
    /// It can't be used.
    Error,
    /// It can be used, and is most likely not what was meant.
    Warning,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of problem it is, in words that stay: `unknown-key`.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Where.
    pub place: Place,
}

/// Where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Place {
    /// The file as a whole.
    Whole,
    /// In the file.
    File {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The bytes of the file.
        #[serde(skip)]
        bytes: Range<usize>,
    },
    /// In a variable of the environment.
    Variable(String),
}

/// All that is wrong with a configuration, and of what file.
#[derive(Clone)]
pub struct Problems {
    pub(crate) source: Source,
    pub(crate) list: Vec<Problem>,
    /// How many more there are.
    pub(crate) omitted: usize,
}

impl Problems {
    /// The problems, errors and warnings, in the order of the file.
    #[must_use]
    pub fn as_slice(&self) -> &[Problem] {
        &self.list
    }

    /// The file that they are of.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.source.name
    }

    /// Whether anything keeps the configuration from being used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Each problem with the line of the file that it is on, for a terminal; in colours where they are wanted.
    #[must_use]
    pub fn render(&self, colours: bool) -> String {
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        let rendered = self.list.iter().map(|problem| self.rendered(&renderer, problem));
        let more = (self.omitted > 0).then(|| format!("… and {} more", self.omitted));
        rendered.chain(more).collect::<Vec<String>>().join("\n\n")
    }

    /// How many there are, those among them that are not told because there are so many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.list.len() + self.omitted
    }

    fn rendered(&self, renderer: &Renderer, problem: &Problem) -> String {
        let level = match problem.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(problem.message.as_str()).id(problem.code));
        match &problem.place {
            Place::Whole => group = group.element(Origin::path(self.source.name.as_str())),
            Place::File { line, column, bytes } => {
                let name = self.source.name.as_str();
                let (lines, first) = self.source.lines(bytes);
                if lines.len() > LONGEST_SHOWN {
                    group = group.element(Origin::path(name).line(*line).char_column(*column));
                } else {
                    let mark = AnnotationKind::Primary.span(bytes.start - lines.start..bytes.end - lines.start);
                    let shown = Snippet::source(&self.source.shown[lines]).line_start(first).path(name);
                    group = group.element(shown.annotation(mark));
                }
            }
            Place::Variable(name) => {
                group = group.element(Level::NOTE.message(format!("it is from the variable {name}")));
            }
        }
        if let Some(help) = &problem.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }
}

/// One line a problem: `FILE:LINE:COLUMN: MESSAGE; HELP`.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (nth, problem) in self.list.iter().enumerate() {
            if nth > 0 {
                f.write_str("\n")?;
            }
            match &problem.place {
                Place::File { line, column, .. } => write!(f, "{}:{line}:{column}: ", self.source.name)?,
                Place::Whole => write!(f, "{}: ", self.source.name)?,
                Place::Variable(name) => write!(f, "{name}: ")?,
            }
            f.write_str(&problem.message)?;
            problem.help.iter().try_for_each(|help| write!(f, "; {help}"))?;
        }
        if self.omitted > 0 {
            write!(f, "\n… and {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for Problems {}
