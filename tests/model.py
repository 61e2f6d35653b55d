"""model.py [SEED]: random histories on three stores, beside a model in memory. With a
SEED that one history, its steps shown; else as many as fit into MODEL_SECONDS. Front:
model.sh.

The model keeps sets of values where lifeboat keeps digests, folds from the first event
every time, and knows the clock from design.md: send, receive, drift, the entity that is
ahead. What commands print and what stores hold is compared with it; a history that
fails is made shorter by leaving out steps, and printed.
"""
import collections
import copy
import fcntl
import itertools
import json
import operator
import os
import random
import re
import select
import sqlite3
import subprocess
import sys
import time
import traceback

import oracle
import tap
from oracle import Number, Object
from tap import SMALL, Run

SECONDS = float(os.environ.get("MODEL_SECONDS", "15" if SMALL else "600"))
STEPS = 40
DAY = 86400000
WRONG_CLOCK = 10**12  # 2001: older than any build, even years later
TYPES = ("case", "chart", "tally")
NOTES = ("NOTE", "SET", "NODE_UPDATED")
TRASHED = ("NODE_SOFT_DELETED", "node.trashed")
RESTORED = ("NODE_RESTORED", "node.restored")
PURGED = ("NODE_PERMANENTLY_DELETED", "node.purged")
TRASH = {n: d for names, d in ((RESTORED, 0), (TRASHED, 1), (PURGED, 2)) for n in names}
NUMBERS = ("0", "-0.0", "1", "1.0", "9007199254740993", "-2.50e-3", "1e400")
RUBBISH = (
    b"", b"  ", b"{", b'{"event_id":"x"}', b'{"lifeboat_cursor":"start"}', b'{"lifeboat_later":1}',
    b"\xff", b"\0",
)
TALLY = """# tally: counts, and remembers the order of folding
{n: ((.n // 0) + 1), order: ((.order // []) + [$event.event_id])}
"""


class Wrong(Exception):
    """lifeboat and the model differ."""


def same(what, said, right):
    if said != right:
        raise Wrong(f"{what}: " + difference(said, right))


def difference(said, right):
    """The first place where two values differ."""
    path = ""
    while isinstance(right, (list, tuple, dict)) and type(said) is type(right):
        keys = list(right) if isinstance(right, dict) else range(len(right))
        if len(said) != len(right) or (isinstance(said, dict) and set(said) != set(right)):
            break
        k = next(k for k in keys if said[k] != right[k])
        said, right, path = said[k], right[k], f"{path}[{k}]"
    if isinstance(said, list) and isinstance(right, list):
        more, less = [x for x in said if x not in right], [x for x in right if x not in said]
        said, right = (more, less) if more or less else (said, right)
    return f"{path}\n  lifeboat: {said}\n  model:    {right}"


# --- values, written in many ways -------------------------------------------------------


def written(v, rng=None):
    """JSON text of a value; with rng the same value in another spelling."""
    if isinstance(v, Object):
        members = list(v)
        if rng and len({n for n, _ in members}) == len(members):
            rng.shuffle(members)
        pairs = [f"{_space(rng)}{_string(n, rng)}:{written(x, rng)}" for n, x in members]
        return "{" + ",".join(pairs) + "}"
    if isinstance(v, list):
        return "[" + ",".join(_space(rng) + written(x, rng) for x in v) + "]"
    if isinstance(v, Number):
        return _number(v, rng)
    return _string(v, rng) if isinstance(v, str) else json.dumps(v)


def _space(rng):
    return rng.choice(["", "", " ", "\t "]) if rng else ""


def _string(s, rng):
    if not rng:
        return json.dumps(s)
    half = any("\ud800" <= c < "\ue000" for c in s)
    text = json.dumps(s, ensure_ascii=half or rng.random() < 0.5)
    if rng.random() < 0.3:
        text = re.sub(r"(?<![\\\w])[a-z]", lambda m: f"\\u{ord(m[0]):04x}", text, count=1)
    return text


def _number(n, rng):
    if not rng:
        return n.text
    if not n.digits:
        return rng.choice(["0", "-0", "0.00", "0e7", "-0.0E-3"])
    d = n.sign + n.digits
    return rng.choice([n.text, f"{d}e{n.exp}", f"{d}0E{n.exp - 1:+d}", f"{d}.000e{n.exp}"])


def spelt(v):
    """What the default fold keeps: numbers as written, members in their order."""
    if isinstance(v, Object):
        return [(n, spelt(x)) for n, x in v]
    if isinstance(v, list):
        return [spelt(x) for x in v]
    return ("number", v.text) if isinstance(v, Number) else v


# --- the model ------------------------------------------------------------------------------


def merge(target, patch):
    """RFC 7396 on Object; a new member comes last, a repeated one counts again."""
    if not isinstance(patch, Object):
        return patch
    at = dict(target) if isinstance(target, Object) else {}
    for name, v in patch:
        if v is None:
            at.pop(name, None)
        else:
            at[name] = merge(at.get(name), v)
    return Object(at.items())


