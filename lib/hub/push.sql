-- One part of a push, on standard input as evstore-export --copy --seal writes it: all of
-- it and the site's new cursor, or nothing. Run by lifeboat-hub push, in psql. site, store,
-- device: who pushes; temporary: whether the rows stay in this transaction; had: the
-- cursor that the hub has by then; origin: the one the part goes on from.
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL lock_timeout = '30s';
\if :temporary
    -- Behind a pooler, a session may have had temporary tables before; its buffers stay.
    SELECT pg_my_temp_schema() = 0 AS fresh \gset
    \if :fresh
        -- A part stays in memory where it can: a third of the time.
        SET LOCAL temp_buffers = '64MB';
    \endif
    CREATE TEMPORARY TABLE lifeboat_staging (
        digest text, event_id text, event_site_id text, entity_type text, entity_id text, entity_version bigint,
        actor_id text, actor_name text, actor_role text, device_id text, ts_device bigint, ts_server bigint,
        hlc text, event_type text, schema_version text, correlation_id text, causation_id text, line text
    ) ON COMMIT DROP;
    -- It comes in while another session merges the part before it.
    \copy lifeboat_staging FROM pstdin
\endif

-- One push of a store at a time: the others wait for this row, and then find it moved.
INSERT INTO lifeboat_cursors (site_id, store_id, cursor) VALUES (:'site', :'store', 'start')
    ON CONFLICT (site_id, store_id) DO NOTHING;
SELECT cursor = :'had' AS unmoved FROM lifeboat_cursors
    WHERE site_id = :'site' AND store_id = :'store' FOR UPDATE \gset
\if :unmoved
\else
    ROLLBACK;
    \echo 'moved'
    \quit
\endif

\if :temporary
\else
    \copy lifeboat_staging FROM pstdin
\endif

-- The row without an event is the seal.
SELECT coalesce(seals = 1 AND events = (seal ->> 'count')::bigint AND seal ->> 'from' = :'origin', false) AS whole,
    events, seal ->> 'to' AS reached
    FROM (SELECT count(event_id) AS events, count(*) - count(event_id) AS seals,
            min(CASE WHEN event_id IS NULL THEN line END)::json -> 'lifeboat_end' AS seal
        FROM lifeboat_staging) AS staged \gset
\if :whole
\else
    ROLLBACK;
    \echo 'cut'
    \quit
\endif
-- The next part may come: its session will wait for this one's cursor.
\if :temporary
    \echo 'locked'
\endif

INSERT INTO lifeboat_events (site_id, event_id, digest, event_site_id, entity_type, entity_id, entity_version,
        actor_id, actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type, schema_version,
        correlation_id, causation_id, line)
    SELECT :'site', event_id, digest, event_site_id, entity_type, entity_id, entity_version,
        actor_id, actor_name, actor_role, device_id, ts_device, ts_server, hlc, event_type, schema_version,
        correlation_id, causation_id, line
    FROM lifeboat_staging WHERE event_id IS NOT NULL
    ON CONFLICT (site_id, event_id) DO NOTHING;
\set new :ROW_COUNT

SELECT :new < :events AS some_known \gset
\if :some_known
    SELECT 'conflict', s.event_id, e.digest, s.digest
        FROM lifeboat_staging s JOIN lifeboat_events e ON e.site_id = :'site' AND e.event_id = s.event_id
        WHERE e.digest <> s.digest ORDER BY s.event_id;
    SELECT :ROW_COUNT > 0 AS some_differ \gset
    \if :some_differ
        INSERT INTO lifeboat_conflicts (site_id, event_id, digest, hlc, line, store_id)
            SELECT :'site', s.event_id, s.digest, s.hlc, s.line, :'store'
            FROM lifeboat_staging s JOIN lifeboat_events e ON e.site_id = :'site' AND e.event_id = s.event_id
            WHERE e.digest <> s.digest
            ON CONFLICT (site_id, event_id, digest) DO NOTHING;
    \endif
\endif

UPDATE lifeboat_cursors
    SET cursor = :'reached', device_id = :'device', sent = sent + :events, pushed_at = now()
    WHERE site_id = :'site' AND store_id = :'store';
\if :temporary
\else
    DELETE FROM lifeboat_staging;
\endif
COMMIT;
\echo done|:events|:new
