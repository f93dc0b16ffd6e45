//! This machine, where what it runs itself must be told from what others run.

use std::fs;

use crate::{
    choice::{DOCKER, EMBEDDED},
    database::Address,
    host::state_dir,
    job::Lookup,
};

/// Where engines may be that are this machine's own although they have an address.
const OWN: [&str; 3] = ["localhost", "127.", "[::1]"];

/// What tells this machine from others that share its database; nothing where nobody else can.
#[derive(Debug, Clone, Default)]
pub(crate) struct Machine(Option<String>);

impl Machine {
    /// For the jobs of a database. In one of PostgreSQL, `docker` would be the engine of each machine that says it.
    pub(crate) fn sharing(address: &Address) -> Self {
        match address {
            Address::File(_) => Self(None),
            Address::Postgres(_) => Self(Some(identity())),
        }
    }

    /// What a host of this kind is to be told by beside its settings; none where those mean the same on every machine.
    pub(crate) fn mark(&self, kind: &str, address: Option<&str>, lookup: &Lookup<'_>) -> Option<String> {
        let identity = self.0.as_ref()?;
        match kind {
            DOCKER if !address.is_some_and(is_elsewhere) => Some(identity.clone()),
            EMBEDDED => Some(format!("{identity}\n{}", state_dir(lookup).display())),
            _ => None,
        }
    }

    #[cfg(test)]
    pub(crate) fn called(name: &str) -> Self {
        Self(Some(name.to_owned()))
    }
}

/// Whether an engine's address means the same engine on every machine.
fn is_elsewhere(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("://") else { return false };
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    !matches!(scheme, "unix" | "npipe" | "fd") && !OWN.iter().any(|own| host.starts_with(own))
}

/// The machine's own id, else its name.
fn identity() -> String {
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let mut told = ["/etc/machine-id", "/proc/sys/kernel/hostname"].into_iter().filter_map(read);
    told.find(|text| !text.is_empty()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn only_who_shares_a_database_is_told_from_others() {
        let of = |address: Address| Machine::sharing(&address).mark(DOCKER, None, &|_| None);
        assert_eq!(of(Address::File(PathBuf::from("jobs.db"))), None);
        assert!(of(Address::Postgres("postgres://db/jobs".to_owned())).is_some());
    }

    #[test]
    fn an_address_of_another_machine_means_the_same_everywhere() {
        let marked = |address| Machine::called("a").mark(DOCKER, Some(address), &|_| None).is_some();
        let own =
            ["unix:///run/a.sock", "/run/a.sock", "tcp://localhost:2375", "tcp://127.0.0.1:2375", "ssh://me@[::1]"];
        assert!(own.into_iter().all(marked));
        assert!(!["tcp://engine:2376", "ssh://me@engine", "https://engine"].into_iter().any(marked));
        assert_eq!(Machine::called("a").mark("cloudrun", None, &|_| None), None);
    }
}
