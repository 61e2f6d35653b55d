"""What one would write instead of evstore-append: json and sqlite3."""
import json
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1])
db.execute("PRAGMA journal_mode = WAL")
db.execute(
    "CREATE TABLE events(seq INTEGER PRIMARY KEY, event_id TEXT NOT NULL UNIQUE, entity_type, "
    "entity_id, actor_id, ts_device, hlc, event_type, payload_json)"
)
for index in ("entity_type, entity_id, hlc", "event_type", "ts_device", "hlc, event_id"):
    db.execute(f"CREATE INDEX idx_{index.split(',')[0]} ON events({index})")


def rows():
    with open(sys.argv[2], encoding="utf-8") as lines:
        for line in lines:
            e = json.loads(line)
            yield (
                e["event_id"], e["entity_type"], e["entity_id"], e["actor_id"], e["ts_device"],
                e.get("hlc"), e["event_type"], json.dumps(e["payload"]),
            )


batch = []
for row in rows():
    batch.append(row)
    if len(batch) == 10000:
        db.executemany("INSERT OR IGNORE INTO events VALUES(NULL,?,?,?,?,?,?,?,?)", batch)
        db.commit()
        batch = []
db.executemany("INSERT OR IGNORE INTO events VALUES(NULL,?,?,?,?,?,?,?,?)", batch)
db.commit()
