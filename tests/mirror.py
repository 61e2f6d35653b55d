"""mirror.py [SEED]: mirror-compare on random sources, beside its rules, written down a
second time from design.md and the man page. With a SEED that one case, shown; else as
many as fit into MODEL_SECONDS. Front: mirror.sh.

Rules holds values where mirror-compare holds digests, in dicts that never spill. What
is printed is compared line by line: without its time and its reasons, and whatever the
order of lines and members. A case that fails is made shorter by leaving out lines.
"""
import collections
import datetime
import fractions
import json
import os
import pathlib
import random
import re
import sqlite3
import subprocess
import sys
import time
import traceback

import oracle
import tap
from model import written
from oracle import Number, Object
from tap import SMALL, Run

SECONDS = float(os.environ.get("MODEL_SECONDS", "15" if SMALL else "600"))
ROWS = 100000
BUILD = pathlib.Path(os.environ.get("LIFEBOAT_BUILD", tap.TOP / "build"))
CLASSES = "missing extra changed duplicate bad pending edge".split()
SECOND = 10**6  # times are microseconds
# Seconds. Most rows are ahead of this machine's clock: the newest of them is the clock then.
NOW, LAG = 4102444800, 600
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


class Wrong(Exception):
    """mirror-compare and the rules differ."""


def moment(v):
    """Microseconds of a time stamp, however it is spelled; None: it is none."""
    if isinstance(v, str) and re.fullmatch(r"-?\d+(\.\d+)?", v):
        v = Number(v)
    if isinstance(v, Number):
        n = number(v)
        for end, unit in ((10**11, SECOND), (10**14, 1000), (10**17, 1)):
            if abs(n) < end:
                whole = abs(n) * unit // 1
                return int(-whole if n < 0 else whole)
        return None
    try:
        t = datetime.datetime.fromisoformat(v)
    except (TypeError, ValueError):
        return None
    t = t if t.tzinfo else t.replace(tzinfo=datetime.timezone.utc)
    return (t - EPOCH) // datetime.timedelta(microseconds=1)


def number(v):
    return fractions.Fraction(int(v.sign + (v.digits or "0"))) * fractions.Fraction(10) ** v.exp


class Row:
    """A line of a source: what it says, or why it is bad."""

    def __init__(self, line, side, place, rules):
        self.side, self.place, self.bad, self.key = side, place, None, None
        self.whole, self.members = None, {}
        try:
            self.whole = oracle.parse(line)
        except oracle.Bad as e:
            self.bad = str(e)
            return
        self.members = dict(self.whole) if isinstance(self.whole, Object) else {}
        if not isinstance(self.whole, Object):
            self.bad = "no object"
        elif len(self.members) != len(self.whole):
            self.bad = "a member comes twice"
        elif not set(rules.key) & set(self.members):
            self.bad = "no key"
        else:
            self.key = tuple(key_of(self.member(k)) for k in rules.key)
            self.at = moment(self.members.get(rules.ts))

    def names(self, line, name):
        return self.whole is None and b'"%s"' % name.encode() in line

    def member(self, name):
        """Its value, in a tuple of one: null is another thing than None, which is none."""
        return (self.members[name],) if name in self.members else None


