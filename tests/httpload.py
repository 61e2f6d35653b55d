#!/usr/bin/env python3
"""httpload.py PORT SECONDS CLIENTS: clients at full speed, each with its own mix of
reads and writes; every other one keeps its connection. HTTP_TOKEN is their token.

Writes to the folder it runs in: "sent", the ids of all events that were sent, and
"acks", those that were acknowledged; "wrong", what should not have come, a line each.
Prints figures as JSON. Who is told to come back later does.
"""

import asyncio
import json
import os
import random
import sys
import time

port, seconds, clients = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
token = os.environ["HTTP_TOKEN"]
sent, acks, wrong = [], [], []
took = {"read": [], "write": []}
count = {}


def event(number, n):
    name = f"load-{number}-{n}"
    sent.append(name)
    return name, json.dumps(
        {"event_id": name, "entity_type": "case", "entity_id": f"E-{n % 50}", "actor_id": f"c{number}",
         "event_type": "VITALS_ADDED", "ts_device": int(time.time() * 1000), "payload": {"n": n, "text": "x" * 300}}
    )  # fmt: skip


class Client:
    def __init__(self, number):
        self.number, self.n, self.keeps = number, 0, number % 2 == 0
        self.random = random.Random(number)
        self.reader = self.writer = None

    async def close(self):
        if self.writer:
            self.writer.close()
        self.reader = self.writer = None

    async def ask(self, method, target, body=b"", kind="application/json"):
        """Its status, headers and body. A kept connection may have been closed meanwhile,
        which is no fault: then nothing came of it, and it is asked again."""
        for again in (False, True):
            kept = self.writer is not None
            if not kept:
                self.reader, self.writer = await asyncio.open_connection("127.0.0.1", port)
            said = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
            if body:
                said += f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n"
            if not self.keeps:
                said += "Connection: close\r\n"
            try:
                self.writer.write(said.encode() + b"\r\n" + body)
                await self.writer.drain()
                return await self.answer()
            except (ConnectionError, asyncio.IncompleteReadError) as e:
                await self.close()
                if not kept or again or getattr(e, "partial", b""):
                    raise
        return None

    async def answer(self):
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        names = dict(x.lower().split(": ", 1) for x in head[1:] if x)
        body = b""
        if names.get("transfer-encoding") == "chunked":
            while size := int(await self.reader.readuntil(b"\r\n"), 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readexactly(2)
        elif "content-length" in names:
            body = await self.reader.readexactly(int(names["content-length"]))
        else:
            body = await self.reader.read()
        if not self.keeps or names.get("connection") == "close":
            await self.close()
        return int(head[0].split(" ")[1]), names, body

    async def one(self, what, wanted, *request):
        """The body, or None for who is to come back later."""
        while True:
            began = time.monotonic()
            status, names, body = await asyncio.wait_for(self.ask(*request), 60)
            took[what].append(time.monotonic() - began)
            count[status] = count.get(status, 0) + 1
            if status in wanted:
                return body
            if status not in (429, 503) or "retry-after" not in names:
                wrong.append(f"{request[0]} {request[1]}: {status} {body[:200]!r}")
                return None
            if time.monotonic() > over:
                return None
            await asyncio.sleep(float(names["retry-after"]))

    async def write_one(self):
        name, text = event(self.number, self.n)
        body = await self.one("write", (201,), "POST", "/api/events", text.encode())
        if body is not None:
            acks.append(name)
            if json.loads(body)["event_id"] != name:
                wrong.append(f"{name}: another was stored: {body[:200]!r}")

    async def write_many(self):
        names, lines = zip(*(event(self.number, self.n * 1000000 + i + 1) for i in range(5)))
        text = "\n".join(lines) + "\n"
        body = await self.one("write", (200,), "POST", "/api/events", text.encode(), "application/jsonl")
        if body is not None:
            told = json.loads(body)
            acks.extend(names)
            if told["stored"] != 5 or told["event_ids"] != list(names):
                wrong.append(f"of five lines: {body[:200]!r}")

    async def read(self):
        target = self.random.choice(
            ("/api/health", "/api/dr/health", "/api/events?limit=10&order=desc", "/api/dr/export?limit=50",
             f"/api/dr/export/entity/case/E-{self.n % 50}?limit=10", "/api/dr/stats", "/metrics")
        )  # fmt: skip
        body = await self.one("read", (200, 404), "GET", target)
        if body and target.startswith(("/api/e", "/api/dr/export?")):
            told = json.loads(body)
            if len(told["events"]) != told["events_count"]:
                wrong.append(f"{target}: {told['events_count']} told, {len(told['events'])} given")

    async def run(self):
        while time.monotonic() < over:
            self.n += 1
            what = self.random.choices((self.write_one, self.write_many, self.read), (4, 1, 5))[0]
            try:
                await what()
            except (OSError, ValueError, KeyError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
                wrong.append(f"client {self.number}: no answer: {e!r}")
                await self.close()
        await self.close()


def at(times, share):
    return round(sorted(times)[int(share * (len(times) - 1))] * 1000) if times else None


async def main():
    await asyncio.gather(*(Client(i).run() for i in range(clients)))


began = time.monotonic()
over = began + seconds
asyncio.run(main())
elapsed = time.monotonic() - began
for name, lines in (("sent", sent), ("acks", acks), ("wrong", wrong)):
    with open(name, "w", encoding="utf-8") as f:
        f.writelines(f"{x}\n" for x in lines)
print(
    json.dumps(
        {"clients": clients, "seconds": round(elapsed, 1), "statuses": count, "events": len(acks),
         "requests_per_s": round(sum(count.values()) / elapsed)}
        | {f"{what}_{p}_ms": at(times, s) for what, times in took.items() for p, s in (("p50", 0.5), ("p99", 0.99), ("max", 1))}
    )
)  # fmt: skip
