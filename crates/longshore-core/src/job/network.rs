//! Which network a container is on.

use std::{fmt, str::FromStr};

use crate::{
    Violation,
    ids::{NameRule, parsed_name},
    text::text_serde,
};

/// The network that a job asks for. A job that asks for none gets what its executor documents, which is
/// never the host's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Network {
    /// Only a loopback interface.
    None,
    /// A network of its own with a way out.
    Private,
    /// The host's own network, where its operator allows it.
    Host,
    /// A network that exists on the host under this name.
    Named(NetworkName),
}

fn first(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn rest(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

parsed_name! {
    /// The name of a network on the host.
    NetworkName, NameRule {
        field: "network",
        rule: "use `none`, `private`, `host`, or a network's name of letters, digits, `_`, `.` and `-`",
        pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$",
        longest: 128,
        first,
        rest,
    }
}

parsed_name! {
    /// A further name under which others on the same network find the container.
    NetworkAlias, NameRule {
        field: "network alias",
        rule: "use 1 to 63 letters, digits, `_`, `.` and `-`, beginning with a letter or digit",
        pattern: "^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$",
        longest: 63,
        first,
        rest,
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "none",
            Self::Private => "private",
            Self::Host => "host",
            Self::Named(name) => name.as_str(),
        })
    }
}

impl FromStr for Network {
    type Err = Violation;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "none" => Ok(Self::None),
            "private" => Ok(Self::Private),
            "host" => Ok(Self::Host),
            name => NetworkName::new(name).map(Self::Named),
        }
    }
}

text_serde!(Network, "none, private, host, or the name of a network on the host.");
