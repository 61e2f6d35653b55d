-- The store of lifeboat, version 3. Table and column names are those of the
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

-- VERSION 2, to INDEXES: what a store of version 1 lacks, and is given.

-- Jobs, and what waits to be sent: a destination is a queue whose items go out in
-- the order of their ids. Times are Unix ms. A row held back (a lease, a time
-- not come, a failure to be tried again) has a wake: ms of the boot it names,
-- or of the wall clock ('wall'). Pending without a wake is ready.
CREATE TABLE job_queue (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    queue_name      TEXT NOT NULL,
    job_type        TEXT,
    priority        INTEGER NOT NULL DEFAULT 5,        -- higher first
    status          TEXT NOT NULL DEFAULT 'pending',   -- running, completed, failed
    wake_boot_id    TEXT,
    wake_ms         INTEGER,
    lease_token     TEXT,
    lease_holder    INTEGER,                           -- byte of FILE-work its worker locks
    lane            TEXT,
    unique_key      TEXT,
    idempotency_key TEXT NOT NULL,
    change          INTEGER NOT NULL,                  -- ascends over all changes of all rows
    scheduled_at    INTEGER NOT NULL,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,                           -- of the last attempt
    completed_at    INTEGER,
    attempts        INTEGER NOT NULL DEFAULT 0,        -- times it was given out
    retry_count     INTEGER NOT NULL DEFAULT 0,
    max_retries     INTEGER NOT NULL DEFAULT 3,
    crash_count     INTEGER NOT NULL DEFAULT 0,
    timeout_seconds INTEGER NOT NULL DEFAULT 300,
    owed            INTEGER NOT NULL DEFAULT 0,        -- sent, on_success still to be run
    error_message   TEXT,
    errors_json     TEXT,                              -- what each failed attempt said
    payload         TEXT NOT NULL,                     -- JSON as it came
    result          TEXT                               -- JSON
);
CREATE INDEX idx_job_ready ON job_queue(queue_name, priority DESC, id)
    WHERE status = 'pending' AND wake_ms IS NULL;
CREATE INDEX idx_job_type ON job_queue(queue_name, job_type, priority DESC, id)
    WHERE status = 'pending' AND wake_ms IS NULL AND job_type IS NOT NULL;
CREATE INDEX idx_job_wake ON job_queue(queue_name, status, wake_boot_id, wake_ms)
    WHERE wake_ms IS NOT NULL;
CREATE INDEX idx_job_holder ON job_queue(queue_name, lease_holder)
    WHERE lease_holder IS NOT NULL;
CREATE UNIQUE INDEX idx_job_unique ON job_queue(queue_name, unique_key)
    WHERE unique_key IS NOT NULL AND status IN ('pending', 'running');
CREATE INDEX idx_job_ended ON job_queue(queue_name, status, completed_at)
    WHERE completed_at IS NOT NULL;
CREATE INDEX idx_job_owed ON job_queue(queue_name, id) WHERE owed = 1;
CREATE INDEX idx_job_key ON job_queue(queue_name, idempotency_key);
CREATE INDEX idx_job_change ON job_queue(change);
-- Of rows with a lane only: the items in their order; the lanes that wait.
CREATE INDEX idx_job_lane ON job_queue(queue_name, id, lane)
    WHERE lane IS NOT NULL AND status = 'pending' AND wake_ms IS NULL;
CREATE INDEX idx_job_lane_wake ON job_queue(queue_name, lane)
    WHERE lane IS NOT NULL AND status = 'pending' AND wake_ms IS NOT NULL;

-- Given up, with all it takes to try them again.
CREATE TABLE job_queue_dead_letter (
    id                  INTEGER PRIMARY KEY AUTOINCREMENT,
    original_job_id     INTEGER NOT NULL UNIQUE,
    queue_name          TEXT NOT NULL,
    job_type            TEXT,
    priority            INTEGER NOT NULL,
    lane                TEXT,
    unique_key          TEXT,
    idempotency_key     TEXT NOT NULL,
    max_retries         INTEGER NOT NULL,
    timeout_seconds     INTEGER NOT NULL,
    error_message       TEXT,
    errors_json         TEXT,
    failure_count       INTEGER NOT NULL,
    failed_at           INTEGER NOT NULL,
    original_created_at INTEGER NOT NULL,
    payload             TEXT NOT NULL
);
CREATE INDEX idx_dead_letter_queue ON job_queue_dead_letter(queue_name, id);
CREATE INDEX idx_dead_letter_key ON job_queue_dead_letter(queue_name, idempotency_key);

