PRAGMA application_id = 1281975874; PRAGMA user_version = 1; PRAGMA journal_mode = WAL;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO meta VALUES('device_id','box-4f77bf2d');
INSERT INTO meta VALUES('hlc','019ba5031186.0000');
INSERT INTO meta VALUES('projected','40');
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
INSERT INTO events VALUES(9,'evt_0000009',X'0173559be12e087970273eaf7e8bb307','main','case','E-0',NULL,'nurse-2',NULL,NULL,'ipad-2',1768000000090,1795340151418,'019ba503105a.0000','DRUG_GIVEN','1.0','c-1','evt_0000008',0,0,'2026-11-22 09:35:51','{"n":9,"text":"données","hr":70.50}',NULL);
INSERT INTO events VALUES(10,'evt_0000010',X'ac9eacc437b7d468e2cc5e0aa74d7ab5','main','chart','E-3',NULL,'nurse-1',NULL,NULL,'ipad-0',1767999998555,1795340151418,'019ba5030a5b.0000','VITALS_ADDED','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":10,"text":"手術","hr":85.50}',NULL);
INSERT INTO events VALUES(11,'evt_0000011',X'76fed7d5e4a6b6cba17ab76268ba9303','main','case','E-5',NULL,'nurse-0',NULL,NULL,'ipad-2',1768000000110,1795340151418,'019ba503106e.0000','INTRAOP','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":11,"text":"plain","hr":68.50}',NULL);
INSERT INTO events VALUES(12,'evt_0000012',X'2b81d45fb33dc9c34b442edbe53180a2','main','chart','E-0',NULL,'nurse-3',NULL,NULL,'ipad-0',1768000000120,1795340151418,'019ba5031078.0000','NOTE_WRITTEN','1.0','c-1','evt_0000011',0,0,'2026-11-22 09:35:51','{"n":12,"text":"Ωμέγα","hr":83.50}',NULL);
INSERT INTO events VALUES(13,'evt_0000013',X'b82942fc0481f9b1c98063ff6efcbbc0','main','case','E-1',NULL,'nurse-2',NULL,NULL,'ipad-2',1768000000130,1795340151418,'019ba5031082.0000','DRUG_GIVEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":13,"text":"données","hr":86.50}',NULL);
INSERT INTO events VALUES(14,'evt_0000014',X'16db2a773362d529ecd5d489336977db','main','chart','E-6',NULL,'nurse-1',NULL,NULL,'ipad-2',1768000000140,1795340151418,'019ba503108c.0000','VITALS_ADDED','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":14,"text":"手術","hr":97.50}',NULL);
INSERT INTO events VALUES(15,'evt_0000015',X'1c1b4d2980ecc35559fd085be59f0712','main','case','E-5',NULL,'nurse-0',NULL,NULL,'ipad-1',1767999999990,1795340151418,'019ba5030ff6.0000','INTRAOP','1.0','c-1','evt_0000014',0,0,'2026-11-22 09:35:51','{"n":15,"text":"plain","hr":60.50}',NULL);
INSERT INTO events VALUES(16,'evt_0000016',X'b9ae21cd6dc776912a1471718220821b','main','chart','E-6',NULL,'nurse-0',NULL,NULL,'ipad-2',1768000000160,1795340151418,'019ba50310a0.0000','INTRAOP','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":16,"text":"plain","hr":72.50}',NULL);
INSERT INTO events VALUES(17,'evt_0000017',X'8fec374ee234ec06f403e14bb6b4cc7d','main','case','E-0',NULL,'nurse-2',NULL,NULL,'ipad-2',1768000000170,1795340151418,'019ba50310aa.0000','DRUG_GIVEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":17,"text":"données","hr":78.50}',NULL);
INSERT INTO events VALUES(18,'evt_0000018',X'fd8a716f199a9388ee09dc002032f3bd','main','chart','E-0',NULL,'nurse-2',NULL,NULL,'ipad-0',1768000000180,1795340151418,'019ba50310b4.0000','DRUG_GIVEN','1.0','c-2','evt_0000017',0,0,'2026-11-22 09:35:51','{"n":18,"text":"données","hr":78.50}',NULL);
INSERT INTO events VALUES(19,'evt_0000019',X'2798018ec0ecfd92aeee6a6a9f917604','main','case','E-5',NULL,'nurse-0',NULL,NULL,'ipad-2',1768000000190,1795340151418,'019ba50310be.0000','INTRAOP','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":19,"text":"plain","hr":68.50}',NULL);
INSERT INTO events VALUES(20,'evt_0000020',X'cd7ae6c9f5e50ce8b192e302e02805d6','main','chart','E-5',NULL,'nurse-2',NULL,NULL,'ipad-1',1767999997790,1795340151418,'019ba503075e.0000','DRUG_GIVEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":20,"text":"données","hr":70.50}',NULL);
INSERT INTO events VALUES(21,'evt_0000021',X'dbe5c6fa746f49361e6a409226d9d2c7','main','case','E-4',NULL,'nurse-3',NULL,NULL,'ipad-1',1768000000210,1795340151418,'019ba50310d2.0000','NOTE_WRITTEN','1.0','c-2','evt_0000020',0,0,'2026-11-22 09:35:51','{"n":21,"text":"Ωμέγα","hr":67.50}',NULL);
INSERT INTO events VALUES(22,'evt_0000022',X'fb9e012597b83652bb8d13ac9b68421e','main','chart','E-0',NULL,'nurse-2',NULL,NULL,'ipad-2',1768000000220,1795340151418,'019ba50310dc.0000','DRUG_GIVEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":22,"text":"données","hr":82.50}',NULL);
INSERT INTO events VALUES(23,'evt_0000023',X'18a36429617a411bf1bd34b7f705574f','main','case','E-4',NULL,'nurse-2',NULL,NULL,'ipad-0',1768000000230,1795340151418,'019ba50310e6.0000','DRUG_GIVEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":23,"text":"données","hr":70.50}',NULL);
INSERT INTO events VALUES(24,'evt_0000024',X'235876e3426fe970bb743d96810e7646','main','chart','E-3',NULL,'nurse-1',NULL,NULL,'ipad-0',1768000000240,1795340151418,'019ba50310f0.0000','VITALS_ADDED','1.0','c-2','evt_0000023',0,0,'2026-11-22 09:35:51','{"n":24,"text":"手術","hr":61.50}',NULL);
INSERT INTO events VALUES(25,'evt_0000025',X'39b92e00a10b8b92201cc11ccf94c1ab','main','case','E-0',NULL,'nurse-3',NULL,NULL,'ipad-1',1767999998375,1795340151418,'019ba50309a7.0000','NOTE_WRITTEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":25,"text":"Ωμέγα","hr":95.50}',NULL);
INSERT INTO events VALUES(26,'evt_0000026',X'f384cde3ff0dcfc0632b7947b4c70a61','main','chart','E-6',NULL,'nurse-0',NULL,NULL,'ipad-2',1768000000260,1795340151418,'019ba5031104.0000','INTRAOP','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":26,"text":"plain","hr":92.50}',NULL);
INSERT INTO events VALUES(27,'evt_0000027',X'6dfac224d53e05614da1138b8cef1b8e','main','case','E-4',NULL,'nurse-1',NULL,NULL,'ipad-0',1768000000270,1795340151418,'019ba503110e.0000','VITALS_ADDED','1.0','c-3','evt_0000026',0,0,'2026-11-22 09:35:51','{"n":27,"text":"手術","hr":77.50}',NULL);
INSERT INTO events VALUES(28,'evt_0000028',X'ef9fa13313eb517d1a1e1d13b4cd3fd2','main','chart','E-1',NULL,'nurse-3',NULL,NULL,'ipad-0',1768000000280,1795340151418,'019ba5031118.0000','NOTE_WRITTEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":28,"text":"Ωμέγα","hr":67.50}',NULL);
INSERT INTO events VALUES(29,'evt_0000029',X'ec885c4d79ef884c6a744dd2564aac74','main','case','E-4',NULL,'nurse-1',NULL,NULL,'ipad-1',1768000000290,1795340151418,'019ba5031122.0000','VITALS_ADDED','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":29,"text":"手術","hr":93.50}',NULL);
INSERT INTO events VALUES(30,'evt_0000030',X'939bee6366f7bac677e711d9b5d6e3bc','main','chart','E-6',NULL,'nurse-3',NULL,NULL,'ipad-1',1767999997993,1795340151418,'019ba5030829.0000','NOTE_WRITTEN','1.0','c-3','evt_0000029',0,0,'2026-11-22 09:35:51','{"n":30,"text":"Ωμέγα","hr":87.50}',NULL);
INSERT INTO events VALUES(31,'evt_0000031',X'665c79f450af25b3ec8c60aa3b5012d2','main','case','E-4',NULL,'nurse-0',NULL,NULL,'ipad-1',1768000000310,1795340151418,'019ba5031136.0000','INTRAOP','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":31,"text":"plain","hr":68.50}',NULL);
INSERT INTO events VALUES(32,'evt_0000032',X'e7239bc8ae08a716e31875380ccec1aa','main','chart','E-3',NULL,'nurse-0',NULL,NULL,'ipad-1',1768000000320,1795340151418,'019ba5031140.0000','INTRAOP','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":32,"text":"plain","hr":88.50}',NULL);
INSERT INTO events VALUES(33,'evt_0000033',X'5d285cb28f163143af27dd2a24a8a3cf','main','case','E-3',NULL,'nurse-3',NULL,NULL,'ipad-1',1768000000330,1795340151418,'019ba503114a.0000','NOTE_WRITTEN','1.0','c-3','evt_0000032',0,0,'2026-11-22 09:35:51','{"n":33,"text":"Ωμέγα","hr":87.50}',NULL);
INSERT INTO events VALUES(34,'evt_0000034',X'9a9c246b063eabc35212ac3fc4c2de83','main','chart','E-6',NULL,'nurse-3',NULL,NULL,'ipad-2',1768000000340,1795340151418,'019ba5031154.0000','NOTE_WRITTEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":34,"text":"Ωμέγα","hr":67.50}',NULL);
INSERT INTO events VALUES(35,'evt_0000035',X'1e022f03e214df9577ca118066320986','main','case','E-5',NULL,'nurse-2',NULL,NULL,'ipad-0',1767999997740,1795340151418,'019ba503072c.0000','DRUG_GIVEN','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":35,"text":"données","hr":70.50}',NULL);
INSERT INTO events VALUES(36,'evt_0000036',X'1da2eb7234c6aff27567128f0ddd57a9','main','chart','E-1',NULL,'nurse-3',NULL,NULL,'ipad-2',1768000000360,1795340151418,'019ba5031168.0000','NOTE_WRITTEN','1.0','c-4','evt_0000035',0,0,'2026-11-22 09:35:51','{"n":36,"text":"Ωμέγα","hr":75.50}',NULL);
INSERT INTO events VALUES(37,'evt_0000037',X'7c92fc9f86e5286fbab6cd77908a0117','main','case','E-2',NULL,'nurse-0',NULL,NULL,'ipad-1',1768000000370,1795340151418,'019ba5031172.0000','INTRAOP','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":37,"text":"plain","hr":76.50}',NULL);
INSERT INTO events VALUES(38,'evt_0000038',X'd0087941016d77ac513d251daa77f405','main','chart','E-4',NULL,'nurse-1',NULL,NULL,'ipad-2',1768000000380,1795340151418,'019ba503117c.0000','VITALS_ADDED','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":38,"text":"手術","hr":61.50}',NULL);
INSERT INTO events VALUES(39,'evt_0000039',X'f59fb25858e64508ae1faeb3d4c9699a','main','case','E-1',NULL,'nurse-3',NULL,NULL,'ipad-1',1768000000390,1795340151418,'019ba5031186.0000','NOTE_WRITTEN','1.0','c-4','evt_0000038',0,0,'2026-11-22 09:35:51','{"n":39,"text":"Ωμέγα","hr":91.50}',NULL);
INSERT INTO events VALUES(40,'evt_0000040',X'29b612a69d69b1f3c1f9b2c729a51146','main','chart','E-6',NULL,'nurse-1',NULL,NULL,'ipad-0',1767999996623,1795340151418,'019ba50302cf.0000','VITALS_ADDED','1.0',NULL,NULL,0,0,'2026-11-22 09:35:51','{"n":40,"text":"手術","hr":77.50}',NULL);
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
INSERT INTO projections VALUES('chart','E-0','{"n":22,"text":"données","hr":82.50}',4,0,'evt_0000008','evt_0000022','019ba50310dc.0000',40);
INSERT INTO projections VALUES('chart','E-1','{"n":36,"text":"Ωμέγα","hr":75.50}',2,0,'evt_0000028','evt_0000036','019ba5031168.0000',40);
INSERT INTO projections VALUES('chart','E-2','{"n":4,"text":"Ωμέγα","hr":83.50}',2,0,'evt_0000002','evt_0000004','019ba5031028.0000',40);
INSERT INTO projections VALUES('chart','E-3','{"n":32,"text":"plain","hr":88.50}',3,0,'evt_0000010','evt_0000032','019ba5031140.0000',40);
INSERT INTO projections VALUES('chart','E-4','{"n":38,"text":"手術","hr":61.50}',1,0,'evt_0000038','evt_0000038','019ba503117c.0000',40);
INSERT INTO projections VALUES('chart','E-5','{"n":6,"text":"手術","hr":61.50}',2,0,'evt_0000020','evt_0000006','019ba503103c.0000',40);
INSERT INTO projections VALUES('chart','E-6','{"n":34,"text":"Ωμέγα","hr":67.50}',6,0,'evt_0000040','evt_0000034','019ba5031154.0000',40);
INSERT INTO projections VALUES('case','E-0','{"n":17,"text":"données","hr":78.50}',4,0,'evt_0000025','evt_0000017','019ba50310aa.0000',40);
INSERT INTO projections VALUES('case','E-1','{"n":39,"text":"Ωμέγα","hr":91.50}',2,0,'evt_0000013','evt_0000039','019ba5031186.0000',40);
INSERT INTO projections VALUES('case','E-2','{"n":37,"text":"plain","hr":76.50}',1,0,'evt_0000037','evt_0000037','019ba5031172.0000',40);
INSERT INTO projections VALUES('case','E-3','{"n":33,"text":"Ωμέγα","hr":87.50}',1,0,'evt_0000033','evt_0000033','019ba503114a.0000',40);
INSERT INTO projections VALUES('case','E-4','{"n":31,"text":"plain","hr":68.50}',6,0,'evt_0000003','evt_0000031','019ba5031136.0000',40);
INSERT INTO projections VALUES('case','E-5','{"n":19,"text":"plain","hr":68.50}',4,0,'evt_0000035','evt_0000019','019ba50310be.0000',40);
INSERT INTO projections VALUES('case','E-6','{"n":7,"text":"手術","hr":61.50}',2,0,'evt_0000005','evt_0000007','019ba5031046.0000',40);
CREATE TABLE projectors (
    entity_type TEXT PRIMARY KEY,
    watermark   INTEGER NOT NULL DEFAULT 0,   -- events.seq folded so far
    program     TEXT NOT NULL DEFAULT '',     -- digest of the reducer, '' for the default fold
    status      TEXT NOT NULL DEFAULT 'ok',   -- ok, rebuilding, failed
    failed_seq  INTEGER,                      -- the log's end when it failed
    failed_program TEXT,
    message     TEXT
) WITHOUT ROWID;
INSERT INTO projectors VALUES('case',40,'','ok',NULL,NULL,NULL);
INSERT INTO projectors VALUES('chart',40,'','ok',NULL,NULL,NULL);
CREATE INDEX idx_restore_log_status ON restore_log(status);
CREATE INDEX idx_events_synced ON events(synced);
CREATE INDEX idx_events_correlation ON events(correlation_id) WHERE correlation_id IS NOT NULL;
CREATE INDEX idx_events_causation ON events(causation_id) WHERE causation_id IS NOT NULL;
CREATE INDEX idx_events_large ON events(seq) WHERE length(CAST(payload_json AS BLOB)) > 1048576;
CREATE INDEX idx_events_entity ON events(entity_type, entity_id, hlc);
CREATE INDEX idx_events_type ON events(event_type);
CREATE INDEX idx_events_ts ON events(ts_device);
CREATE INDEX idx_events_hlc ON events(hlc, event_id);
COMMIT;
