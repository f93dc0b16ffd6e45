//! The secrets that the fake's secret manager keeps.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{Code, Refusal};

/// Where a secret is: which one, and which of its versions.
pub(crate) struct Reference<'a> {
    /// Short, or `projects/P/secrets/NAME`.
    pub(crate) secret: &'a str,
    /// `latest`, or the number of a version.
    pub(crate) version: &'a str,
}

/// Secrets by their short name, with all of their versions; shown nowhere.
#[derive(Default)]
pub(crate) struct Secrets {
    project: String,
    kept: BTreeMap<String, Vec<Vec<u8>>>,
    denied: BTreeSet<String>,
}

impl Secrets {
    pub(crate) fn of(project: &str) -> Self {
        Self { project: project.to_owned(), ..Self::default() }
    }

    /// Keeps a new version.
    pub(crate) fn keep(&mut self, name: &str, value: &[u8]) {
        self.kept.entry(name.to_owned()).or_default().push(value.to_vec());
        self.denied.remove(name);
    }

    pub(crate) fn deny(&mut self, name: &str) {
        self.denied.insert(name.to_owned());
    }

    /// The value, as the task's service account gets it.
    pub(crate) fn read(&self, reference: &Reference<'_>) -> Result<Vec<u8>, Refusal> {
        let Reference { secret, version } = reference;
        let (project, short) = match secret.split('/').collect::<Vec<_>>()[..] {
            ["projects", project, "secrets", short] => (project, short),
            _ => (self.project.as_str(), *secret),
        };
        let whole = format!("projects/{project}/secrets/{short}/versions/{version}");
        let versions = self.kept.get(short).filter(|_| project == self.project);
        let known = versions.and_then(|versions| match version.parse::<usize>() {
            Ok(number) => versions.get(number.checked_sub(1)?),
            Err(_) => versions.last().filter(|_| *version == "latest"),
        });
        match known {
            Some(value) if !self.denied.contains(short) => Ok(value.clone()),
            Some(_) => Err(Refusal::new(
                Code::PermissionDenied,
                format!(
                    "Permission denied on secret: {whole} for Revision service account. The service account used must \
                     be granted the 'Secret Manager Secret Accessor' role (roles/secretmanager.secretAccessor) at the \
                     secret, project or higher level."
                ),
            )),
            None => Err(Refusal::new(Code::NotFound, format!("Secret {whole} was not found"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_counted_from_one() {
        let mut secrets = Secrets::of("p");
        secrets.keep("s", b"old");
        secrets.keep("s", b"new");
        let read = |secret, version| secrets.read(&Reference { secret, version }).ok();
        assert_eq!(read("s", "1").as_deref(), Some(b"old".as_slice()));
        assert_eq!(read("projects/p/secrets/s", "2").as_deref(), Some(b"new".as_slice()));
        assert_eq!(read("s", "latest").as_deref(), Some(b"new".as_slice()));
        for (secret, version) in [("s", "0"), ("s", "3"), ("s", "newest"), ("t", "1"), ("projects/q/secrets/s", "1")] {
            assert_eq!(read(secret, version), None, "{secret} {version}");
        }
    }
}
