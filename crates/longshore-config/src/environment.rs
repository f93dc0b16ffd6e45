//! What the environment adds to a file: variables that replace values, and references that lead to secrets.

use longshore_core::ExecutorRegistry;
use serde_json::Value as Json;
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    report::Report,
    shape::Shape,
    tree::{Entry, Node, Origin, Value},
};

/// The variables of an environment, as whoever starts the program passes them in.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
}

/// The sections that variables can reach into.
const SECTIONS: [&str; 4] = ["hosts", "routing", "budgets", "templates"];

/// The largest file that a reference may lead to, in bytes.
const LARGEST_FILE: u64 = 64 * 1024;

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self { variables: variables.into_iter().collect() }
    }
}

/// Names alone: values may be secrets.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}

/// How many parts the name of a variable may have.
const MOST_PARTS: usize = 16;

impl Environment {
    /// Puts each variable `LONGSHORE_SECTION__KEY__KEY` in its place in the tree. What goes into an executor's own
    /// settings may be a secret, and is added to those.
    pub(crate) fn apply(
        &self,
        tree: &mut Node,
        shape: Shape<'_>,
        registry: &ExecutorRegistry,
        secrets: &mut Vec<String>,
        report: &mut Report,
    ) {
        for (name, text) in &self.variables {
            let Some(path) = name.strip_prefix("LONGSHORE_").filter(|path| path.contains("__")) else { continue };
            let mut path: Vec<String> = path.split("__").map(ToOwned::to_owned).collect();
            let origin = Origin::Variable(name.clone());
            if !SECTIONS.iter().any(|section| path[0].eq_ignore_ascii_case(section)) {
                let help = format!("LONGSHORE_SECTION__KEY, where SECTION is one of {}", SECTIONS.join(", "));
                report.warning("unknown-variable", &origin, "the variable is not a setting, and is left out", help);
            } else if path.iter().any(String::is_empty) {
                report.error("unknown-variable", &origin, "a part of the variable's name is empty", None);
            } else if path.len() > MOST_PARTS {
                let message = format!("the variable's name has more than {MOST_PARTS} parts");
                report.error("unknown-variable", &origin, message, None);
            } else {
                if let Some(at) = path.iter().position(|part| part.eq_ignore_ascii_case("executor_config")) {
                    // Only the executor knows these keys, which have no capitals; and a value may be a secret.
                    path[at..].iter_mut().for_each(|part| part.make_ascii_lowercase());
                    secrets.push(text.clone());
                }
                if path.len() > 1 && ["hosts", "budgets"].iter().any(|section| path[0].eq_ignore_ascii_case(section)) {
                    // These names have no capitals and no underscores, so a new one is meant without.
                    path[1] = path[1].to_lowercase().replace('_', "-");
                }
                let settings = path.get(1).and_then(|host| settings(tree, host, registry));
                Override { text, origin: &origin, settings: &settings.unwrap_or(Json::Bool(true)) }.set(
                    tree,
                    Some(shape),
                    &path,
                    report,
                );
            }
        }
        for host in tree.get("hosts").map(Node::entries).unwrap_or_default() {
            host.node.get("executor_config").iter().for_each(|node| gather_overrides(node, secrets));
        }
    }

    /// Replaces the references in an executor's settings by what they lead to, which is added to the secrets.
    pub(crate) fn resolve(
        &self,
        node: &mut Node,
        shape: Shape<'_>,
        folder: &Path,
        secrets: &mut Vec<String>,
        report: &mut Report,
    ) {
        match &mut node.value {
            Value::Text(text) if text.contains("${") => match self.followed(text, folder, secrets) {
                Ok(found) => {
                    // Where text is taken it is text, whatever it looks like.
                    let json = if shape.takes_text() { found.into() } else { Shape::meant(Some(shape), &found) };
                    let is_text = json.is_string();
                    let value = Box::new(Value::of_json(json, &node.origin));
                    if !is_text {
                        gather(&value, secrets);
                    }
                    node.value = Value::Secret { value, written: std::mem::take(text) };
                }
                Err(wrong) => {
                    report.error("bad-reference", &node.origin, wrong.message, Some(wrong.help.to_owned()));
                    node.value = Value::Wrong;
                }
            },
            Value::List(items) => {
                items.iter_mut().for_each(|item| self.resolve(item, shape.item(), folder, secrets, report));
            }
            Value::Map(entries) => {
                let anything = Shape::of(&serde_json::Value::Bool(true));
                for entry in entries {
                    let shape = shape.member(&entry.key).unwrap_or(anything);
                    self.resolve(&mut entry.node, shape, folder, secrets, report);
                }
            }
            _ => {}
        }
    }