class Entry:
    """A stored event and what its store knows about it."""

    def __init__(self, ev, ts_server, synced, acknowledged):
        self.ev, self.ts_server = ev, ts_server
        self.synced, self.acknowledged = synced, acknowledged
        self.place = (ev.members["hlc"], ev.id)


class Store:
    """What a store should hold."""

    def __init__(self, name):
        self.name = name
        self.wipe()

    def wipe(self):
        self.exists = False
        self.entries = {}  # by id, in the order of commits
        self.variants = set()  # (id, content)
        self.clock = (0, 0)
        self.sources = {}  # name to (life of that store, how many of its events)
        self.life = random.random()

    def contents(self):
        return {i: e.ev.content() for i, e in self.entries.items()}

    def of_entity(self, kind, name):
        return [
            e for e in self.entries.values()
            if (e.ev.members["entity_type"], e.ev.members["entity_id"]) == (kind, name)
        ]

    def fingerprint(self):
        rows = [
            (i, e.ev.content(), e.ts_server, e.synced, e.acknowledged)
            for i, e in self.entries.items()
        ]
        return rows, set(self.variants), clock_text(self.clock)

    def projections(self, kind):
        """The entities of a type in the order of their ids, purged ones left out."""
        folded = {}
        for e in sorted(self.entries.values(), key=lambda e: e.place):
            m = e.ev.members
            if m["entity_type"] != kind:
                continue
            row = folded.setdefault(m["entity_id"], {
                "version": 0, "deleted": 0, "first_event_id": e.ev.id, "state": None, "order": []})
            row.update(version=row["version"] + 1, last_event_id=e.ev.id, hlc=m["hlc"])
            if row["deleted"] == 2:
                continue
            if m["event_type"] in TRASH:
                row["deleted"] = TRASH[m["event_type"]]
            else:
                payload = m["payload"]
                row["order"].append(e.ev.id)
                row["state"] = merge(row["state"], payload if isinstance(payload, Object)
                                     else Object([("value", payload)]))
        for name in sorted(folded, key=lambda n: n.encode()):
            row = folded[name]
            order = row.pop("order")
            if kind == "tally" and order:
                row["state"] = Object([("n", Number(str(len(order)))), ("order", order)])
            elif kind != "tally" and row["state"] is None:
                row["state"] = Object()
            row["state"] = spelt(row["state"])
            if row["deleted"] < 2:
                yield {"entity_type": kind, "entity_id": name, **row}


def clock_text(clock):
    return f"{clock[0]:012x}.{clock[1]:04x}"


def plainly_wrong(now):
    return now < WRONG_CLOCK + 365 * DAY


def read_clock(text):
    return int(text[:12], 16), int(text[13:], 16)


def successor(clock):
    return (clock[0], clock[1] + 1) if clock[1] < 0xFFFF else (clock[0] + 1, 0)


def options_of(how):
    """The options that tell lifeboat what how tells the model."""
    words = {"adopt": ["--adopt-clock"], "keep": ["--keep-flags"], "drift": ["--max-drift", "60"]}
    words["expect"] = ["--expect-version", str(how.get("expect"))]
    return [w for name in how for w in words[name]]