class Rules:
    """What makes two sources equal."""

    def __init__(self, options):
        self.key = options.get("key", "tag_id,order_id").split(",")
        self.ts = options.get("ts", "updated_at")
        self.fields = options["fields"].split(",") if "fields" in options else None
        self.ignore = options.get("ignore", "").split(",")
        self.tolerances = options.get("tol", {})
        self.ts_tolerance = options.get("ts_tol", 0) * SECOND
        self.limit = options.get("limit", 0)
        self.lag = options.get("lag", 0) * SECOND
        self.named = {*self.key, *(self.fields or []), *self.tolerances}
        self.named |= {options["ts"]} if "ts" in options else set()

    def side(self, name, text):
        """Rows by key; the bad ones; since when the side is whole; its newest; how many."""
        rows, bad, lines = collections.defaultdict(list), [], 0
        for place, line in enumerate(text.split(b"\n"), 1):
            line = line.removeprefix(b"\xef\xbb\xbf") if place == 1 else line
            line = line.removesuffix(b"\r")
            if not line.strip(b" \t"):
                continue
            lines += 1
            row = Row(line, name, place, self)
            # What cannot be read to its end has named what stands before that.
            self.unmet -= {n for n in self.unmet if n in row.members or row.names(line, n)}
            if row.bad:
                bad.append(row)
            else:
                rows[row.key].append(row)
        times = [r.at for rs in rows.values() for r in rs if r.at is not None]
        begins = min(times) if times and lines == self.limit else None
        return rows, bad, begins, max(times, default=None), lines

    def same(self, name, a, b):
        if a is None or b is None:
            return a is b
        if name == self.ts:
            s, t = moment(a[0]), moment(b[0])
            if s is not None and t is not None:
                return abs(s - t) <= self.ts_tolerance
        a, b = a[0], b[0]
        if oracle.key(a) == oracle.key(b):
            return True
        tolerance = self.tolerances.get(name)
        if not tolerance or not isinstance(a, Number) or not isinstance(b, Number):
            return False
        how, limit = tolerance.split(":")
        x, y, limit = number(a), number(b), fractions.Fraction(limit)
        return abs(x - y) <= limit * (max(abs(x), abs(y)) if how == "rel" else 1)

    def difference(self, a, b):
        """The fields that differ: name, old, new."""
        for name in {**a.members, **b.members}:
            if not self.compares(name):
                continue
            x, y = a.member(name), b.member(name)
            if not self.same(name, x, y):
                yield name, x, y

    def is_recent(self, rows, newest):
        """Newer than the lag, as told by the newest row of all."""
        times = [r.at for r in rows if r.at is not None]
        return times and newest - max(times) < self.lag

    def alone(self, name, key, row, begins, newest):
        """A row that the other side, whole from begins on, has not."""
        if begins is not None and row.at is not None and row.at <= begins:
            name = "edge"
        elif self.is_recent([row], newest):
            name = "pending"
        return name, key, row.side, oracle.key(row.whole), row.place

    def pair(self, key, a, b, newest):
        """Two rows of one key: None where they are the same."""
        fields = frozenset((n, key_of(x), key_of(y)) for n, x, y in self.difference(a, b))
        if not fields:
            return None
        # Of one moment, and not the same: nothing is on its way.
        moves = a.at != b.at and self.is_recent([a, b], newest)
        return "pending" if moves else "changed", key, fields, a.place, b.place

    def alike(self, copies):
        """Where copies of a key are not, there is no telling what the other side should have."""
        return not any(self.content(copies[0]) != self.content(c) for c in copies[1:])

    def content(self, row):
        """What is compared, tolerances aside."""
        return {n: moment(v) if n == self.ts and moment(v) is not None else oracle.key(v)
                for n, v in row.members.items() if self.compares(n)}

    def compares(self, name):
        if name in self.key or name in self.ignore:
            return False
        return self.fields is None or name in self.fields

    def judge(self, old, new):
        """What is to be said, as values: (lines, counts, status)."""
        self.unmet = set(self.named)
        olds, old_bad, old_begins, old_newest, n = self.side("old", old)
        news, new_bad, new_begins, new_newest, m = self.side("new", new)
        if not n or not m or self.unmet:
            return [], {"result": "ERROR"}, 65
        # The clock: this machine's, or the newest row's where that is later.
        now = int(time.time()) * SECOND
        newest = max([now, *(t for t in (old_newest, new_newest) if t is not None)])
        said = [("bad", r.side, r.place) for r in old_bad + new_bad]
        for side, rows in (("old", olds), ("new", news)):
            said += [("duplicate", k, side, tuple(r.place for r in rs))
                     for k, rs in rows.items() if len(rs) > 1]
        equal = 0
        for k in {**olds, **news}:
            a, b = olds.get(k), news.get(k)
            if not b:
                said.append(self.alone("missing", k, a[0], new_begins, newest))
            elif not a:
                said.append(self.alone("extra", k, b[0], old_begins, newest))
            elif self.alike(a) and self.alike(b):
                difference = self.pair(k, a[0], b[0], newest)
                said += [difference] if difference else []
                equal += not difference
        counts = collections.Counter(s[0] for s in said)
        wrong = any(counts[c] for c in CLASSES[:5])
        sums = {"result": "NG" if wrong else "OK", "old": n, "new": m, "equal": equal}
        return said, {**sums, **{c: counts[c] for c in CLASSES}}, int(wrong)