    /// The text with its references replaced; `$${` stands for `${` itself.
    fn followed(&self, text: &str, folder: &Path, secrets: &mut Vec<String>) -> Result<String, BadReference> {
        let mut done = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, reference) = (&rest[..at], &rest[at + 2..]);
            if let Some(before) = before.strip_suffix('$') {
                done.push_str(before);
                done.push_str("${");
                rest = reference;
                continue;
            }
            let (reference, after) = reference.split_once('}').ok_or_else(|| BadReference {
                message: "a reference is not closed".to_owned(),
                help: "write ${NAME} or ${file:PATH}; for the characters `${` themselves, write `$${`",
            })?;
            done.push_str(before);
            done.push_str(&self.value(reference, folder, secrets)?);
            rest = after;
        }
        done.push_str(rest);
        Ok(done)
    }

    fn value(&self, reference: &str, folder: &Path, secrets: &mut Vec<String>) -> Result<String, BadReference> {
        if let Some(path) = reference.strip_prefix("file:") {
            return content(&folder.join(path)).inspect(|content| secrets.push(content.clone()));
        }
        if reference.contains("${") {
            return Err(BadReference {
                message: "a reference stands inside of another".to_owned(),
                help: "a default is plain text; set the variable itself where it depends on others",
            });
        }
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(BadReference {
                // It is not told: somebody may have written the secret itself.
                message: "what stands in a reference is no name of a variable".to_owned(),
                help: "write ${NAME}, ${NAME:-DEFAULT} or ${file:PATH}; for the characters `${` themselves, write `$${`",
            });
        }
        let value = self.variables.get(name).cloned().inspect(|value| secrets.push(value.clone()));
        value.or_else(|| default.map(ToOwned::to_owned)).ok_or_else(|| BadReference {
            message: format!("the variable {name} is not set"),
            help: "set it, or give a default: ${NAME:-DEFAULT}",
        })
    }
}

/// A reference that leads nowhere.
struct BadReference {
    message: String,
    help: &'static str,
}

/// The content of a file, without the line break at its end.
fn content(path: &PathBuf) -> Result<String, BadReference> {
    let wrong = |why: String| BadReference {
        message: format!("the file {} can't be read: {why}", path.display()),
        help: "a relative path begins at the folder of the configuration",
    };
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    let mut text = String::new();
    file.take(LARGEST_FILE + 1).read_to_string(&mut text).map_err(|error| wrong(error.to_string()))?;
    if text.len() as u64 > LARGEST_FILE {
        return Err(wrong(format!("it is too large: a secret has at most {LARGEST_FILE} bytes")));
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// The texts of a value that a reference has led to.
fn gather(value: &Value, secrets: &mut Vec<String>) {
    match value {
        Value::Text(text) => secrets.push(text.clone()),
        Value::List(items) => items.iter().for_each(|item| gather(&item.value, secrets)),
        Value::Map(entries) => entries.iter().for_each(|entry| gather(&entry.node.value, secrets)),
        _ => {}
    }
}

/// The texts that variables have put into an executor's settings.
fn gather_overrides(node: &Node, secrets: &mut Vec<String>) {
    if matches!(node.origin, Origin::Variable(_)) {
        gather(&node.value, secrets);
    }
    node.entries().iter().for_each(|entry| gather_overrides(&entry.node, secrets));
}

/// The schema of the settings of the host that a variable names, where its kind is known.
fn settings(tree: &Node, host: &str, registry: &ExecutorRegistry) -> Option<Json> {
    let hosts = tree.get("hosts")?.entries().iter();
    let host = hosts.into_iter().find(|entry| as_variable(&entry.key) == as_variable(host))?;
    let kind = host.node.get("executor")?.to_json();
    let kind = registry.kinds().find(|known| Some(known.executor_type.as_str()) == kind.as_str())?;
    Some((kind.config_schema)().to_value())
}

/// What a variable puts into the tree.
struct Override<'a> {
    text: &'a str,
    origin: &'a Origin,
    /// The schema of the executor's own settings.
    settings: &'a Json,
}

impl Override<'_> {
    fn set(&self, node: &mut Node, shape: Option<Shape<'_>>, path: &[String], report: &mut Report) {
        let Some((part, rest)) = path.split_first() else {
            node.value = Value::of_json(Shape::meant(shape, self.text), self.origin);
            node.origin = self.origin.clone();
            return;
        };
        if node.value == Value::Null {
            node.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut node.value else {
            let message = format!("the variable leads into {}, which has no keys", node.value.kind());
            let help = "set the whole of it, as JSON".to_owned();
            return report.error("unknown-variable", self.origin, message, help);
        };
        let known = shape.map(Shape::members).unwrap_or_default();
        let is_free = known.is_empty();
        let written = known.into_iter().map(ToOwned::to_owned).chain(entries.iter().map(|entry| entry.key.clone()));
        let key = written.into_iter().find(|key| as_variable(key) == as_variable(part));
        // A table with keys of its own has them in lower case; elsewhere a new key is what somebody has written.
        let key = key.unwrap_or_else(|| if is_free { part.clone() } else { part.to_lowercase() });
        let at = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
            let node = Node { value: Value::Null, origin: self.origin.clone() };
            entries.push(Entry { key: key.clone(), key_at: 0..0, node });
            entries.len() - 1
        });
        let inner = if key == "executor_config" {
            Some(Shape::of(self.settings))
        } else {
            shape.and_then(|shape| shape.member(&key))
        };
        self.set(&mut entries[at].node, inner, rest, report);
    }
}

/// A key as it stands in a variable's name, in lower case.
fn as_variable(key: &str) -> String {
    key.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}
