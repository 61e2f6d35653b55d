-- A site's role sees and adds the rows of its own site and nothing else; auditors read all
-- of them. Nobody of these changes or removes an event. The owner of the tables, and a
-- superuser, are above it. Run by lifeboat-hub init --rls, in psql.
BEGIN;
SET LOCAL client_min_messages = warning;

SELECT 'CREATE ROLE ' || name || ' NOLOGIN'
    FROM (VALUES ('lifeboat_site'), ('lifeboat_auditor')) AS groups (name)
    WHERE name NOT IN (SELECT rolname FROM pg_roles) \gexec

REVOKE ALL ON lifeboat_hub, lifeboat_sites, lifeboat_events, lifeboat_conflicts, lifeboat_cursors FROM PUBLIC;
GRANT SELECT ON lifeboat_hub, lifeboat_sites, lifeboat_events, lifeboat_conflicts, lifeboat_cursors
    TO lifeboat_site, lifeboat_auditor;
GRANT INSERT ON lifeboat_events, lifeboat_conflicts, lifeboat_cursors TO lifeboat_site;
GRANT UPDATE ON lifeboat_cursors TO lifeboat_site;
SELECT 'GRANT SELECT, INSERT, DELETE ON lifeboat_staging TO lifeboat_site'
    FROM lifeboat_hub WHERE dialect <> 'postgresql' \gexec
SELECT format('GRANT TEMPORARY ON DATABASE %I TO lifeboat_site', current_database()) \gexec

ALTER TABLE lifeboat_sites     ENABLE ROW LEVEL SECURITY;
ALTER TABLE lifeboat_events    ENABLE ROW LEVEL SECURITY;
ALTER TABLE lifeboat_conflicts ENABLE ROW LEVEL SECURITY;
ALTER TABLE lifeboat_cursors   ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS lifeboat_own ON lifeboat_sites;
DROP POLICY IF EXISTS lifeboat_own ON lifeboat_events;
DROP POLICY IF EXISTS lifeboat_own ON lifeboat_conflicts;
DROP POLICY IF EXISTS lifeboat_own ON lifeboat_cursors;
CREATE POLICY lifeboat_own ON lifeboat_sites TO lifeboat_site USING (role = current_user);
-- lifeboat_sites shows a role no line but its own.
CREATE POLICY lifeboat_own ON lifeboat_events TO lifeboat_site
    USING (site_id IN (SELECT s.site_id FROM lifeboat_sites s WHERE s.role = current_user));
CREATE POLICY lifeboat_own ON lifeboat_conflicts TO lifeboat_site
    USING (site_id IN (SELECT s.site_id FROM lifeboat_sites s WHERE s.role = current_user));
CREATE POLICY lifeboat_own ON lifeboat_cursors TO lifeboat_site
    USING (site_id IN (SELECT s.site_id FROM lifeboat_sites s WHERE s.role = current_user));

DROP POLICY IF EXISTS lifeboat_all ON lifeboat_sites;
DROP POLICY IF EXISTS lifeboat_all ON lifeboat_events;
DROP POLICY IF EXISTS lifeboat_all ON lifeboat_conflicts;
DROP POLICY IF EXISTS lifeboat_all ON lifeboat_cursors;
CREATE POLICY lifeboat_all ON lifeboat_sites     FOR SELECT TO lifeboat_auditor USING (true);
CREATE POLICY lifeboat_all ON lifeboat_events    FOR SELECT TO lifeboat_auditor USING (true);
CREATE POLICY lifeboat_all ON lifeboat_conflicts FOR SELECT TO lifeboat_auditor USING (true);
CREATE POLICY lifeboat_all ON lifeboat_cursors   FOR SELECT TO lifeboat_auditor USING (true);
COMMIT;
