//! `longshore executors`: the kinds of executor that this program has.

use longshore::ExecutorRegistry;

/// One line a kind: its name and what it is.
pub(crate) fn table(registry: &ExecutorRegistry) -> String {
    let width = registry.kinds().map(|kind| kind.executor_type.as_str().len()).max().unwrap_or_default();
    let line = |kind: &longshore::ExecutorKind| format!("{:width$}  {}\n", kind.executor_type, kind.description);
    let lines: String = registry.kinds().map(line).collect();
    if lines.is_empty() { "none: this program was built without any\n".to_owned() } else { lines }
}