def key_of(x):
    return x and oracle.key(x[0])


def read(line, rules):
    """What a line says, as judge has it."""
    m = dict(oracle.parse(line))
    name, key = m["class"], None
    if "key" in m:
        said = dict(m["key"])
        if [n for n, _ in m["key"]] != [n for n in rules.key if n in said]:
            raise Wrong(f"the key of {line!r}")
        key = tuple(oracle.key(said[n]) if n in said else None for n in rules.key)
    place = {n: int(m[n].text) for n in ("old_line", "new_line", "line") if n in m}
    if name == "bad":
        if not m["why"] or int(m["offset"].text) < 0:
            raise Wrong(f"no reason or place: {line!r}")
        return name, m["side"], place["line"]
    if name == "duplicate":
        return name, key, m["side"], tuple(int(n.text) for n in m["lines"])
    if "fields" in m:
        fields = [dict(f) for f in m["fields"]]
        pairs = [(f["field"], *(oracle.key(f[s]) if s in f else None for s in ("old", "new")))
                 for f in fields]
        if len(set(pairs)) != len(pairs):
            raise Wrong(f"a field twice: {line!r}")
        return name, key, frozenset(pairs), place["old_line"], place["new_line"]
    side = "old" if "old" in m else "new"
    return name, key, side, oracle.key(m[side]), place[side + "_line"]


def check(run, judged, rules, most):
    """Raises Wrong where a run said something else than was judged."""
    said, counts, status = judged
    if run.status != status:
        raise Wrong(f"status {run.status}, not {status}: {run}")
    lines = run.out.splitlines()
    if not lines:
        raise Wrong(f"no summary: {run}")
    summary = json.loads(lines.pop())
    got = {k: v for k, v in summary.items() if k not in ("ms", "config", "why")}
    if got != counts:
        raise Wrong(f"summary\n  said:  {got}\n  right: {counts}")
    # Those that are wrong come first; what is not has as many lines of its own.
    allowed = most or len(said)
    parts = (CLASSES[:5], CLASSES[5:])
    room = sum(min(allowed, sum(counts.get(c, 0) for c in part)) for part in parts)
    if len(lines) != room:
        raise Wrong(f"{len(lines)} lines, not {room}")
    printed, right = (collections.Counter(x) for x in ([read(l, rules) for l in lines], said))
    more, less = printed - right, right - printed
    if more or (less and allowed >= len(said)):
        raise Wrong(f"lines\n  said:  {list(more)}\n  right: {list(less)}")


# --- random sources -----------------------------------------------------------------------

