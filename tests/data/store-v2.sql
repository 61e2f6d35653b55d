PRAGMA application_id = 1281975874; PRAGMA user_version = 2; PRAGMA journal_mode = WAL;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES('device_id','box-4f77bf2d');
INSERT INTO meta VALUES('hlc','019ba5031186.0000');
INSERT INTO meta VALUES('projected','0');
INSERT INTO meta VALUES('store_id','4f77bf2dd2fe3365');
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
INSERT INTO events VALUES(1,'evt_0000001',X'fe9355357c0cb990a3dcd05d29077e64','main','case','E-0',NULL,'nurse-2',NULL,NULL,'ipad-0',1768000000010,1795340151418,'019ba503100a.0000','DRUG_GIVEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":1,"text":"données","hr":74.50}',NULL);
INSERT INTO events VALUES(2,'evt_0000002',X'70090e7ceba41df29826b3eef781cc05','main','chart','E-2',NULL,'nurse-3',NULL,NULL,'ipad-1',1768000000020,1795340151418,'019ba5031014.0000','NOTE_WRITTEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":2,"text":"Ωμέγα","hr":83.50}',NULL);
INSERT INTO events VALUES(3,'evt_0000003',X'5efbae15d3b4d565a1ae0e4be5507bbe','main','case','E-4',NULL,'nurse-1',NULL,NULL,'ipad-2',1768000000030,1795340151418,'019ba503101e.0000','VITALS_ADDED','1.0','c-0','evt_0000002',0,0,'2026-11-22 09:35:51','{"n":3,"text":"手術","hr":69.50}',NULL);
INSERT INTO events VALUES(4,'evt_0000004',X'dd60618fec377f30cf6185bc40289b54','main','chart','E-2',NULL,'nurse-3',NULL,NULL,'ipad-2',1768000000040,1795340151418,'019ba5031028.0000','NOTE_WRITTEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":4,"text":"Ωμέγα","hr":83.50}',NULL);
INSERT INTO events VALUES(5,'evt_0000005',X'13769f2dc7e04b6ad10f1c272e9fec8c','main','case','E-6',NULL,'nurse-2',NULL,NULL,'ipad-2',1767999997224,1795340151418,'019ba5030528.0000','DRUG_GIVEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":5,"text":"données","hr":86.50}',NULL);
INSERT INTO events VALUES(6,'evt_0000006',X'32b7aeeab269bc2b8969d195d32e671b','main','chart','E-5',NULL,'nurse-1',NULL,NULL,'ipad-0',1768000000060,1795340151418,'019ba503103c.0000','VITALS_ADDED','1.0','c-0','evt_0000005',0,0,'2026-11-22 09:35:51','{"n":6,"text":"手術","hr":61.50}',NULL);
INSERT INTO events VALUES(7,'evt_0000007',X'51c1a68fc9a68ede9bc1d728dbc1634b','main','case','E-6',NULL,'nurse-1',NULL,NULL,'ipad-2',1768000000070,1795340151418,'019ba5031046.0000','VITALS_ADDED','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":7,"text":"手術","hr":61.50}',NULL);
INSERT INTO events VALUES(8,'evt_0000008',X'c2a08ce7ff8dd0bf8d8de95895dc5eaa','main','chart','E-0',NULL,'nurse-0',NULL,NULL,'ipad-2',1768000000080,1795340151418,'019ba5031050.0000','INTRAOP','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":8,"text":"plain","hr":60.50}',NULL);
CREATE TABLE conflicts (
    conflict_id        INTEGER PRIMARY KEY,
    event_id           TEXT NOT NULL,
    digest             BLOB NOT NULL,
    event_json         TEXT NOT NULL,         -- the canonical line of the variant
    restore_session_id TEXT,
    received_at        INTEGER NOT NULL,      -- Unix ms
    UNIQUE (event_id, digest)
);
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
CREATE TABLE sources (
    name       TEXT PRIMARY KEY,
    cursor     TEXT NOT NULL,
    events     INTEGER NOT NULL DEFAULT 0,
    updated_at INTEGER NOT NULL               -- Unix ms
) WITHOUT ROWID;
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
INSERT INTO job_queue VALUES(1,'email_queue',NULL,5,'completed',NULL,NULL,NULL,NULL,NULL,NULL,'01a2035b-57c9-713e-84f1-5da79021681b',5,1795352647625,1795352647625,1795352647629,1795352647649,1,0,3,0,300,0,NULL,NULL,'{"n":1}','"sent"');
INSERT INTO job_queue VALUES(2,'email_queue',NULL,5,'pending',NULL,NULL,NULL,NULL,NULL,NULL,'01a2035b-57c9-713e-84f1-5da890a184a7',2,1795352647625,1795352647625,NULL,NULL,0,0,3,0,300,0,NULL,NULL,'{"n":2}',NULL);
INSERT INTO job_queue VALUES(3,'email_queue',NULL,5,'pending',NULL,NULL,NULL,NULL,NULL,NULL,'01a2035b-57c9-713e-84f1-5da9f5822586',3,1795352647625,1795352647625,NULL,NULL,0,0,3,0,300,0,NULL,NULL,'{"n":3}',NULL);
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
INSERT INTO django_cache VALUES('static','room',1795352647653,7258118400000,'4f77bf2d-0000-4000-8000-000000000000',315407012072,11,1,X'7b226e223a317d');
INSERT INTO django_cache VALUES('','text',1795352647656,7258118400000,'4f77bf2d-0000-4000-8000-000000000000',315407012075,11,0,X'612076616c7565');
CREATE TABLE cache_namespace (
    namespace TEXT PRIMARY KEY,
    entries   INTEGER NOT NULL,
    size      INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO cache_namespace VALUES('',1,11);
INSERT INTO cache_namespace VALUES('static',1,11);
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
INSERT INTO idempotency_cache VALUES(1,'','once',NULL,'done',0,5,X'c64f9a69ccf04fcef4a3be55820f32bb',1795352647660,7258118400000,'4f77bf2d-0000-4000-8000-000000000000',315407012081);
CREATE TABLE idempotency_result (
    id     INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    result BLOB NOT NULL,
    PRIMARY KEY (id, part)
);
INSERT INTO idempotency_result VALUES(1,0,X'646f6e650a');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('job_queue',3);
INSERT INTO sqlite_sequence VALUES('idempotency_cache',1);
CREATE INDEX idx_restore_log_status ON restore_log(status);
CREATE INDEX idx_events_synced ON events(synced);
CREATE INDEX idx_events_correlation ON events(correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX idx_events_causation ON events(causation_id) WHERE causation_id IS NOT NULL;
CREATE INDEX idx_events_large ON events(seq) WHERE length(CAST(payload_json AS BLOB)) > 1048576;
CREATE INDEX idx_events_entity ON events(entity_type, entity_id, hlc);
CREATE INDEX idx_events_type ON events(event_type);
CREATE INDEX idx_events_ts ON events(ts_device);
CREATE INDEX idx_events_hlc ON events(hlc, event_id);
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
CREATE INDEX idx_job_lane ON job_queue(queue_name, id, lane)
    WHERE lane IS NOT NULL AND status = 'pending' AND wake_ms IS NULL;
CREATE INDEX idx_job_lane_wake ON job_queue(queue_name, lane)
    WHERE lane IS NOT NULL AND status = 'pending' AND wake_ms IS NOT NULL;
CREATE INDEX idx_dead_letter_queue ON job_queue_dead_letter(queue_name, id);
CREATE INDEX idx_dead_letter_key ON job_queue_dead_letter(queue_name, idempotency_key);
CREATE INDEX idx_cache_expires ON django_cache(expires_at);
CREATE INDEX idx_cache_created ON django_cache(created_at);
CREATE INDEX idx_cache_end ON django_cache(
    namespace, expires_boot_id, expires_boot_ms, expires_at, size);
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
CREATE INDEX idx_idempotency_expires ON idempotency_cache(expires_at);
COMMIT;
