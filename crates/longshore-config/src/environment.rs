//! What the environment adds to a file: variables that replace values, and references that lead to secrets.

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

impl Environment {
    /// Puts each variable `LONGSHORE_SECTION__KEY__KEY` in its place in the tree.
    pub(crate) fn apply(&self, tree: &mut Node, shape: Shape<'_>, report: &mut Report) {
        for (name, text) in &self.variables {
            let Some(path) = name.strip_prefix("LONGSHORE_").filter(|path| path.contains("__")) else { continue };
            let path: Vec<String> = path.split("__").map(str::to_lowercase).collect();
            let origin = Origin::Variable(name.clone());
            if !path.first().is_some_and(|section| SECTIONS.contains(&section.as_str())) {
                let help = format!("LONGSHORE_SECTION__KEY, where SECTION is one of {}", SECTIONS.join(", "));
                report.warning("unknown-variable", &origin, "the variable is not a setting, and is left out", help);
            } else if path.iter().any(String::is_empty) {
                report.error("unknown-variable", &origin, "a part of the variable's name is empty", None);
            } else {
                set(tree, Some(shape), &path, text, &origin, report);
            }
        }
    }

    /// Replaces the references in a section's texts by what they lead to.
    pub(crate) fn resolve(&self, node: &mut Node, shape: Shape<'_>, folder: &Path, report: &mut Report) {
        match &mut node.value {
            Value::Text(text) if text.contains("${") => {
                let found = self.followed(text, folder);
                match found {
                    Ok(found) => {
                        let value = Value::of_json(Shape::meant(Some(shape), &found), &node.origin);
                        let written = std::mem::take(text);
                        node.value = Value::Secret { value: Box::new(value), written };
                    }
                    Err(wrong) => {
                        report.error("bad-reference", &node.origin, wrong.message, Some(wrong.help.to_owned()));
                        // It is told once, as what it is, and not again as a text that does not fit.
                        node.value = Value::Null;
                    }
                }
            }
            Value::List(items) => {
                items.iter_mut().for_each(|item| self.resolve(item, shape.item(), folder, report));
            }
            Value::Map(entries) => {
                let anything = Shape::of(&serde_json::Value::Bool(true));
                for entry in entries {
                    self.resolve(&mut entry.node, shape.member(&entry.key).unwrap_or(anything), folder, report);
                }
            }
            _ => {}
        }
    }

    /// The text with its references replaced; `$${` stands for `${` itself.
    fn followed(&self, text: &str, folder: &Path) -> Result<String, BadReference> {
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
            done.push_str(&self.value(reference, folder)?);
            rest = after;
        }
        done.push_str(rest);
        Ok(done)
    }

    fn value(&self, reference: &str, folder: &Path) -> Result<String, BadReference> {
        if let Some(path) = reference.strip_prefix("file:") {
            return content(&folder.join(path));
        }
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            return Err(BadReference {
                message: format!("`{name}` is no name of a variable"),
                help: "write ${NAME}, ${NAME:-DEFAULT} or ${file:PATH}; for the characters `${` themselves, write `$${`",
            });
        }
        let value = self.variables.get(name).cloned();
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

fn set(node: &mut Node, shape: Option<Shape<'_>>, path: &[String], text: &str, origin: &Origin, report: &mut Report) {
    let Some((part, rest)) = path.split_first() else {
        node.value = Value::of_json(Shape::meant(shape, text), origin);
        node.origin = origin.clone();
        return;
    };
    if node.value == Value::Null {
        node.value = Value::Map(Vec::new());
    }
    let Value::Map(entries) = &mut node.value else {
        let message = format!("the variable leads into {}, which has no keys", node.value.kind());
        let help = "set the whole of it, as JSON".to_owned();
        return report.error("unknown-variable", origin, message, help);
    };
    let known = shape.map(Shape::members).unwrap_or_default();
    let known = known.into_iter().map(ToOwned::to_owned).chain(entries.iter().map(|entry| entry.key.clone()));
    let key = known.into_iter().find(|key| as_variable(key) == *part).unwrap_or_else(|| part.clone());
    let at = entries.iter().position(|entry| entry.key == key).unwrap_or_else(|| {
        let node = Node { value: Value::Null, origin: origin.clone() };
        entries.push(Entry { key: key.clone(), key_at: 0..0, node });
        entries.len() - 1
    });
    let inner = shape.and_then(|shape| shape.member(&key));
    set(&mut entries[at].node, inner, rest, text, origin, report);
}

/// A key as it stands in a variable's name, in lower case.
fn as_variable(key: &str) -> String {
    key.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_")
}