class Intake:
    """One run of append or restore on a model store."""

    def __init__(self, store, now, restore=False, **how):
        self.s, self.now, self.restore = store, now, restore
        self.expect, self.keep = how.get("expect"), how.get("keep")
        self.drift = how.get("drift", DAY)
        self.adopt = how.get("adopt") or not store.entries or plainly_wrong(now)
        self.count = collections.Counter()
        self.echo = []  # contents of what append prints
        store.exists = True

    def line(self, data, learn=None):
        """One line. learn() tells the id lifeboat gave to an event without one."""
        text = data.rstrip(b"\n")
        if not text.strip():
            return
        if oracle.is_control(text):
            if oracle.read_control(text)[0] not in ("seal", "cursor"):
                self.count.update(received=1, refused=1)
            return
        self.count["received"] += 1
        try:
            ev = oracle.read_event(text)
            if self.restore and "ts_device" not in ev.members:
                raise oracle.Bad("happens here")
        except oracle.Bad:
            self.count["refused"] += 1
            return
        self.count[self.elsewhere(ev) if "ts_device" in ev.members else self.here(ev, learn)] += 1

    def stale(self, ev):
        m = ev.members
        there = len(self.s.of_entity(m["entity_type"], m["entity_id"]))
        return self.expect is not None and self.expect != there

    def elsewhere(self, ev):
        if ev.id not in self.s.entries and self.stale(ev):
            return "refused"
        ev.settle("main")
        ahead = self.observe(read_clock(ev.members["hlc"]))
        server = ev.members.get("ts_server", self.now)
        flags = [ev.members.get(f, 0) if self.keep else 0 for f in ("synced", "acknowledged")]
        old = self.s.entries.get(ev.id)
        if not old:
            self.count["ahead"] += ahead
            return self.insert(ev, server, *flags)
        if old.ev.content() != ev.content():
            self.s.variants.add((ev.id, ev.content()))
            return "conflicts"
        old.ts_server = min(old.ts_server, server)
        old.synced, old.acknowledged = max(old.synced, flags[0]), max(old.acknowledged, flags[1])
        self.echo.append(old.ev.content())
        return "present"

    def here(self, ev, learn):
        old = self.s.entries.get(ev.id) if ev.id else None
        if old:
            if not ev.parts().items() <= old.ev.parts().items():
                self.s.variants.add((ev.id, ev.content()))
                return "conflicts"
            self.echo.append(old.ev.content())
            return "present"
        if self.stale(ev):
            return "refused"
        m = ev.members
        if not ev.id:
            ev.id = m["event_id"] = learn()
        m["ts_device"] = self.now
        m["hlc"] = clock_text(self.tick(m["entity_type"], m["entity_id"]))
        m.setdefault("device_id", "box-" + self.s.name)
        cause = self.s.entries.get(m.get("causation_id"))
        if cause and "correlation_id" in cause.ev.members:
            m.setdefault("correlation_id", cause.ev.members["correlation_id"])
        if self.expect is not None:
            m.setdefault("entity_version", self.expect + 1)
        return self.insert(ev.settle("main"), self.now, 0, 0)

    def insert(self, ev, *own):
        self.s.entries[ev.id] = Entry(ev, *own)
        self.echo.append(ev.content())
        return "inserted"

    def observe(self, theirs):
        """Moves the store's clock on, unless theirs is far ahead: whether it is."""
        if theirs <= self.s.clock:
            return False
        ahead = theirs[0] > max(self.now, self.s.clock[0]) + self.drift
        if self.adopt or not ahead:
            self.s.clock = theirs
        return ahead

    def tick(self, kind, name):
        self.s.clock = (self.now, 0) if self.now > self.s.clock[0] else successor(self.s.clock)
        clocks = [read_clock(e.ev.members["hlc"]) for e in self.s.of_entity(kind, name)]
        newest = max(clocks, default=(0, 0))
        return self.s.clock if newest < self.s.clock else successor(newest)

    def counters(self):
        c = self.count
        return {
            "events_received": c["received"], "events_inserted": c["inserted"],
            "events_already_present": c["present"],
            "events_rejected": c["refused"] + c["conflicts"],
            "conflicts": c["conflicts"], "ahead_of_clock": c["ahead"],
        }

    def status(self):
        return int(self.count["refused"] + self.count["conflicts"] > 0)


# --- a history ------------------------------------------------------------------------------


