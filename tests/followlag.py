"""followlag.py HERE THERE N: from an append's acknowledgement to the standby's commit.

lifeboat-follow runs already, from the store HERE to the store THERE. Appends N events one
by one through one evstore-append, each some ms after the one before, and notes when its
line comes out: then it is acknowledged. An evstore-export --follow on THERE prints what is
committed there, and is woken by the commit: its line comes a little after that, so that
what is measured is too long rather than too short. Prints one line of JSON, ms. Exit 1: an
event did not come within 30 s, or came twice.
"""

import json
import os
import random
import subprocess
import sys
import threading
import time

here, there, n = sys.argv[1], sys.argv[2], int(sys.argv[3])
acknowledged, arrived, twice = {}, {}, []
complete = threading.Event()


def listen(stream):
    for line in stream:
        now = time.monotonic()
        event = json.loads(line)
        if "event_id" in event and event["entity_id"] == "lag-%d" % os.getpid():
            if event["event_id"] in arrived:
                twice.append(event["event_id"])
            arrived[event["event_id"]] = now
            if len(arrived) == n:
                complete.set()


newest = subprocess.run(["evstore-export", "-d", there, "--order", "seq", "--seal"],
                        check=True, capture_output=True).stdout.splitlines()[-1]
follower = subprocess.Popen(["evstore-export", "-d", there, "--follow", "--heartbeat", "60",
                             "--after", json.loads(newest)["lifeboat_end"]["to"]],
                            stdout=subprocess.PIPE)
follower.stdout.readline()  # its heartbeat: from now on it watches
threading.Thread(target=listen, args=(follower.stdout,), daemon=True).start()
writer = subprocess.Popen(["evstore-append", "-d", here], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
draw = random.Random(1)
for i in range(n):
    event = {"entity_type": "case", "entity_id": "lag-%d" % os.getpid(), "event_type": "NOTE_WRITTEN",
             "actor_id": "nurse-1", "payload": {"n": i, "text": "x" * draw.randrange(1000)}}
    writer.stdin.write(json.dumps(event).encode() + b"\n")
    writer.stdin.flush()
    line = writer.stdout.readline()
    acknowledged[json.loads(line)["event_id"]] = time.monotonic()
    time.sleep(draw.random() / 50)
writer.stdin.close()
complete.wait(30)
follower.terminate()
missing = [i for i in acknowledged if i not in arrived]
lags = sorted(max(0.0, arrived[i] - t) * 1000 for i, t in acknowledged.items() if i in arrived)
at = lambda p: round(lags[min(len(lags) - 1, int(p * len(lags)))], 1) if lags else None
print(json.dumps({"events": n, "missing": len(missing), "twice": len(twice),
                  "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": at(1)}))
sys.exit(1 if missing or twice else 0)
