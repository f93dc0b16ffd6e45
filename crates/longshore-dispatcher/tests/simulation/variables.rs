//! What is asked for by environment variables: the one place where the tests read them.

/// The number that a variable holds, if it is there.
#[expect(clippy::disallowed_methods, reason = "this is where the simulation reads its environment")]
pub(crate) fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text}, and is to be a whole number")))
}
