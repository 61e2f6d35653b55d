-- The store of lifeboat, version 1. Table and column names are those of the
-- documents it was asked for in; lifeboat-store(5) explains each.

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- The log. seq is the order of commits on this store; rows are never deleted,
-- so it is never reused. event_id and digest stand in front: the proof reads
-- only these, and never the pages a long payload spills into.
CREATE TABLE events (
    seq            INTEGER PRIMARY KEY,
    event_id       TEXT NOT NULL UNIQUE,
    digest         BLOB NOT NULL,             -- 16 bytes: the values of all members
    site_id        TEXT NOT NULL DEFAULT 'main',
    entity_type    TEXT NOT NULL,
    entity_id      TEXT NOT NULL,
    entity_version INTEGER,
    actor_id       TEXT NOT NULL,
    actor_name     TEXT,
    actor_role     TEXT,
    device_id      TEXT,
    ts_device      INTEGER NOT NULL,          -- Unix ms, the device's clock
    ts_server      INTEGER,                   -- Unix ms, first seen by a server
    hlc            TEXT NOT NULL,
    event_type     TEXT NOT NULL,
    schema_version TEXT DEFAULT '1.0',
    correlation_id TEXT,
    causation_id   TEXT,
    synced         INTEGER NOT NULL DEFAULT 0,
    acknowledged   INTEGER NOT NULL DEFAULT 0,
    created_at     TEXT DEFAULT CURRENT_TIMESTAMP,
    payload_json   TEXT NOT NULL,
    extra_json     TEXT                       -- members we do not know, sorted
);

-- Events that came under an id already taken by other content: kept whole.
CREATE TABLE conflicts (
    conflict_id        INTEGER PRIMARY KEY,
    event_id           TEXT NOT NULL,
    digest             BLOB NOT NULL,
    event_json         TEXT NOT NULL,         -- the canonical line of the variant
    restore_session_id TEXT,
    received_at        INTEGER NOT NULL,      -- Unix ms
    UNIQUE (event_id, digest)
);

-- Who refilled this store, when, with what. One row for each attempt.
CREATE TABLE restore_log (
    restore_session_id     TEXT NOT NULL,
    attempt                INTEGER NOT NULL DEFAULT 1,
    kind                   TEXT NOT NULL DEFAULT 'restore', -- or 'follow'
    source_device_id       TEXT NOT NULL,
    source_device_name     TEXT,
    events_received        INTEGER NOT NULL DEFAULT 0,
    events_inserted        INTEGER NOT NULL DEFAULT 0,
    events_already_present INTEGER NOT NULL DEFAULT 0,
    events_rejected        INTEGER NOT NULL DEFAULT 0,
    conflicts              INTEGER NOT NULL DEFAULT 0, -- among the rejected
    ahead_of_clock         INTEGER NOT NULL DEFAULT 0,
    parts                  INTEGER NOT NULL DEFAULT 0,
    more                   INTEGER NOT NULL DEFAULT 0, -- the next part is awaited
    seen_boot_id           TEXT NOT NULL DEFAULT '',   -- last sign of life: boot,
    seen_boot_ms           INTEGER NOT NULL DEFAULT 0, -- and ms since it
    started_at             DATETIME DEFAULT CURRENT_TIMESTAMP,
    completed_at           DATETIME,
    status                 TEXT NOT NULL DEFAULT 'IN_PROGRESS',
    message                TEXT,
    PRIMARY KEY (restore_session_id, attempt)
);
CREATE INDEX idx_restore_log_status ON restore_log(status);

-- How far each followed source has been received, in its own cursor.
CREATE TABLE sources (
    name       TEXT PRIMARY KEY,
    cursor     TEXT NOT NULL,
    events     INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL               -- Unix ms
) WITHOUT ROWID;

-- Current state, folded from the events. covered_seq is the newest event of
-- the log this row takes account of, wherever the type's watermark stands.
CREATE TABLE projections (
    entity_type    TEXT NOT NULL,
    entity_id      TEXT NOT NULL,
    state_json     TEXT NOT NULL,
    version        INTEGER NOT NULL,          -- events folded
    deleted        INTEGER NOT NULL,          -- 0 live, 1 in the trash, 2 purged
    first_event_id TEXT NOT NULL,
    last_event_id  TEXT NOT NULL,
    hlc            TEXT NOT NULL,             -- of the last event
    covered_seq    INTEGER NOT NULL,
    PRIMARY KEY (entity_type, entity_id)
);

CREATE TABLE projectors (
    entity_type TEXT PRIMARY KEY,
    watermark   INTEGER NOT NULL DEFAULT 0,   -- events.seq folded so far
    program     TEXT NOT NULL DEFAULT '',     -- digest of the reducer, '' for the default fold
    status      TEXT NOT NULL DEFAULT 'ok',   -- ok, rebuilding, failed
    failed_seq  INTEGER,                      -- the log's end when it failed
    failed_program TEXT,
    message     TEXT
) WITHOUT ROWID;

-- These cost least while a store is filled: few rows are in the others, and the
-- first grows at its end only.
CREATE INDEX idx_events_synced ON events(synced);
CREATE INDEX idx_events_correlation ON events(correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX idx_events_causation ON events(causation_id) WHERE causation_id IS NOT NULL;
-- Nearly always empty: says without reading a payload that it is a long one.
CREATE INDEX idx_events_large ON events(seq) WHERE length(CAST(payload_json AS BLOB)) > 1048576;

-- INDEXES: a store filled from nothing makes these last.
CREATE INDEX IF NOT EXISTS idx_events_entity ON events(entity_type, entity_id, hlc);
CREATE INDEX idx_events_type ON events(event_type);
CREATE INDEX idx_events_ts ON events(ts_device);
CREATE INDEX idx_events_hlc ON events(hlc, event_id);