-- Of a queue as a whole: paused by whom, and how a destination's endpoint fares.
CREATE TABLE queue_state (
    queue_name        TEXT PRIMARY KEY,
    paused            INTEGER NOT NULL DEFAULT 0,
    reason            TEXT,
    endpoint_failures INTEGER NOT NULL DEFAULT 0,      -- in a row
    wake_boot_id      TEXT,                            -- not tried before, as above
    wake_ms           INTEGER,
    error_message     TEXT,
    last_success_at   INTEGER,
    changed_at        INTEGER NOT NULL
) WITHOUT ROWID;

-- Values with a time to live. Within the boot that stored one its end is told
-- by that boot's clock, later by the wall clock.
CREATE TABLE django_cache (
    namespace       TEXT NOT NULL DEFAULT '',
    cache_key       TEXT NOT NULL,
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    expires_boot_id TEXT NOT NULL,
    expires_boot_ms INTEGER NOT NULL,
    size            INTEGER NOT NULL,                  -- bytes of key and value
    is_json         INTEGER NOT NULL,
    value           BLOB NOT NULL,
    PRIMARY KEY (namespace, cache_key)
);
CREATE INDEX idx_cache_expires ON django_cache(expires_at);
CREATE INDEX idx_cache_created ON django_cache(created_at);
-- What ends first: in this boot, and in any other.
CREATE INDEX idx_cache_end ON django_cache(
    namespace, expires_boot_id, expires_boot_ms, expires_at, size);

-- How much each namespace holds, whoever changes it.
CREATE TABLE cache_namespace (
    namespace TEXT PRIMARY KEY,
    entries   INTEGER NOT NULL,
    size      INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER cache_added AFTER INSERT ON django_cache BEGIN
    INSERT INTO cache_namespace(namespace, entries, size) VALUES(new.namespace, 1, new.size)
        ON CONFLICT(namespace) DO UPDATE SET entries = entries + 1, size = size + new.size;
END;
CREATE TRIGGER cache_resized AFTER UPDATE OF size ON django_cache BEGIN
    UPDATE cache_namespace SET size = size + new.size - old.size WHERE namespace = new.namespace;
END;
CREATE TRIGGER cache_removed AFTER DELETE ON django_cache BEGIN
    UPDATE cache_namespace SET entries = entries - 1, size = size - old.size
        WHERE namespace = old.namespace;
END;

-- Results of commands that were run once for their key. A result's parts are
-- stored before its status says done; parts whose id is not here are of none.
CREATE TABLE idempotency_cache (
    id              INTEGER PRIMARY KEY AUTOINCREMENT, -- never that of another run
    namespace       TEXT NOT NULL DEFAULT '',
    key             TEXT NOT NULL,
    fingerprint     TEXT,
    status          TEXT NOT NULL DEFAULT 'running',   -- done
    exit_status     INTEGER,
    size            INTEGER,                           -- bytes of result
    digest          BLOB,                              -- 16 bytes: of all parts
    created_at      INTEGER NOT NULL,
    expires_at      INTEGER NOT NULL,
    expires_boot_id TEXT NOT NULL,
    expires_boot_ms INTEGER NOT NULL,
    UNIQUE (namespace, key)
);
CREATE INDEX idx_idempotency_expires ON idempotency_cache(expires_at);
CREATE TABLE idempotency_result (
    id     INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    result BLOB NOT NULL,
    PRIMARY KEY (id, part)
);

-- VERSION 3, to INDEXES: what a store of version 2 lacks, and is given.

-- Values of django_cache that were replaced, deleted, or had to go for others: for
-- those who keep copies. The newest 10000; the last one is never deleted, so no
-- number is used again. Of a value that has ended, everyone knew when it would.
CREATE TABLE cache_change (
    change     INTEGER PRIMARY KEY,
    namespace  TEXT,                                   -- NULL: all of them were cleared
    cache_key  TEXT,                                   -- NULL: all of the namespace
    changed_at INTEGER NOT NULL
);

-- INDEXES: a store filled from nothing makes these last.
CREATE INDEX IF NOT EXISTS idx_events_entity ON events(entity_type, entity_id, hlc);
CREATE INDEX idx_events_type ON events(event_type);
CREATE INDEX idx_events_ts ON events(ts_device);
CREATE INDEX idx_events_hlc ON events(hlc, event_id);
