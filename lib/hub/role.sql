-- Makes a role, which has no password yet, the role of a site; or, where site is empty, of
-- an auditor. Run by lifeboat-hub init --rls, in psql.
SELECT :'site' = '' AS auditor,
    coalesce((SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = :'role'), false) AS above \gset
\if :above
    \echo 'above'
    \quit
\endif
BEGIN;
SELECT format('CREATE ROLE %I LOGIN', :'role')
    WHERE NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = :'role') \gexec
\if :auditor
    SELECT format('GRANT lifeboat_auditor TO %I', :'role') \gexec
\else
    SELECT format('GRANT lifeboat_site TO %I', :'role') \gexec
    DELETE FROM lifeboat_sites WHERE role = :'role';
    INSERT INTO lifeboat_sites (role, site_id) VALUES (:'role', :'site');
\endif
COMMIT;
