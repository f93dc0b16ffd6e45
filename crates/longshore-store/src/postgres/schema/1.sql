-- Jobs: what of them is filtered by or moves on. What is written once is kept apart, because PostgreSQL writes a row anew
-- at each change of it.
CREATE TABLE longshore_job (
    id uuid PRIMARY KEY,
    status smallint NOT NULL,
    open boolean NOT NULL,
    submitted_at bigint NOT NULL,
    finished_at bigint,
    place bigint NOT NULL,
    line uuid,
    until bigint,
    attempts integer NOT NULL,
    exit_code integer,
    cancelled boolean NOT NULL,
    host text,
    executor text,
    rest text NOT NULL
) WITH (fillfactor = 80);

-- The lines of the queue: `line` is null for whoever is in none.
CREATE INDEX longshore_job_line ON longshore_job (line, place, id) WHERE line IS NOT NULL;
CREATE INDEX longshore_job_until ON longshore_job (until) WHERE until IS NOT NULL;
CREATE INDEX longshore_job_open ON longshore_job (id) WHERE open;
CREATE INDEX longshore_job_finished ON longshore_job (finished_at) WHERE finished_at IS NOT NULL;

-- What was asked for.
CREATE TABLE longshore_submission (
    job uuid PRIMARY KEY,
    key text,
    fingerprint bytea NOT NULL,
    template text NOT NULL,
    submitter text,
    labels jsonb,
    body text NOT NULL
);
CREATE UNIQUE INDEX longshore_submission_key ON longshore_submission (key) WHERE key IS NOT NULL;

CREATE TABLE longshore_attempt (
    job uuid NOT NULL,
    number integer NOT NULL,
    state smallint NOT NULL,
    open boolean NOT NULL,
    session uuid,
    host text NOT NULL,
    quiet_at bigint,
    created_at bigint NOT NULL,
    launched_at bigint,
    started_at bigint,
    ended_at bigint,
    closed_at bigint,
    charges text,
    handle text,
    outcome text,
    PRIMARY KEY (job, number)
) WITH (fillfactor = 15);
CREATE INDEX longshore_attempt_open ON longshore_attempt (job, number) WHERE open;

-- What an attempt sends, and why it goes where it goes.
CREATE TABLE longshore_intent (
    job uuid NOT NULL,
    number integer NOT NULL,
    request text NOT NULL,
    decision text NOT NULL,
    PRIMARY KEY (job, number)
);

-- The history, only ever added to.
CREATE TABLE longshore_event (
    job uuid NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    body text NOT NULL,
    PRIMARY KEY (job, seq)
);

CREATE TABLE longshore_session (
    id uuid PRIMARY KEY,
    beats bigint NOT NULL,
    name text NOT NULL
) WITH (fillfactor = 20);

-- Sessions that are over, and whether they ended by themselves: none of them is opened again.
CREATE TABLE longshore_session_over (
    id uuid PRIMARY KEY,
    closed boolean NOT NULL
);

-- `host` is empty for everything.
CREATE TABLE longshore_pause (
    host text PRIMARY KEY,
    body text NOT NULL
);

CREATE TABLE longshore_template (
    name text PRIMARY KEY,
    body text NOT NULL
);

-- What was charged of budgets' periods, kept in the same transactions as the charges of the attempts.
CREATE TABLE longshore_charged (
    budget text NOT NULL,
    period bigint NOT NULL,
    currency text NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (budget, period, currency)
) WITH (fillfactor = 20);

-- Whose the things are that are made at providers: one row, for ever the same.
CREATE TABLE longshore_installation (owner text NOT NULL);
