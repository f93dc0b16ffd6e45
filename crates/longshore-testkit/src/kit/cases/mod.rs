//! The cases: one file for each group, one sentence for each case.

/// Lists a group's cases under the group's name.
macro_rules! cases {
    ($group:literal: $($case:ident),+ $(,)?) => {
        pub(super) const CASES: &[super::Entry] = &[
            $(super::Entry {
                name: concat!($group, "::", stringify!($case)),
                run: |case| Box::pin($case(case)),
            }),+
        ];
    };
}

mod adoption;
mod ambiguity;
mod batches;
mod contact;
mod demands;
mod events;
mod exits;
mod handles;
mod images;
mod launching;
mod life_cycle;
mod mapping;
mod output;
mod owners;
mod reading;
mod refusals;
mod runs;
mod secrets;
mod security;
mod settling;
mod starting;
mod stopping;
mod volume;

use futures::future::LocalBoxFuture;

use super::{case::Case, failure::CaseResult};

/// One case.
pub(crate) struct Entry {
    pub(crate) name: &'static str,
    pub(crate) run: for<'a> fn(&'a Case) -> LocalBoxFuture<'a, CaseResult>,
}

/// Every case, in the order of an execution's life.
pub(crate) const ENTRIES: &[&[Entry]] = &[
    life_cycle::CASES,
    exits::CASES,
    output::CASES,
    volume::CASES,
    reading::CASES,
    launching::CASES,
    ambiguity::CASES,
    adoption::CASES,
    starting::CASES,
    stopping::CASES,
    settling::CASES,
    handles::CASES,
    batches::CASES,
    owners::CASES,
    events::CASES,
    contact::CASES,
    secrets::CASES,
    mapping::CASES,
    images::CASES,
    security::CASES,
    demands::CASES,
    refusals::CASES,
    runs::CASES,
];
