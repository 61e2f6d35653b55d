-- The hub's tables, made where they are missing; lifeboat-hub(1) explains them. What
-- differs between clusters differs here. Run by lifeboat-hub init, in psql.
\set cockroach false
\set yugabyte false
\set citus false
SELECT version() LIKE '%CockroachDB%' AS cockroach, version() LIKE '%-YB-%' AS yugabyte,
    EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'citus') AS citus,
    current_setting('server_encoding') = 'UTF8' AS utf8 \gset
\if :utf8
\else
    \echo 'encoding'
    \quit
\endif

-- Clocks and ids go by their bytes.
\set bytes 'COLLATE "C"'
\set staging temp
\if :cockroach
    -- Its texts do so by themselves.
    \set bytes ''
\endif
SELECT CASE WHEN :'cockroach' THEN 'cockroachdb' WHEN :'yugabyte' THEN 'yugabytedb' ELSE 'postgresql' END
    AS dialect \gset

SET client_min_messages = warning;
BEGIN;

CREATE TABLE IF NOT EXISTS lifeboat_hub (
    version integer NOT NULL,
    dialect text NOT NULL
);
INSERT INTO lifeboat_hub (version, dialect)
    SELECT 1, :'dialect' WHERE NOT EXISTS (SELECT 1 FROM lifeboat_hub);

-- The line is the event. The columns are an extract of it, for queries: jsonb would spell
-- its numbers anew, and takes neither \u0000 nor a surrogate on its own.
CREATE TABLE IF NOT EXISTS lifeboat_events (
    site_id        text :bytes NOT NULL,  -- of the box that pushed it
    event_id       text :bytes NOT NULL,
    digest         text :bytes NOT NULL,  -- of its values, however they are spelt
    event_site_id  text,                  -- its own member site_id
    entity_type    text :bytes NOT NULL,
    entity_id      text :bytes NOT NULL,
    entity_version bigint,
    actor_id       text NOT NULL,
    actor_name     text,
    actor_role     text,
    device_id      text,
    ts_device      bigint NOT NULL,       -- Unix ms
    ts_server      bigint,                -- Unix ms
    hlc            text :bytes NOT NULL,
    event_type     text NOT NULL,
    schema_version text,
    correlation_id text,
    causation_id   text,
    line           text NOT NULL,         -- as evstore-export --full prints it
    pushed_at      timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, event_id)
);

-- What came under an id that was taken by other content.
CREATE TABLE IF NOT EXISTS lifeboat_conflicts (
    site_id   text :bytes NOT NULL,
    event_id  text :bytes NOT NULL,
    digest    text :bytes NOT NULL,
    hlc       text :bytes NOT NULL,
    line      text NOT NULL,
    store_id  text NOT NULL,              -- of the store that has it
    pushed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, event_id, digest)
);

-- How far each store has been pushed; written in the transaction of its events, so that
-- whoever loses the one has lost the other.
CREATE TABLE IF NOT EXISTS lifeboat_cursors (
    site_id   text :bytes NOT NULL,
    store_id  text :bytes NOT NULL,
    device_id text,
    cursor    text NOT NULL,
    sent      bigint NOT NULL DEFAULT 0,  -- events, those that were known already too
    pushed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (site_id, store_id)
);

-- Under init --rls: which site a role is of.
CREATE TABLE IF NOT EXISTS lifeboat_sites (
    role    text :bytes NOT NULL PRIMARY KEY,
    site_id text :bytes NOT NULL
);

-- Where a push has its rows first, on those that have no temporary table which goes with
-- its transaction. Nobody sees another's: they are gone before it ends.
SELECT dialect <> 'postgresql' AS permanent FROM lifeboat_hub \gset
\if :permanent
CREATE TABLE IF NOT EXISTS lifeboat_staging (
    digest text, event_id text, event_site_id text, entity_type text, entity_id text,
    entity_version bigint, actor_id text, actor_name text, actor_role text, device_id text, ts_device bigint,
    ts_server bigint, hlc text, event_type text, schema_version text, correlation_id text, causation_id text,
    line text
);
\endif
COMMIT;

\if :citus
SELECT create_distributed_table(t, 'site_id')
    FROM (VALUES ('lifeboat_events'), ('lifeboat_conflicts'), ('lifeboat_cursors')) AS tables (t)
    WHERE t::regclass NOT IN (SELECT logicalrelid FROM pg_dist_partition);
\endif

CREATE INDEX IF NOT EXISTS lifeboat_events_hlc ON lifeboat_events (site_id, hlc, event_id);
CREATE INDEX IF NOT EXISTS lifeboat_events_entity ON lifeboat_events (site_id, entity_type, entity_id, hlc);

SELECT version FROM lifeboat_hub \gset
\echo 'version' :version
