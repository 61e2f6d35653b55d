-- What hub this is, how far the store of a site has been pushed, which store of it was the last one, and
-- whether there is anything of it. Run by lifeboat-hub, in psql.
SELECT 'hub', version, dialect FROM lifeboat_hub;
SELECT 'cursor', store_id, cursor FROM lifeboat_cursors
    WHERE site_id = :'site' ORDER BY pushed_at DESC, store_id;
SELECT 'events' WHERE EXISTS (SELECT 1 FROM lifeboat_events WHERE site_id = :'site');
