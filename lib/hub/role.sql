-- Makes a role, which has no password yet, the role of a site; or, where site is empty, of
-- an auditor: never both. Run by lifeboat-hub init --rls, in psql.
--
-- Above row-level security is also who owns the tables, and who can become such a one.
SELECT :'site' = '' AS auditor,
    EXISTS (SELECT 1 FROM pg_roles me JOIN pg_roles other ON pg_has_role(me.oid, other.oid, 'MEMBER')
        WHERE me.rolname = :'role' AND (other.rolsuper OR other.rolbypassrls
            OR other.oid = (SELECT relowner FROM pg_class WHERE oid = 'lifeboat_events'::regclass))) AS above \gset
\if :above
    \echo 'above'
    \quit
\endif
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT format('CREATE ROLE %I LOGIN', :'role')
    WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = :'role') \gexec
\if :auditor
    SELECT format('REVOKE lifeboat_site FROM %I', :'role') WHERE pg_has_role(:'role', 'lifeboat_site', 'MEMBER') \gexec
    DELETE FROM lifeboat_sites WHERE role = :'role';
    SELECT format('GRANT lifeboat_auditor TO %I', :'role') \gexec
\else
    SELECT format('REVOKE lifeboat_auditor FROM %I', :'role') WHERE pg_has_role(:'role', 'lifeboat_auditor', 'MEMBER') \gexec
    SELECT format('GRANT lifeboat_site TO %I', :'role') \gexec
    DELETE FROM lifeboat_sites WHERE role = :'role';
    INSERT INTO lifeboat_sites (role, site_id) VALUES (:'role', :'site');
\endif
COMMIT;
