-- What the hub has of each site. Run by lifeboat-hub status, in psql.
SELECT coalesce(json_agg(s ORDER BY site_id), '[]') FROM (
    SELECT sites.site_id, coalesce(e.events, 0) AS events, coalesce(v.conflicts, 0) AS conflicts,
        c.store_id, c.device_id, c.cursor, (extract(epoch FROM c.pushed_at) * 1000)::bigint AS pushed_at
    FROM (SELECT site_id FROM lifeboat_cursors UNION SELECT site_id FROM lifeboat_sites
            UNION SELECT site_id FROM lifeboat_events) AS sites
    LEFT JOIN (SELECT site_id, count(*) AS events FROM lifeboat_events GROUP BY site_id) AS e
        ON e.site_id = sites.site_id
    LEFT JOIN (SELECT site_id, count(*) AS conflicts FROM lifeboat_conflicts GROUP BY site_id) AS v
        ON v.site_id = sites.site_id
    LEFT JOIN lifeboat_cursors AS c ON c.site_id = sites.site_id AND NOT EXISTS (
        SELECT 1 FROM lifeboat_cursors later WHERE later.site_id = c.site_id
            AND (later.pushed_at, later.store_id) > (c.pushed_at, c.store_id))
    WHERE :'site' IN ('', sites.site_id)
) AS s;