KEYS = ("tag_id,order_id", "tag_id", "order_id,lot,tag_id")
NUMBERS = (
    "0", "-0.0", "1", "2", "3.10", "3.11", "3.2", "100", "1e2", "-2.50e-3", "1e400", "1e-400",
    "0.30000000000000004", "0.3", "9007199254740993", "9007199254740992", "18446744073709551617",
)
NEAR = ("3.1", "3.11", "3.2", "3.5", "-3.5", "100", "1.1e2", "100.09", "111", "111.11", "0")
TEXTS = ("", "A", "B", "a", "é", "e\u0301", "棚-03", "1", "null", "A\u0000", "\U0001f527", '"\\')
TOLERANCES = ("abs:0", "abs:0.01", "abs:0.1", "abs:1", "rel:0", "rel:0.001", "rel:0.1", "rel:1")
RUBBISH = (
    b"{", b"[]", b"7", b"null", b'{"tag_id":1', b"\xff", b"{}", b'{"tag_id":"\xc3"}', b"\0",
    b'{"tag_id":01}', b'{"tag_id":"A","order_id":"A","lot":"A","updated_at":0} x',
    b'{"tag_id":"A","tag_id":"A","order_id":1,"lot":1}',
)
# Keys that nobody means, and that have no place in an order.
ODD = (
    b'{"tag_id":"A","updated_at":0}', b'{"order_id":"A","lot":null}', b'{"tag_id":null}',
    b'{"tag_id":[],"order_id":1,"lot":1}', b'{"tag_id":[0.0e1],"order_id":{},"lot":1}',
)
BLANK = (b"", b" ", b"\t ")
AGES = (0, 1, LAG - 1, LAG, LAG + 1, 86400, 10**7)


def a_value(rng):
    number, text = Number(rng.choice(NUMBERS)), rng.choice(TEXTS)
    kind = rng.randrange(8)
    if kind < 4:
        return number if kind < 2 else text
    if kind < 6:
        return None if kind < 5 else rng.random() < 0.5
    if kind == 6:
        return [a_value(rng) for _ in range(rng.randrange(3))]
    return Object((n, a_value(rng)) for n in rng.sample(["x", "y", ""], rng.randrange(3)))


def a_part(rng):
    texts = rng.choice(TEXTS), rng.choice(TEXTS[:3])
    return rng.choice([Number(rng.choice(NUMBERS[:8])), *texts, None, True])


