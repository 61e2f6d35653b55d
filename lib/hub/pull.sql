-- The lines of a site, as they are. of: lifeboat_events, or lifeboat_conflicts; told: the
-- file that gets their number, by the same view of the table; csv: whether COPY may be told
-- its quotes. No line has a control character, so that these change none; in the other form
-- each backslash is doubled. (psql's own output drops what it takes for no character, such
-- as U+10FFFF.) Run by lifeboat-hub pull, in psql.
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT count(*) FROM :of WHERE site_id = :'site' \g :told
\if :csv
COPY (SELECT line FROM :of WHERE site_id = :'site' ORDER BY hlc, event_id)
    TO STDOUT WITH (FORMAT csv, DELIMITER E'\x02', QUOTE E'\x01');
\else
COPY (SELECT line FROM :of WHERE site_id = :'site' ORDER BY hlc, event_id) TO STDOUT;
\endif
COMMIT;
