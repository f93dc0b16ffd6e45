//! What is done, in small numbers, so that operations meet.

use proptest::prelude::*;

pub(crate) const NAMES: [&str; 8] = ["on-a", "on-b", "on-a-b", "paid-a", "later-a", "never", "give-up", "leave"];
pub(crate) const HOSTS: [&str; 2] = ["a", "b"];

#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// The one before once more, as after a lost answer.
    Again,
    Submit(Vec<Wish>),
    Intervene {
        job: u8,
        what: Asked,
    },
    Pause {
        host: Option<u8>,
    },
    Resume {
        host: Option<u8>,
    },
    Open {
        session: u8,
    },
    Beat {
        session: u8,
    },
    Fence {
        session: u8,
        other: u8,
        late: bool,
    },
    Close {
        session: u8,
    },
    Adopt {
        session: u8,
        most: usize,
        host: Option<u8>,
        before: Option<i64>,
    },
    Claim {
        session: u8,
        most: usize,
        places: (u32, u32),
        dollars: u32,
    },
    Wake {
        session: u8,
    },
    Record {
        session: u8,
        changes: Vec<(u8, u8, Happened)>,
    },
    Look {
        job: u8,
        session: u8,
    },
    List {
        status: Option<u8>,
        host: Option<u8>,
        name: Option<u8>,
        since: Option<i64>,
        after: Option<u8>,
        limit: usize,
    },
    Export,
    Import,
    Archive {
        after: Option<u8>,
        most: usize,
    },
    Purge(Vec<u8>),
}

#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) job: u8,
    pub(crate) name: u8,
    pub(crate) key: Option<u8>,
    pub(crate) priority: i32,
    pub(crate) labelled: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Asked {
    Cancel,
    SettleLost,
    Reprioritize(i32),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Happened {
    Renewed,
    Launched,
    Started,
    Exited { code: i32, closed: bool, cents: u32 },
    Requeued { host: Option<u8>, seconds: Option<i64>, refused: bool, closed: bool },
    Lost,
    Closed,
    Noted,
}

fn job() -> impl Strategy<Value = u8> {
    0..6_u8
}

fn session() -> impl Strategy<Value = u8> {
    prop_oneof![6 => Just(0_u8), 2 => Just(1), 1 => Just(2)]
}

fn maybe_host() -> impl Strategy<Value = Option<u8>> {
    prop::option::of(0..2_u8)
}

fn wish() -> impl Strategy<Value = Wish> {
    (job(), 0..8_u8, prop::option::weighted(0.3, 0..3_u8), -2..=2_i32, any::<bool>())
        .prop_map(|(job, name, key, priority, labelled)| Wish { job, name, key, priority, labelled })
}

fn happened() -> impl Strategy<Value = Happened> {
    let exited = (0..2_i32, any::<bool>(), 0..3_u32);
    let requeued = (maybe_host(), prop::option::of(0..90_i64), any::<bool>(), any::<bool>());
    prop_oneof![
        1 => Just(Happened::Renewed),
        5 => Just(Happened::Launched),
        3 => Just(Happened::Started),
        4 => exited.prop_map(|(code, closed, cents)| Happened::Exited { code, closed, cents }),
        3 => requeued.prop_map(|(host, seconds, refused, closed)| Happened::Requeued { host, seconds, refused, closed }),
        1 => Just(Happened::Lost),
        3 => Just(Happened::Closed),
        1 => Just(Happened::Noted),
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    prop_oneof![Just(Asked::Cancel), Just(Asked::SettleLost), (-2..=2_i32).prop_map(Asked::Reprioritize)]
}

/// Attempt 0 stands for the last one.
fn changes() -> impl Strategy<Value = Vec<(u8, u8, Happened)>> {
    prop::collection::vec((job(), prop_oneof![5 => Just(0_u8), 1 => 1..4_u8], happened()), 0..6)
}

pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![3 => lives(), 1 => asks()]
}

/// What dispatchers do.
fn lives() -> impl Strategy<Value = Operation> {
    let claim = (session(), 0..5_usize, (0..3_u32, 0..3_u32), 0..3_u32);
    prop_oneof![
        2 => Just(Operation::Again),
        4 => prop::collection::vec(wish(), 1..4).prop_map(Operation::Submit),
        1 => session().prop_map(|session| Operation::Open { session }),
        1 => session().prop_map(|session| Operation::Beat { session }),
        1 => (session(), session(), any::<bool>())
            .prop_map(|(session, other, late)| Operation::Fence { session, other, late }),
        1 => (1..3_u8).prop_map(|session| Operation::Close { session }),
        1 => (session(), 0..4_usize, prop::option::of(0..2_u8), prop::option::of(0..400_i64)).prop_map(
            |(session, most, host, before)| Operation::Adopt { session, most, host, before }
        ),
        6 => claim.prop_map(|(session, most, places, dollars)| Operation::Claim { session, most, places, dollars }),
        1 => session().prop_map(|session| Operation::Wake { session }),
        9 => (session(), changes()).prop_map(|(session, changes)| Operation::Record { session, changes }),
    ]
}

/// What people do.
fn asks() -> impl Strategy<Value = Operation> {
    let list = (
        prop::option::of(0..8_u8),
        prop::option::weighted(0.3, 0..2_u8),
        prop::option::weighted(0.3, 0..8_u8),
        prop::option::weighted(0.3, 0..300_i64),
        prop::option::weighted(0.3, job()),
        0..4_usize,
    );
    prop_oneof![
        4 => (job(), asked()).prop_map(|(job, what)| Operation::Intervene { job, what }),
        1 => maybe_host().prop_map(|host| Operation::Pause { host }),
        1 => maybe_host().prop_map(|host| Operation::Resume { host }),
        2 => (job(), session()).prop_map(|(job, session)| Operation::Look { job, session }),
        2 => list.prop_map(|(status, host, name, since, after, limit)| {
            Operation::List { status, host, name, since, after, limit }
        }),
        1 => Just(Operation::Export),
        1 => Just(Operation::Import),
        1 => (prop::option::of(job()), 0..4_usize).prop_map(|(after, most)| Operation::Archive { after, most }),
        2 => prop::collection::vec(job(), 1..4).prop_map(Operation::Purge),
    ]
}
