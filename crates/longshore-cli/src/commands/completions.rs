//! `longshore completions SHELL`.

use clap_complete::Shell;

/// The shell's script.
pub(crate) fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::command(), "longshore", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}
