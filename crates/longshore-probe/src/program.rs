//! A script that has been read as a whole.

use std::{error::Error, ffi::OsStr, fmt, sync::Arc};

use crate::{Instruction, parse};

/// A script. A clone shares its instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program(Arc<[Instruction]>);

/// An instruction that can't be followed. Shown, it names the instruction, the rule that it breaks and all verbs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    position: usize,
    text: String,
    rule: String,
}

impl Program {
    /// Reads one instruction from each text.
    ///
    /// # Errors
    /// The first instruction that breaks a rule of the language.
    pub fn parse<I>(instructions: I) -> Result<Self, ParseError>
    where
        I: IntoIterator<Item: AsRef<str>>,
    {
        let read = |(index, text): (usize, I::Item)| {
            let text = text.as_ref();
            parse::instruction(text).map_err(|rule| ParseError::new(index, text, rule))
        };
        instructions.into_iter().enumerate().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// Reads one instruction from each argument of a process.
    ///
    /// # Errors
    /// The first argument that is not UTF-8, else the first instruction that breaks a rule of the language.
    pub fn parse_arguments<I>(arguments: I) -> Result<Self, ParseError>
    where
        I: IntoIterator<Item: AsRef<OsStr>>,
    {
        let text = |(index, argument): (usize, I::Item)| {
            let argument = argument.as_ref();
            let refusal = || ParseError::new(index, &argument.to_string_lossy(), "an instruction must be UTF-8".into());
            argument.to_str().map(str::to_owned).ok_or_else(refusal)
        };
        let texts: Vec<String> = arguments.into_iter().enumerate().map(text).collect::<Result<_, _>>()?;
        Self::parse(texts)
    }

    /// The instructions in order.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.0
    }
}

impl ParseError {
    /// The exit code of the program when a script is refused (`EX_USAGE` of `sysexits.h`).
    pub const EXIT_CODE: u8 = 64;

    fn new(index: usize, text: &str, rule: String) -> Self {
        Self { position: index + 1, text: text.to_owned(), rule }
    }

    /// Which instruction it is, from 1 on.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// The instruction as it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The rule that it breaks.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, text, rule } = self;
        write!(f, "instruction {position} ({text:?}): {rule}; the verbs are {}", parse::verbs())
    }
}

impl Error for ParseError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_names_the_place_the_rule_and_the_verbs() {
        let refusal = Program::parse(["print ok", "exit 256"]).unwrap_err();
        assert_eq!((refusal.position(), refusal.text()), (2, "exit 256"));
        assert_eq!(refusal.rule(), "CODE must be a whole number from 0 to 255, found \"256\"; write it as `exit CODE`");
        let shown = refusal.to_string();
        assert!(shown.starts_with("instruction 2 (\"exit 256\"): CODE must be"), "{shown}");
        assert!(shown.contains("; the verbs are print, eprint,") && shown.ends_with(", children"), "{shown}");
    }

    #[test]
    fn an_empty_script_is_a_script() {
        assert!(Program::parse([""; 0]).unwrap().instructions().is_empty());
    }

    #[cfg(unix)]
    #[test]
    fn arguments_must_be_text() {
        use std::os::unix::ffi::OsStrExt;
        let arguments = [OsStr::new("print a"), OsStr::from_bytes(b"print \xff")];
        assert_eq!(Program::parse_arguments(arguments).unwrap_err().position(), 2);
        assert_eq!(Program::parse_arguments(["print a"]), Program::parse(["print a"]));
    }

    #[test]
    fn values_can_be_shared_between_threads() {
        fn shared<T: Clone + Send + Sync + fmt::Debug + 'static>() {}
        shared::<Program>();
        shared::<ParseError>();
        shared::<crate::Interpreter>();
        shared::<crate::Context>();
        shared::<crate::Effect>();
        shared::<crate::Dispositions>();
        shared::<crate::Signal>();
    }
}
