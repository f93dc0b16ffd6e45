-- Times are nanoseconds since 1970; ids are UUIDs of 16 bytes. What is deep is JSON; what is looked for or changes is a
-- column. Documents are written once and never rewritten, so that what a newer version wrote into them stays.

CREATE TABLE jobs (
    no INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,
    submitted_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    -- The place in the queue.
    place INTEGER NOT NULL,
    -- The hosts that it waits for in the queue, joined by commas; empty for none. Absent where it is in no line.
    line TEXT,
    wait_until INTEGER,
    reason TEXT,
    finished_at INTEGER,
    attempts INTEGER NOT NULL,
    runs INTEGER NOT NULL,
    refused_by TEXT,
    host TEXT,
    executor_type TEXT,
    exit_code INTEGER,
    cancel TEXT,
    template TEXT NOT NULL,
    user TEXT,
    idempotency_key TEXT
);
CREATE UNIQUE INDEX jobs_by_key ON jobs (idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX jobs_by_status ON jobs (status, id);
CREATE INDEX jobs_in_line ON jobs (line, place, id) WHERE line IS NOT NULL;
CREATE INDEX jobs_by_time ON jobs (wait_until) WHERE wait_until IS NOT NULL;

CREATE TABLE submissions (
    job INTEGER PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    document TEXT NOT NULL
);

CREATE TABLE labels (
    key TEXT NOT NULL,
    value TEXT NOT NULL,
    job INTEGER NOT NULL,
    PRIMARY KEY (key, value, job)
) WITHOUT ROWID;
CREATE INDEX labels_by_job ON labels (job);

CREATE TABLE attempts (
    no INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    number INTEGER NOT NULL,
    host TEXT NOT NULL,
    state TEXT NOT NULL,
    session BLOB,
    quiet_at INTEGER,
    created_at INTEGER NOT NULL,
    launched_at INTEGER,
    started_at INTEGER,
    ended_at INTEGER,
    closed_at INTEGER,
    charges TEXT,
    handle TEXT,
    outcome TEXT,
    UNIQUE (job, number)
);
CREATE INDEX attempts_in_place ON attempts (host) WHERE state IN ('launching', 'launched');
CREATE INDEX attempts_held ON attempts (session) WHERE session IS NOT NULL;
CREATE INDEX attempts_free ON attempts (no) WHERE session IS NULL AND state <> 'closed';

CREATE TABLE launches (
    attempt INTEGER PRIMARY KEY,
    request TEXT NOT NULL,
    decision TEXT NOT NULL
);

CREATE TABLE events (
    no INTEGER PRIMARY KEY,
    job INTEGER NOT NULL,
    at INTEGER NOT NULL,
    attempt INTEGER,
    kind TEXT NOT NULL,
    user TEXT,
    session BLOB,
    detail TEXT
);
CREATE INDEX events_by_job ON events (job);

CREATE TABLE budgets (
    budget TEXT NOT NULL,
    -- When the period began; empty for a budget without periods.
    period TEXT NOT NULL,
    currency TEXT NOT NULL,
    amount TEXT NOT NULL,
    PRIMARY KEY (budget, period, currency)
) WITHOUT ROWID;

CREATE TABLE sessions (
    id BLOB PRIMARY KEY,
    name TEXT NOT NULL,
    beats INTEGER NOT NULL,
    -- The opening of the database that it belongs to; the file of this name is locked while its process lives.
    opening TEXT NOT NULL,
    -- 'closed' or 'fenced' once it is over.
    over TEXT
) WITHOUT ROWID;

CREATE TABLE pauses (
    -- Empty for every host.
    host TEXT PRIMARY KEY,
    request TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE templates (
    name TEXT PRIMARY KEY,
    saved TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE installation (
    no INTEGER PRIMARY KEY CHECK (no = 1),
    owner TEXT NOT NULL
);
