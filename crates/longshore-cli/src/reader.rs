//! Reads what was typed, and goes on after a mistake, so that all of them are told at once.

use longshore::{Result, Violation, Violations};
use std::str::FromStr;

/// What is wrong with what was typed so far, and what its author should know about how it was read.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    found: Vec<Violation>,
    notices: Vec<String>,
}

impl Reader {
    /// What one option says; nothing when it is absent or wrong.
    pub(crate) fn one<T: FromStr<Err = Violation>>(&mut self, option: &str, text: Option<&str>) -> Option<T> {
        self.read(option, text, str::parse)
    }

    /// What one option says, read in its own way.
    pub(crate) fn read<T>(
        &mut self,
        option: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Result<T, Violation>,
    ) -> Option<T> {
        let text = text?;
        let violation = match parse(text) {
            Ok(value) => return Some(value),
            Err(violation) => violation,
        };
        // Where only a part of the text is wrong, the part is named as well.
        let is_whole = violation.field == option || violation.shown == Violation::new("", text, "").shown;
        let field = if is_whole { option.to_owned() } else { format!("{option}: {}", violation.field) };
        self.found.push(violation.within(field));
        None
    }

    /// What a repeatable option says.
    pub(crate) fn each<T>(
        &mut self,
        option: &str,
        texts: &[String],
        parse: impl Fn(&str) -> Result<T, Violation>,
    ) -> Vec<T> {
        texts.iter().filter_map(|text| self.read(option, Some(text), &parse)).collect()
    }

    /// Notes a mistake.
    pub(crate) fn complain(&mut self, mistake: Violation) {
        self.found.push(mistake);
    }

    /// Notes what is worth knowing.
    pub(crate) fn notice(&mut self, notice: String) {
        self.notices.push(notice);
    }

    /// What is worth knowing, when there was no mistake.
    ///
    /// # Errors
    /// `Invalid` with every broken rule, each with the option that breaks it.
    pub(crate) fn finish(self) -> Result<Vec<String>> {
        Violations::check(self.found)?;
        Ok(self.notices)
    }
}