class World:
    """Three stores on disk, the three models, and the steps that change both."""

    def __init__(self, folder, seed, show=False):
        self.folder, self.seed, self.show = folder, seed, show
        self.stores = [Store(n) for n in "ABC"]
        self.digests = oracle.Digests()
        self.rng = random.Random(f"{seed}")
        self.began = int(time.time() * 1000) + 2 * DAY
        self.now = self.began + 28 * DAY
        self.lines = []  # of events made so far, to come again
        self.made = 0
        self.times = [self.now]
        self.readers = {}  # of incremental exports: store to (cursor, life, events seen)
        self.at = "begin"
        (folder / "jq").mkdir(parents=True)
        (folder / "jq/tally.jq").write_text(TALLY)

    # running commands

    def env(self, s):
        return tap.environment(
            LIFEBOAT_DB=str(self.db(s)), LIFEBOAT_DEVICE="box-" + s.name,
            LIFEBOAT_NOW=str(self.now), LIFEBOAT_PROJECTORS=str(self.folder / "jq"))

    def db(self, s):
        return self.folder / f"{s.name}.db"

    def run(self, s, *argv, data=b"", status=0):
        r = Run(*argv, data=data, cwd=self.folder, env=self.env(s))
        if status is not None and r.status != status:
            raise Wrong(f"{s.name}: {r}; the right status is {status}")
        return r

    def file(self, name, data):
        path = self.folder / name
        path.write_bytes(data)
        return path

    # material

    def value(self, deep=2):
        r = self.rng
        kinds = ["text", "number", "number", "word"]
        kind = r.choice(kinds + ["object", "object", "object", "list"] * (deep > 0))
        if kind == "object":
            names = r.choices(["a", "b", "c", "d", "名前"], k=r.randrange(4))
            return Object((n, self.value(deep - 1)) for n in names)
        if kind == "list":
            return [self.value(deep - 1) for _ in range(r.randrange(3))]
        if kind == "text":
            return r.choice(["", "plain", "é\n\"\\", "手術🛟", "\ud800", "NaN"])
        if kind == "word":
            return r.choice([True, False, None, None, None])
        return Number(r.choice([str(r.randrange(99)), *NUMBERS]))

    def payload(self):
        v = self.value()
        if isinstance(v, Object) or self.rng.random() < 0.2:
            return v
        return Object([("a", v), ("n", Number("3"))])

    def event(self, here):
        """A new event as an Object, with or without a time of its own."""
        r = self.rng
        self.made += 1
        e = Object([
            ("entity_type", r.choice(TYPES)), ("entity_id", r.choice(["1", "ö/2"])),
            ("actor_id", r.choice(["ana", "ben"])), ("payload", self.payload()),
            ("event_type", r.choice(NOTES * 6 + TRASHED + RESTORED + PURGED[:self.made % 2])),
        ])
        if not here or r.random() < 0.6:
            e.append(("event_id", f"{r.choice('eeE')}{self.made}"))
        if not here:
            ms = self.now + r.choice([0, -5, 7, -DAY * 3, 5000, DAY - 100, DAY * 2, DAY * 40])
            if r.random() < 0.4:
                ms = r.choice(self.times)  # a tie, perhaps
            self.times = [*self.times[-3:], ms]
            e.append(("ts_device", Number(str(ms))))
            if r.random() < 0.5:
                e.append(("hlc", f"{ms:012x}.{r.choice([0, 1, 7, 0xFFFF]):04x}"))
        more = [
            ("zone", self.value(1)), ("correlation_id", "c1"), ("device_id", "ipad"),
            ("causation_id", f"e{r.randrange(self.made) + 1}"), ("entity_version", Number("3")),
            ("actor_name", "Δ"),
        ]
        e += [member for member in more if r.random() < 0.2]
        return e

    def altered(self, line):
        """The event of a line with one member other, more or less."""
        e = dict(oracle.parse(line))
        name = self.rng.choice(["payload", "zone", "zone", "actor_name", "entity_version"])
        if name in e and name != "payload" and self.rng.random() < 0.5:
            del e[name]
        else:
            n = Number(str(self.rng.randrange(3)))
            e[name] = "Ω" if name == "actor_name" else n if name != "payload" else Object([("n", n)])
        return Object(e.items())

    def some_lines(self, n, here=None, ids=False):
        """Lines to be appended: new ones, copies in other spellings, conflicts, rubbish."""
        r, out = self.rng, []
        for _ in range(n):
            what = r.random()
            if what < 0.6 or not self.lines:
                e = self.event(r.random() < 0.5 if here is None else here)
                if ids and "event_id" not in dict(e):
                    e.append(("event_id", f"e{self.made}"))
                line = written(e, r).encode("utf-8")
                if "event_id" in dict(e):
                    self.lines.append(line)
            elif what < 0.7:
                line = r.choice(self.lines)
            elif what < 0.8:
                line = written(oracle.parse(r.choice(self.lines)), r).encode("utf-8")
            elif what < 0.95:
                line = written(self.altered(r.choice(self.lines))).encode("utf-8")
            else:
                line = r.choice(RUBBISH)
            out.append(line + b"\n")
        return out

    def exported(self, s, *options):
        return self.run(s, "evstore-export", *options).out

    def part_of(self, s):
        """Something of a store's export, as a tablet might have kept it."""
        r = self.rng
        lines = self.exported(s, *r.choice([(), ("--full",)])).splitlines(True)
        lines = [l for l in lines if r.random() < r.choice([0.3, 0.7, 1])]
        lines += [l for l in lines if r.random() < 0.2]
        if r.random() < 0.3:
            lines = [written(oracle.parse(l), r).encode("utf-8") + b"\n" for l in lines]
        if r.random() < 0.5:
            r.shuffle(lines)
        if lines and r.random() < 0.3:
            lines[-1] = lines[-1][: r.randrange(len(lines[-1]))]
        return lines

    def any_store(self, there=False):
        some = [s for s in self.stores if s.exists or not there]
        return self.rng.choice(some) if some else None

    # steps: each is a method step_NAME

    def compare_append(self, s, intake, r):
        c = intake.count
        right = (
            f"{c['received']} received: {c['inserted']} stored, {c['present']} already present, "
            f"{c['refused'] + c['conflicts']} rejected ({c['conflicts']} in conflict)"
        )
        if right not in r.err.decode(errors="replace"):
            raise Wrong(f"{s.name}: {r}; right is: {right}")

    def some_options(self, *names):
        """None, or one of these, as the model wants it."""
        values = {"adopt": True, "keep": True, "drift": 60000}
        name = self.rng.choice(names)
        return {name: values[name]} if self.rng.random() < 0.5 else {}

    def append(self, s, lines, **how):
        """Appends lines, here and in the model, and compares what comes out."""
        path = self.file("in", b"".join(lines))
        r = self.run(s, "evstore-append", *options_of(how), path, status=None)
        out = r.out.splitlines()
        intake = Intake(s, self.now, **how)
        for line in lines:
            intake.line(line, lambda: oracle.read_event(out[len(intake.echo)]).id)
        same(f"{s.name}: {r}: echo", [oracle.read_event(l).content() for l in out], intake.echo)
        same(f"{s.name}: {r}: status", r.status, intake.status())
        self.compare_append(s, intake, r)

    def step_append(self):
        s = self.any_store()
        lines = self.some_lines(self.rng.randrange(1, 9))
        self.append(s, lines, **self.some_options("adopt", "drift"))

    def step_append_here(self):
        self.append(self.any_store(), self.some_lines(self.rng.randrange(1, 5), here=True))

    def step_trash(self):
        s = self.any_store()
        lines = self.some_lines(3)
        for types in (TRASHED, RESTORED, TRASHED + NOTES):
            e = self.event(True)
            e[4] = ("event_type", self.rng.choice(types))
            lines.append(written(e).encode() + b"\n")
        self.append(s, lines)

    def step_expect_version(self):
        s = self.any_store()
        lines = self.some_lines(self.rng.choice([1, 1, 2]))
        e = self.event(True)
        there = len(s.of_entity(e[0][1], e[1][1]))
        lines.insert(self.rng.randrange(2), written(e).encode() + b"\n")
        expect = self.rng.choice([there, there, there, 0, there + 1])
        self.append(s, lines, expect=expect)

    def compare_result(self, s, r, intake, before=None, **right):
        """The JSON object of a restore, against the counters of the model."""
        said = json.loads(r.out)
        counters = intake.counters()
        for name, n in (before or {}).items():
            counters[name] += n
        partial = counters["events_rejected"] > 0
        right = {"status": "PARTIAL" if partial else "COMPLETED", **counters,
                 "projections_failed": [], "store_conflicts": len(s.variants), **right}
        same(f"{s.name}: {r}: result", {k: said.get(k) for k in right}, right)
        return said

    def restore(self, s, files, *options, **how):
        """Restores files, here and in the model, and compares the result."""
        paths = [self.file(f"in{i}", b"".join(f)) for i, f in enumerate(files)]
        r = self.run(s, "evstore-restore", *options, *options_of(how), *paths, status=None)
        intake = Intake(s, self.now, restore=True, **how)
        for line in itertools.chain(*files):
            intake.line(line)
        same(f"{s.name}: {r}: status", r.status, intake.status())
        said = self.compare_result(s, r, intake)
        wrong = self.digests.check(said["digest"], s.contents())
        if wrong:
            raise Wrong(f"{s.name}: {wrong}")

    def step_restore(self):
        s, giver, other = self.any_store(), self.any_store(True), self.any_store(True)
        if not giver:
            return
        files = [self.part_of(giver)] + ([self.part_of(other)] if self.rng.random() < 0.4 else [])
        self.restore(s, files, **self.some_options("keep", "adopt", "drift"))

    def step_restore_mixed(self):
        self.restore(self.any_store(), [self.some_lines(self.rng.randrange(1, 12))])

    def step_restore_sealed(self):
        s, giver = self.any_store(), self.any_store(True)
        if not giver:
            return
        lines = self.exported(giver, "--full", "--seal").splitlines(True)
        if self.rng.random() < 0.6:
            self.restore(s, [lines], "--require-seal")
            return
        # Damaged: nothing changes, which the next comparison shows.
        del lines[self.rng.randrange(len(lines))]
        path = self.file("in", b"".join(lines))
        r = self.run(s, "evstore-restore", "--require-seal", path, status=65)
        same(f"{s.name}: {r}: status", json.loads(r.out)["status"], "FAILED")

    def step_restore_document(self):
        s, giver = self.any_store(), self.any_store(True)
        if not giver:
            return
        data = self.exported(giver, "--document")
        r = self.run(s, "evstore-restore", "--document", data=data, status=None)
        intake = Intake(s, self.now, restore=True)
        for part in oracle.read_document(data):
            intake.line(part)
        same(f"{s.name}: {r}: status", r.status, intake.status())
        self.compare_result(s, r, intake)

    def step_restore_parts(self):
        """A session in parts: its counters are sums, and others have to wait."""
        s = self.any_store()
        before = collections.Counter()
        parts = [self.some_lines(4) for _ in range(self.rng.randrange(2, 4))]
        for i, lines in enumerate(parts):
            more = ["--more"] if i < len(parts) - 1 else []
            r = self.run(s, "evstore-restore", "--session", f"s{self.made}", *more,
                         self.file("in", b"".join(lines)), status=None)
            intake = Intake(s, self.now, restore=True)
            for line in lines:
                intake.line(line)
            right = {"status": "IN_PROGRESS"} if more else {}
            same(f"{s.name}: {r}: status", r.status, intake.status())
            self.compare_result(s, r, intake, before, **right)
            before.update(intake.counters())
            if more:
                another = ("--session", "another", self.file("in", b""))
                self.run(s, "evstore-restore", *another, status=75)

    def step_dry_run(self):
        s = self.any_store()
        lines = self.some_lines(6)
        path = self.file("in", b"".join(lines))
        r = self.run(s, "evstore-restore", "--dry-run", path, status=None)
        what_if = copy.deepcopy(s)
        intake = Intake(what_if, self.now, restore=True)
        for line in lines:
            intake.line(line)
        same(f"{s.name}: {r}: status", r.status, intake.status())
        self.compare_result(s, r, intake)

    def step_ack(self):
        s = self.any_store(True)
        if not s:
            return
        r, synced_only = self.rng, self.rng.random() < 0.5
        ids = [i for i in s.entries if r.random() < 0.3]
        ids += r.choice([[], ["nobody"], [f"e{self.made}"], ["e1\0"], ["\0e2"]])
        forms = (lambda i: i, json.dumps, lambda i: json.dumps({"x": [1], "event_id": i}))
        data = "".join(r.choice(forms)(i) + "\n" for i in ids).encode()
        known = [i for i in ids if i in s.entries]
        for i in known:
            s.entries[i].synced = 1
            s.entries[i].acknowledged |= not synced_only
        others = len(ids) - len(known)
        option = ["--synced"] * synced_only
        run = self.run(s, "evstore-ack", *option, data=data, status=int(others > 0))
        right = f"{len(ids)} received: {len(known)} marked, {others} rejected"
        if right not in run.err.decode():
            raise Wrong(f"{s.name}: {run}; right is: {right}")

    def step_clock(self):
        """The wall clock jumps; once it is plainly wrong, and comes back."""
        if plainly_wrong(self.now):
            self.now = self.began
        elif self.rng.random() < 0.2:
            self.now = WRONG_CLOCK
        else:
            jump = self.rng.choice([DAY // 2, 3 * DAY, 30 * DAY, -3600000, -2 * DAY, -10 * DAY])
            self.now = max(self.began, self.now + jump)  # never between the build and today

    def step_lose(self):
        """The box burns; the others, or one of them, refill it."""
        s = self.any_store(True)
        if not s or self.rng.random() < 0.4:
            return
        for p in self.folder.glob(f"{s.name}.db*"):
            p.unlink()
        s.wipe()
        givers = [g for g in self.stores if g.exists]
        if givers and self.rng.random() < 0.8:
            files = [self.exported(g, "--full", "--seal").splitlines(True) for g in givers]
            self.rng.shuffle(files)
            self.restore(s, files, "--require-seal")

    def step_incremental(self):
        """A reader with a cursor sees each event once, in the order of commits."""
        s = self.any_store(True)
        if not s:
            return
        cursor, life, seen = self.readers.get(s.name, ("start", s.life, 0))
        if life != s.life:
            self.run(s, "evstore-export", "--after", cursor, "--seal", status=76)
            cursor, seen = "start", 0
        limit = self.rng.randrange(1, 6) if self.rng.random() < 0.5 else len(s.entries)
        options = self.rng.choice([["--limit", limit], ["--limit", limit, "--full"]])
        out = self.exported(s, "--after", cursor, "--seal", *options).splitlines()
        ids = [oracle.read_event(l).id for l in out[:-1]]
        same(f"{s.name}: after {cursor}", ids, list(s.entries)[seen : seen + limit])
        end = json.loads(out[-1])["lifeboat_end"]
        same(f"{s.name}: seal's from", end["from"], cursor)
        self.readers[s.name] = (end["to"], s.life, seen + len(ids))

    def step_follow(self):
        """A standby goes on from its cursor; its stream may be cut anywhere."""
        giver, s = self.any_store(True), self.any_store()
        if not giver or giver is s:
            return
        name = "from-" + giver.name
        cursor = self.run(s, "evstore-restore", "--cursor-of", name).out.decode().strip()
        life, seen = s.sources.get(name, (giver.life, 0))
        same(f"{s.name}: cursor of {name}", cursor == "start", name not in s.sources)
        if life != giver.life:
            self.run(giver, "evstore-export", "--after", cursor, "--seal", status=76)
            cursor, seen = "start", 0
        stream = self.exported(giver, "--full", "--order", "seq", "--seal", "--after", cursor)
        ids = [oracle.read_event(l).id for l in stream.splitlines()[:-1]]
        same(f"{giver.name}: stream after {cursor}", ids, list(giver.entries)[seen:])
        end = len(stream) if self.rng.random() < 0.6 else self.rng.randrange(len(stream) + 1)
        data = stream[:end]
        r = self.run(s, "evstore-restore", "--follow", "--source", name, data=data, status=None)
        intake = Intake(s, self.now, restore=True)
        whole = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
        for line in whole:
            intake.line(line)
        if data == stream:
            s.sources[name] = (giver.life, len(giver.entries))
        cut = len(b"".join(whole)) < len(data)
        same(f"{s.name}: {r}: status", r.status, 75 if cut else intake.status())
        self.compare_result(s, r, intake, **({"status": "FAILED"} if cut else {}))

    def step_rebuild(self):
        s = self.any_store(True)
        if not s:
            return
        kinds = {e.ev.members["entity_type"] for e in s.entries.values()}
        for options in (["--rebuild"], ["--rebuild", "case"], []):
            if self.rng.random() < 0.4:
                status = int("case" in options and "case" not in kinds)
                self.run(s, "evstore-project", *options, status=status)

    # kills

    def spend(self, s, lines, **how):
        """After a kill: how many of the lines are in the store? They go into the model."""
        there = self.look(s)
        what_if = copy.deepcopy(s)
        prints = [what_if.fingerprint() if s.exists else ([], set(), clock_text((0, 0)))]
        intake = Intake(what_if, self.now, **how)
        for line in lines:
            intake.line(line)
            prints.append(what_if.fingerprint())
        if there is None:
            if s.exists:
                raise Wrong(f"{s.name}: the store is gone after a kill")
            return 0
        if there not in prints:
            near = max(prints, key=lambda p: sum(map(operator.eq, p, there)))
            what = f"{s.name}: after a kill it holds no prefix of what was sent: "
            raise Wrong(what + difference(there, near))
        n = prints.index(there)
        intake = Intake(s, self.now, **how)
        for line in lines[:n]:
            intake.line(line)
        # Lines that change nothing cannot be told from lines not read.
        return max(i for i, p in enumerate(prints) if p == there)

    def look(self, s):
        """The fingerprint of a store on disk; None if there is none yet."""
        r = self.run(s, "evstore-export", "--full", status=None)
        if r.status == 66:
            return None
        if r.status:
            raise Wrong(f"{s.name}: {r}")
        events = [oracle.read_event(line) for line in r.out.splitlines()]
        places = [(e.members["hlc"], e.id) for e in events]
        same(f"{s.name}: order of the export", places, sorted(places))
        events.sort(key=lambda e: e.members["seq"].integer())
        own = ("ts_server", "synced", "acknowledged")
        rows = [(e.id, e.content(), *[e.members[n] for n in own]) for e in events]
        conflicts = map(oracle.read_event, self.exported(s, "--conflicts").splitlines())
        variants = {(e.id, e.content()) for e in conflicts}
        with sqlite3.connect(f"file:{self.db(s)}?mode=ro", uri=True) as db:
            clock = db.execute("SELECT value FROM meta WHERE key = 'hlc'").fetchone()[0]
        db.close()
        return rows, variants, clock

    def start(self, s, *argv):
        return subprocess.Popen(
            [str(tap.BIN / argv[0]), *map(str, argv[1:])], cwd=self.folder, env=self.env(s),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def feed(self, p, chunks, patience):
        """Writes chunks, most of them only when there is an echo of the one before or
        patience is over; then kills. Gives what was acknowledged."""
        echoed = b""
        fcntl.fcntl(p.stdin.fileno(), fcntl.F_SETPIPE_SZ, 1 << 20)
        for chunk in chunks:
            try:
                p.stdin.write(b"".join(chunk))
                p.stdin.flush()
            except BrokenPipeError:
                break
            wait = self.rng.random() * patience if self.rng.random() < 0.7 else 0
            if select.select([p.stdout], [], [], wait)[0]:
                echoed += os.read(p.stdout.fileno(), 1 << 20)
        p.kill()
        echoed += p.communicate()[0]
        return echoed[: echoed.rfind(b"\n") + 1].splitlines()

    def step_kill_append(self):
        s = self.any_store()
        sizes = self.rng.choices(range(1, 12), k=self.rng.randrange(1, 8))
        chunks = [self.some_lines(n, ids=True) for n in sizes]
        lines = list(itertools.chain(*chunks))
        acknowledged = self.feed(self.start(s, "evstore-append"), chunks, 0.2)
        n = self.spend(s, lines)
        said = [oracle.read_event(l).content() for l in acknowledged]
        printed = self.echo_of(s, lines, n)
        same(f"{s.name}: acknowledged before a kill, and stored", said, printed[: len(said)])
        self.append(s, lines)

    def echo_of(self, s, lines, n):
        """What the first n lines make append print, seen from the store they are in."""
        again = Intake(copy.deepcopy(s), self.now)
        for line in lines[:n]:
            again.line(line)
        return again.echo

    def step_kill_restore(self):
        s = self.any_store()
        lines = self.some_lines(self.rng.randrange(1, 60), here=False)
        if self.rng.random() < 0.5:
            p = self.start(s, "evstore-restore", self.file("in", b"".join(lines)))
            self.feed(p, [[]], 0.02)
        else:
            p = self.start(s, "evstore-restore", "-")
            self.feed(p, [lines[i : i + 9] for i in range(0, len(lines), 9)], 0.01)
        self.spend(s, lines, restore=True)
        self.restore(s, [lines])

    # comparing

    def compare(self, s):
        """All that can be seen of a store, against its model."""
        if not s.exists:
            self.run(s, "evstore-export", "--digest", status=66)
            return
        same(f"{s.name}: events, variants, clock", self.look(s), s.fingerprint())
        line = self.exported(s, "--digest").decode().strip()
        wrong = self.digests.check(line, s.contents())
        if wrong:
            raise Wrong(f"{s.name}: {wrong}")
        unsynced = {oracle.read_event(l).id for l in self.exported(s, "--unsynced").splitlines()}
        same(f"{s.name}: unsynced", unsynced, {i for i, e in s.entries.items() if not e.synced})
        once = self.rng.choice(TYPES)
        for kind in TYPES:
            self.compare_projections(s, kind, kind == once)
        r = self.run(s, "evstore-verify", "-q")
        said = json.loads(r.out)
        same(f"{s.name}: verify", [said[k] for k in ("verdict", "events", "conflicts", "digest")],
             ["ok", len(s.entries), len(s.variants), line])

    def compare_projections(self, s, kind, fully):
        right = list(s.projections(kind))
        for options, rows in (
            (["--list", kind, "--deleted"], right),
            (["--list", kind], [r for r in right if not r["deleted"]]),
            (["--trash", kind], [r for r in right if r["deleted"]]),
        )[: 3 if fully else 1]:
            said = []
            for line in self.run(s, "evstore-project", *options).out.splitlines():
                row = dict(oracle.parse(line))
                row.update((n, int(row[n].text)) for n in ("version", "deleted"))
                row["state"] = spelt(row["state"])
                said.append(row)
            same(f"{s.name}: {' '.join(options)}", said, rows)

    def play(self, steps):
        """Runs steps, (number, name) pairs, and compares now and then."""
        for i, name in steps:
            self.rng = random.Random(f"{self.seed}:{i}")
            self.at = f"step {i}, {name}"
            self.now += self.rng.choice([0, 0, 1, 20])
            if self.show:
                print(f"# {self.at}")
            getattr(self, "step_" + name)()
            if i % 5 == 4:
                self.at += ", then compared"
                for s in self.stores:
                    self.compare(s)
        self.at = "the end"
        for s in self.stores:
            self.compare(s)


NAMES = [n[5:] for n in sorted(dir(World)) if n.startswith("step_")]


def steps_of(seed):
    rng = random.Random(seed)
    return list(enumerate(rng.choices(NAMES, k=rng.randrange(4, STEPS))))


def history(seed, steps, show=False):
    """None if all is well, else (what was wrong, where)."""
    folder = tap.folder()
    try:
        world = World(folder / "w", seed, show)
        try:
            world.play(steps)
        except Wrong as e:
            return str(e), world.at
        except Exception as e:  # pylint: disable=broad-except
            place = traceback.extract_tb(e.__traceback__)[-1]
            return f"{type(e).__name__}: {e}", f"{world.at}, {place}"
        return None
    finally:
        tap.remove(folder)


def shrink(seed, steps, until):
    """Fewer steps that still go wrong: halves, quarters, ... left out."""
    size = len(steps) // 2
    while size and time.monotonic() < until:
        for i in range(0, len(steps), size):
            fewer = steps[:i] + steps[i + size :]
            if fewer and time.monotonic() < until and history(seed, fewer):
                steps = fewer
                break
        else:
            size //= 2
    return steps


def one(seed):
    """A history: how many steps, and what was wrong or None."""
    steps = steps_of(seed)
    wrong = history(seed, steps)
    if not wrong:
        return len(steps), None
    fewer = shrink(seed, steps, time.monotonic() + 30)
    what, where = history(seed, fewer) or wrong
    shown = f"seed {seed} (tests/model.sh {seed}): {where}\n{what}\nsteps: {fewer}"
    return len(steps), shown


def many(until):
    """Histories until then, or until some have failed: how many, their steps, findings."""
    rng = random.SystemRandom()
    histories = steps = 0
    found = []
    while time.monotonic() < until and len(found) < 3:
        n, wrong = one(rng.randrange(10**9))
        histories, steps = histories + 1, steps + n
        found += [wrong] if wrong else []
    return histories, steps, found


def main(argv):
    out = tap.Tap()
    if argv:
        seed = int(argv[0])
        steps = steps_of(seed)
        wrong = history(seed, steps, True)
        out.result(f"model: seed {seed}: {len(steps)} steps", ["\n".join(wrong)] if wrong else [])
        return out.finish()
    with tap.workers() as pool:
        done = pool.map(many, [time.monotonic() + SECONDS] * tap.JOBS)
    histories, steps = (sum(d[i] for d in done) for i in (0, 1))
    out.result(f"model: {histories} histories, {steps} steps", [w for d in done for w in d[2]])
    return out.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