def a_time(us, rng):
    """One instant, as some system spells it."""
    digits = [d for d in (0, 3, 6, 9) if d >= 6 or us % 10 ** (6 - d) == 0]
    shift = rng.choice([0, 0, 540, -300, 345])
    t = EPOCH + datetime.timedelta(microseconds=us, minutes=shift)
    d = rng.choice(digits)
    text = t.strftime("%Y-%m-%dT%H:%M:%S") + (f".{us % SECOND:06d}000"[: d + 1] if d else "")
    zone = f"{'-' if shift < 0 else '+'}{abs(shift) // 60:02d}:{abs(shift) % 60:02d}"
    postgres = [zone, zone.replace(":", "")] + ([zone[:3]] if shift % 60 == 0 else [])
    spellings = [text + zone, text.replace("T", " ") + rng.choice(postgres)]
    spellings += [text + "Z"] if not shift else []
    if us % 1000 == 0:
        spellings.append(Number(str(us // 1000)))
    whole, part = divmod(us, SECOND)
    spellings.append(Number(f"{whole}.{part:06d}" if part else str(whole)))
    return rng.choice(spellings)


class Case:
    """Two sources and how to compare them, all of it from a seed."""

    def __init__(self, seed):
        self.rng = rng = random.Random(seed)
        self.options = {"key": rng.choice(KEYS)}
        # Most are small: that is where rules meet. 20,000 rows a side do not fit into 1M.
        size = rng.choices([30, 2000, 20000], [95, 4.5, 0.5])[0]
        self.draw(rng, rng.randrange(size * 4 // 3))
        logical = self.rows(rng.randrange(1, size) if size < 100 else size)
        trouble = rng.choice([0, 0, 0.03, 0.2])
        self.sides = [self.side(logical, trouble) for _ in range(2)]
        self.tail = rng.choice([b"\n", b"\n", b""])

    def draw(self, rng, limit):
        """Options, each of them now and then."""
        o = self.options
        if rng.random() < 0.3:
            o["ts"] = rng.choice(["updated_at", "updated_at", "lot", "nowhere"])
        drawn = {"lag": [0, 1, LAG], "ts_tol": [0, 1, 5], "limit": [max(1, limit)]}
        o.update((n, rng.choice(v)) for n, v in drawn.items() if rng.random() < 0.4)
        if rng.random() < 0.5:
            names = rng.sample(["qty", "note", "station"], rng.randrange(1, 3))
            o["tol"] = {n: rng.choice(TOLERANCES) for n in names}
        if rng.random() < 0.2:
            o["ignore"] = ",".join(rng.sample(["note", "station", "updated_at", "nowhere"], 2))
        elif rng.random() < 0.2:
            o["fields"] = ",".join(rng.sample(["note", "qty", "updated_at", "nowhere"], 2))
        self.sorted = rng.random() < 0.25
        self.memory = rng.choice([None, "1M"])
        self.recorded = rng.random() < 0.2
        self.spread = rng.choice([1, 3, 20])
        self.most = rng.choice([0, 1, 5, 1000, 1000, 1000000])

    def rows(self, count):
        """What both sides should have: key to members."""
        rng, rows = self.rng, {}
        wide = count > 100
        for i in range(count):
            row = {n: a_part(rng) for n in ("tag_id", "order_id", "lot")}
            if wide:
                row["tag_id"] = f"T{i:05d}"
            row.update((n, self.value(n)) for n in ("qty", "note", "station") if rng.random() < 0.8)
            row["at"] = self.a_moment()
            rows.setdefault(tuple(oracle.key(row[k]) for k in self.options["key"].split(",")), row)
        return list(rows.values())

    def value(self, name):
        """Where there is a tolerance, mostly one that may be near another."""
        near = name in self.options.get("tol", ()) and self.rng.random() < 0.8
        return Number(self.rng.choice(NEAR)) if near else a_value(self.rng)

    def a_moment(self):
        rng = self.rng
        age = rng.choice(AGES) + rng.randrange(self.spread)
        return (NOW - age) * SECOND + rng.choice([0, 0, 0, 1000, 123456, 999999])

    def side(self, logical, trouble):
        """The lines of one side, some rows of it lost, added, changed or repeated."""
        rng, rows = self.rng, []
        for row in logical:
            row = dict(row)
            if rng.random() < trouble:
                self.mar(row)
            if rng.random() < 0.1:
                row["at"] += rng.choice([1, 999999, SECOND, 5 * SECOND, -SECOND, -5 * SECOND - 1])
            rows += [row] * (1 if rng.random() >= trouble else rng.choice([0, 0, 2, 2, 3]))
        rows += [r for _ in range(int(trouble * 10)) for r in self.rows(1)]
        # Those that are lost are often the oldest: by the limit, or for no good reason.
        rows.sort(key=lambda r: -r["at"])
        if rng.random() < 0.7:
            rows = rows[: self.options.get("limit", len(rows))]
        elif rng.random() < 0.5:
            rows = rows[: len(rows) - rng.randrange(3)]
        lines = [(self.order(r), self.line(r)) for r in rows]
        rng.shuffle(lines)
        if self.sorted:
            lines.sort(key=lambda l: l[0])
        lines = [l for _, l in lines]
        for _ in range(rng.choice([0, 0, 0, 1, 3]) if trouble else 0):
            odd = RUBBISH + BLANK + (() if self.sorted else ODD)
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(odd))
        return lines

    def mar(self, row):
        rng = self.rng
        name = rng.choice(["qty", "note", "station", *self.options.get("tol", ())])
        if rng.random() < 0.2:
            row.pop(name, None)
        else:
            row[name] = rng.choice([None, "", self.value(name), self.value(name), self.value(name)])

    def order(self, row):
        """Where --sorted wants a row."""
        return [sorting(row[k]) for k in self.options["key"].split(",")]

    def line(self, row):
        rng = self.rng
        members = [(n, v) for n, v in row.items() if n != "at"]
        members.append(("updated_at", a_time(row["at"], rng)))
        if rng.random() < 0.5:
            rng.shuffle(members)
        return written(Object(members), rng).encode() + rng.choice([b"", b"", b"\r", b" "])


def sorting(v):
    """null, false, true, numbers by value, strings by their bytes."""
    if isinstance(v, Number):
        return 3, number(v)
    return (4, v.encode()) if isinstance(v, str) else ((None, False, True).index(v), 0)


# --- cases --------------------------------------------------------------------------------


def arguments(case):
    o = case.options
    argv = ["--key", o["key"]]
    for name in ("ts", "limit", "fields", "ignore"):
        argv += [f"--{name}", str(o[name])] if name in o else []
    for name in ("lag", "ts_tol"):
        argv += [f"--{name.replace('_', '-')}", str(o[name])] if name in o else []
    for name, how in o.get("tol", {}).items():
        argv += ["--tol", f"{name}={how}"]
    argv += ["--sorted"] if case.sorted else []
    argv += ["--memory", case.memory] if case.memory else []
    return argv + ["--max-diffs", str(case.most)]


def sources(case, folder):
    """How the sides are handed over: files, stdin, commands, a pipe."""
    data = b""
    argv = []
    standing = case.rng.randrange(4)
    for i, name in enumerate(("old", "new")):
        (folder / name).write_bytes(joined(case.sides[i], case.tail))
    if standing == 0:
        argv = ["--old-cmd", "cat old", "--new-cmd", "cat new"]
    elif standing == 1:
        argv, data = ["-", "new"], (folder / "old").read_bytes()
    elif standing == 2:
        argv, data = ["old", "-"], (folder / "new").read_bytes()
    else:
        argv = ["old", "new"]
    return argv, data


def joined(lines, tail):
    # A last line that is bad and has no end would be one that was cut.
    end = b"\n" if lines and lines[-1] in RUBBISH + BLANK else tail
    return b"\n".join(lines) + (end if lines else b"")


def play(case, folder):
    """Raises Wrong where mirror-compare and the rules differ."""
    rules = Rules(case.options)
    sides = [joined(s, case.tail) for s in case.sides]
    argv, data = sources(case, folder)
    argv = ["mirror-compare", *arguments(case), *argv]
    if case.recorded:
        (folder / "status").mkdir()
        argv += ["--status-dir", "status"]
    run = Run(*argv, data=data, cwd=folder, env=tap.environment())
    check(run, rules.judge(*sides), rules, case.most)
    if case.recorded:
        # What was on its way and has not come is a difference in the next run.
        rules.lag = 0
        run = Run(*argv, data=data, cwd=folder, env=tap.environment())
        judged = rules.judge(*sides)
        check(run, judged, rules, case.most)
        ledger = (folder / "status/mirror_status.log").read_bytes().splitlines()
        if json.loads(ledger[1])["result"] != judged[1]["result"]:
            raise Wrong(f"noted as {ledger[1]!r}, not {judged[1]['result']}")


def outcome(case):
    """None if all is well, else what was wrong."""
    folder = tap.folder()
    try:
        play(case, folder)
    except Wrong as e:
        return str(e)
    except Exception as e:  # pylint: disable=broad-except
        place = traceback.extract_tb(e.__traceback__)[-1]
        return f"{type(e).__name__}: {e}, {place}"
    finally:
        tap.remove(folder)
    return None


def shrink(case, until):
    """Fewer lines that still go wrong: halves, quarters, ... of a side left out."""
    for side in (0, 1):
        size = len(case.sides[side]) // 2 + 1
        while size and time.monotonic() < until:
            for i in range(0, len(case.sides[side]), size):
                kept = case.sides[side]
                case.sides[side] = kept[:i] + kept[i + size :]
                if outcome(case):
                    break
                case.sides[side] = kept
            else:
                size //= 2


def one(seed, show=False):
    """None if all is well, else what was wrong and with what."""
    case = Case(seed)
    wrong = outcome(case)
    if wrong:
        shrink(case, time.monotonic() + 20)
        wrong = outcome(case) or wrong
    if not wrong and not show:
        return None
    shown = [f"seed {seed} (tests/mirror.sh {seed}): {' '.join(arguments(case))}", wrong or "well"]
    for name, lines in zip(("old", "new"), case.sides):
        shown += [f"{name}: {l.decode(errors='backslashreplace')}" for l in lines[:20]]
    return "\n".join(shown)


def many(until):
    """Cases until then, or until some have failed: how many, findings."""
    rng = random.SystemRandom()
    cases, found = 0, []
    while time.monotonic() < until and len(found) < 3:
        wrong = one(rng.randrange(10**9))
        cases += 1
        found += [wrong] if wrong else []
    return cases, found


# --- SQL ----------------------------------------------------------------------------------


def by_sql(folder):
    """The classes of the rows in old and new, as SQLite's joins tell them."""
    db = sqlite3.connect(":memory:")
    db.create_function("moment", 1, lambda v: moment(Number(str(v)) if isinstance(v, int) else v))
    for side in ("old", "new"):
        db.execute(f"CREATE TABLE raw_{side}(j)")
        with open(folder / side, encoding="utf-8") as f:
            db.executemany(f"INSERT INTO raw_{side} VALUES (?)", ((l,) for l in f))
        db.execute(f"""CREATE TABLE {side} AS
            SELECT j->>'tag_id' AS tag, j->>'order_id' AS ord, j->>'location' AS location,
                j->>'qty' AS qty, j->>'lot' AS lot, moment(j->>'updated_at') AS at
            FROM raw_{side}""")
        db.execute(f"CREATE UNIQUE INDEX {side}_key ON {side}(tag, ord)")
    asked = {
        "changed": """SELECT tag, ord FROM old JOIN new USING (tag, ord)
            WHERE (old.location, old.qty, old.lot, old.at)
                IS NOT (new.location, new.qty, new.lot, new.at)""",
        "missing": "SELECT tag, ord FROM old EXCEPT SELECT tag, ord FROM new",
        "extra": "SELECT tag, ord FROM new EXCEPT SELECT tag, ord FROM old",
    }
    return {name: sorted(db.execute(sql)) for name, sql in asked.items()}


def beside_sql():
    """What differs between mirror-compare and SQL on ROWS rows: findings."""
    folder, found = tap.folder(), []
    try:
        for kind, side in (("old", "old"), ("respelt", "new")):
            with open(folder / side, "wb") as f:
                subprocess.run([BUILD / "tools/genscans", str(ROWS), kind], stdout=f, check=True)
        right = by_sql(folder)
        if [len(v) for v in right.values()] != [ROWS // 200, ROWS // 400, ROWS // 400]:
            found.append("the rows are not those that were asked for")
        for memory in ("64M", "1M"):
            argv = ["--key", "tag_id,order_id", "--memory", memory, "--max-diffs", "0"]
            run = Run("mirror-compare", *argv, "old", "new", cwd=folder, env=tap.environment())
            said = collections.defaultdict(list)
            for line in map(json.loads, run.out.splitlines()[:-1]):
                said[line["class"]].append(tuple(line["key"].values()))
            said = {k: sorted(v) for k, v in said.items()}
            if run.status != 1 or said != right:
                found.append(f"--memory {memory}: {run}: {[(k, len(v)) for k, v in said.items()]}")
    finally:
        tap.remove(folder)
    return found


def main(argv):
    out = tap.Tap()
    if argv:
        wrong = outcome(Case(int(argv[0])))
        out.result(f"mirror: seed {argv[0]}", [one(int(argv[0]), True)] if wrong else [])
        if not wrong:
            print("# " + one(int(argv[0]), True).replace("\n", "\n# "))
        return out.finish()
    out.result(f"mirror: {ROWS} rows, beside SQL", beside_sql())
    with tap.workers() as pool:
        done = pool.map(many, [time.monotonic() + SECONDS] * tap.JOBS)
    cases = sum(d[0] for d in done)
    out.result(f"mirror: {cases} cases, beside the rules", [w for d in done for w in d[1]])
    return out.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
