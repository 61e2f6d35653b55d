"""damage.py [NAME...]: files, documents and stores damaged in every way, and what is
said of them. NAME is one of the materials below. Front: damage.sh.

Of each variant of a sealed file the right verdict and the right counters are derived
by oracle.py and demanded exactly: of evstore-verify, of evstore-restore with and
without --require-seal. Two runs end with the same digest line exactly when they end
with the same events. Of a damaged store evstore-verify may say ok only if the export
has the values of the undamaged one, in its order.

Every variant is verified; restored are those that are whole, and a share of the others,
into a blank store and one that has events, in turn.
"""
import collections
import functools
import hashlib
import itertools
import json
import multiprocessing
import operator
import pathlib
import random
import shutil
import sys

import oracle
import tap
from tap import SMALL, Run

STORES = 250 if SMALL else 6000
CHUNK = 200
EVERY_BYTE = ("plain", "empty", "odd", "posted")  # in small; in full all but the long one

# --- material ------------------------------------------------------------------------


def event(n, payload, **members):
    """An event's line; the payload is JSON text."""
    e = {
        "event_id": f"e{n}", "entity_type": "case", "entity_id": "k1", "actor_id": "ana",
        "ts_device": 1768000000000 + n, "event_type": "NOTE", **members,
    }
    return json.dumps(e, ensure_ascii=False)[:-1] + ',"payload":' + payload + "}"


NOTES = [
    event(1, '{"hr":60.50,"big":9007199254740993}'),
    event(2, '{"t":"手術 Ωμέγα 🛟","esc":"\\u00e9\\n\\ud83d","k":1,"k":2}', actor_name="Ünal"),
    event(3, "[[],{},null,true,-0.0,1e400]", zone="Δ", correlation_id="c1"),
    event(4, '"plain"', event_type="node.trashed", entity_version=4),
]
LONG = [event(5, '"' + "長" * 23000 + '"'), event(6, "[" + "1," * 40000 + "1]")]
# What the store of every second restore has: one of the events, and another e3.
THERE = [NOTES[0], event(3, "3"), event(9, "9")]


def joined(lines, end="\n"):
    return "".join(line + end for line in lines).encode()


def sealed(body):
    """A seal of our own making behind the lines of body."""
    count = sum(bool(t) and not oracle.is_control(t) for _, t in oracle.lines(body))
    seal = '{"lifeboat_end":{"count":%d,"sha256":"%s","from":"start","to":"start"}}\n'
    return body + (seal % (count, hashlib.sha256(body).hexdigest())).encode()


def store_of(path, *bodies):
    for b in bodies:
        Run("evstore-restore", "-q", "-d", path, data=b, env=tap.environment())
    return path


def export(path, *options):
    r = Run("evstore-export", "-d", path, *options, env=tap.environment())
    if r.status:
        sys.exit(f"damage: {r}")
    return r.out


def odd_file():
    """CRLF, a blank line, other names, a cursor, a copy spelt otherwise, all sealed."""
    copy = NOTES[0].replace("60.50", "605e-1").replace('"e1"', '"\\u00651"')
    other = (
        '{"event_id":"e7","target_type":"t","target_id":"i","timestamp":1768000000007,'
        '"version":3,"actor_id":"x","event_type":"E","payload_json":{"a": 1}}'
    )
    cursor = '{"lifeboat_cursor":"0123456789abcdef:3:01234567"}'
    lines = [NOTES[0], "", " " + other, cursor, copy, NOTES[1]]
    return sealed(BOM + joined(lines, "\r\n"))


def our_document():
    head = '{"restore_session_id":"s-1","source_device_id":"ipad","source_device_name":null'
    tail = '], "more": false, "events_count": 2 }'
    return "\n".join([head, ',"events" : [', NOTES[0] + ",", NOTES[1], tail, ""]).encode()


def make(folder):
    """The materials by name: (bytes, kind)."""
    notes = store_of(folder / "notes.db", joined(NOTES))
    store_of(notes, joined([event(1, "1"), event(4, "4")]))
    long = store_of(folder / "long.db", joined(NOTES[:1] + LONG))
    blank = store_of(folder / "blank.db", b"")
    store_of(folder / "there.db", joined(THERE))
    return {
        "plain": (export(notes, "--seal"), "file"),
        "full": (export(notes, "--full", "--seal"), "file"),
        "part": (export(notes, "--limit", "2", "--seal"), "file"),
        "conflicts": (export(notes, "--conflicts", "--seal"), "file"),
        "empty": (export(blank, "--seal"), "file"),
        "odd": (odd_file(), "file"),
        "unsealed": (export(notes), "file"),
        "long": (export(long, "--seal"), "file"),
        "document": (export(notes, "--document"), "document"),
        "posted": (our_document(), "document"),
    }


# --- damage --------------------------------------------------------------------------


def cuts(data, step):
    for n in range(0, len(data), step):
        yield f"cut at byte {n}", data[:n]


def flips(data, step):
    for n in range(0, len(data), step):
        for bit in [n * 5 % 8] if SMALL or step > 1 else range(8):
            flipped = bytes([data[n] ^ 1 << bit])
            yield f"bit {bit} of byte {n} flipped", data[:n] + flipped + data[n + 1 :]


def shifts(data, step):
    step *= 7 if SMALL else 1
    for n in range(0, len(data), step):
        yield f"byte {n} lost", data[:n] + data[n + 1 :]
        yield f"byte {n} doubled", data[: n + 1] + data[n:]
        yield f"a NUL before byte {n}", data[:n] + b"\0" + data[n:]


def rows(data, _step):
    """Lines removed, doubled, swapped, moved."""
    parts = [raw for raw, _ in oracle.lines(data)]
    for i, one in enumerate(parts):
        yield f"line {i + 1} lost", b"".join(parts[:i] + parts[i + 1 :])
        yield f"line {i + 1} doubled", b"".join(parts[: i + 1] + parts[i:])
        rest = parts[:i] + parts[i + 1 :]
        for j in range(len(parts)):
            yield f"line {i + 1} moved to {j + 1}", b"".join(rest[:j] + [one] + rest[j:])
    for i, j in itertools.combinations(range(len(parts)), 2):
        swapped = list(parts)
        swapped[i], swapped[j] = parts[j], parts[i]
        yield f"lines {i + 1} and {j + 1} swapped", b"".join(swapped)


BOM = b"\xef\xbb\xbf"
MARKS = (b"\n", b"\r\n", b" \t\n", BOM, BOM + b"\n", b"\0", b"{}\n", b" ", b"\r", b"{")
ENDS = (b"\r\n", b" \n", b"\t\r\n", b"\0\n", b"")


def dressing(data, _step):
    """What editors, mailers and other systems do to ends and beginnings of lines."""
    parts = [raw for raw, _ in oracle.lines(data)]
    yield "CRLF", data.replace(b"\n", b"\r\n")
    yield "CR", data.replace(b"\n", b"\r")
    yield "no CR", data.replace(b"\r\n", b"\n")
    yield "UTF-16", data.decode().encode("utf-16")
    yield "no last LF", data.rstrip(b"\n")
    for i in range(len(parts) + 1):
        for extra in MARKS:
            yield f"{extra} before line {i + 1}", b"".join(parts[:i] + [extra] + parts[i:])
    for i, one in enumerate(parts):
        for end in ENDS:
            dressed = parts[:i] + [one.replace(b"\n", end)] + parts[i + 1 :]
            yield f"line {i + 1} ends with {end}", b"".join(dressed)


def joins(data, _step):
    """Two files in one."""
    mates = {
        "itself": data,
        "notes": joined(NOTES),
        "sealed notes": sealed(joined(NOTES)),
        "others": sealed(joined([event(8, "8")])),
        "the empty one": sealed(b""),
    }
    for name, mate in mates.items():
        for a, b, how in ((data, mate, f"before {name}"), (mate, data, f"behind {name}")):
            yield how, a + b
            yield how + ", no LF between", a.rstrip(b"\n") + b
            yield how + ", with a blank line", a + b"\n" + b
            yield how + ", the first one cut", a[: len(a) // 2] + b
            yield how + ", a line missing", b"".join([r for r, _ in oracle.lines(a)][:-1]) + b


KINDS = {f.__name__: f for f in (cuts, flips, shifts, rows, dressing, joins)}
BY_BYTE = ("cuts", "flips", "shifts")


def share(form, kind):
    """One in how many is restored though it is not whole. It is odd, so that blank
    stores and others alternate."""
    if kind in BY_BYTE:
        return 25 if SMALL else 5
    return 5 if SMALL and form == "file" else 1


def variants(name, data, kind):
    """All of one kind; of long files a sample, every byte at the ends of lines."""
    step = 1 if len(data) < 5000 else 1999 if SMALL else 499
    if SMALL and name not in EVERY_BYTE:
        step = max(step, 3)
    yield from KINDS[kind](data, step)
    if step > 90 and kind == "cuts":
        for end in [i for i, c in enumerate(data) if c == 10]:
            for n in range(max(0, end - 5), min(len(data), end + 6)):
                yield f"cut at byte {n}", data[:n]


# --- judging ---------------------------------------------------------------------------


DIGESTS = oracle.Digests()
WORK = None  # a folder of each worker's own


def differ(name, said, wanted):
    if said == wanted:
        return []
    wrong = {k: (said.get(k), v) for k, v in wanted.items() if said.get(k) != v}
    return [f"{name}: said and right: {wrong}"]


def answer(run):
    """The JSON object a command printed, {} if it printed none."""
    try:
        return json.loads(run.out)
    except ValueError:
        return {}


def verify(batch):
    """One process for variants of one verdict, whose status must be that verdict's."""
    found = []
    for verdict, group in batch.items():
        paths = []
        for i, (name, data, r) in enumerate(group):
            paths.append(WORK / f"v{i}")
            paths[-1].write_bytes(data)
        run = Run("evstore-verify", "-q", *paths, env=tap.environment())
        answers = run.out.splitlines()
        wanted = {"ok": 0, "bad": 1, "inconclusive": 2}[verdict]
        if run.status != wanted or len(answers) != len(group):
            found.append(f"{group[0][0]} ...: {len(answers)} answers, not {len(group)}; {run}")
        for (name, data, r), line in zip(group, answers):
            found += judge_verdict(name, r, json.loads(line))
    return found


def judge_verdict(name, r, said):
    inserted, present, conflicts, store = r.intake()
    seal = "whole" if r.whole() else "broken" if r.seals or r.torn_seal else "none"
    wanted = {
        "verdict": r.verdict(), "checked": "file", "events": inserted, "duplicates": present,
        "conflicts": conflicts, "seal": seal,
    }
    if not r.torn:
        wanted["bad_lines"] = r.refused + r.odd
    found = differ(name + ": verify", {k: said.get(k) for k in wanted}, wanted)
    wrong = DIGESTS.check(said["digest"], store)
    return found + [f"{name}: verify: {wrong}"] * bool(wrong)


def counters(received, refused, intake, fits):
    inserted, present, conflicts, _ = intake
    rejected = refused + conflicts
    return {
        "status": "PARTIAL" if rejected or not fits else "COMPLETED",
        "events_received": received, "events_inserted": inserted,
        "events_already_present": present, "events_rejected": rejected, "conflicts": conflicts,
    }


def wipe():
    for p in WORK.glob("s.db*"):
        p.unlink()


def restore(name, data, wanted, intake, there, *options):
    """One restore of the variant, into a blank store or one with events. wanted is None
    where it must be refused, and then nothing may be left of it."""
    wipe()
    if there:
        shutil.copyfile(WORK.parent / "there.db", WORK / "s.db")
    (WORK / "in").write_bytes(data)
    files = [WORK / "in"]
    if wanted is None and "--document" not in options:
        (WORK / "good").write_bytes(sealed(joined([event(7, "7")])))
        files.insert(0, WORK / "good")  # whole, but nothing of any is stored
    run = Run("evstore-restore", "-d", WORK / "s.db", *options, *files, env=tap.environment())
    said = answer(run)
    label = " ".join([f"{name}: restore", *options, "into there.db" * bool(there)])
    if wanted is None:
        status, store, wanted = 65, dict(there), {"status": "FAILED", "events_received": 0}
        left = {path.name for path in WORK.glob("s.db*")}
        if not there and left - {"s.db-restore", "s.db-gate"}:
            return [f"{label}: refused, and yet there is a store"]
    else:
        status, store = int(wanted["status"] == "PARTIAL"), intake[3]
    found = differ(label, {k: said.get(k) for k in wanted}, wanted)
    if run.status != status:
        found.append(f"{label}: status {run.status}, not {status}: {run}")
    if store or wanted["status"] != "FAILED":
        wrong = DIGESTS.check(said.get("digest") or "none 0", store)
        found += [f"{label}: {wrong}"] * bool(wrong)
    return found


def judge_file(name, data, r, there):
    intake, refused = r.intake(there), r.refused + r.odd
    wanted = counters(len(r.events) + refused, refused, intake, not (r.broken or r.torn))
    found = restore(name, data, wanted, intake, there)
    if not r.whole():
        wanted = None
    return found + restore(name, data, wanted, intake, there, "--require-seal")


def judge_document(name, data, there):
    try:
        parts = oracle.read_document(data)
    except oracle.Bad:
        return restore(name, data, None, None, there, "--document")
    r = oracle.Reading(b"")
    for p in parts:
        ev = None if oracle.is_control(p) else oracle.elsewhere(p)
        r.events += [ev] if ev else []
    intake = r.intake(there)
    wanted = counters(len(parts), len(parts) - len(r.events), intake, True)
    return restore(name, data, wanted, intake, there, "--document")


def there_now():
    return {e.id: e.content() for e in oracle.Reading(joined(THERE)).events}


def work_at(task):
    """A chunk of variants: (findings, how many, how many restored, verdicts)."""
    name, data, form, kind, begin = task
    found, n, restored, verdicts = [], 0, 0, collections.Counter()
    batch = collections.defaultdict(list)
    some = itertools.islice(variants(name, data, kind), begin, begin + CHUNK)
    for i, (how, damaged) in enumerate(some, begin):
        how = f"{name}: {how}"
        there = there_now() if i % 2 else {}
        n += 1
        if form == "document":
            if i % share(form, kind) == 0:
                restored += 1
                found += judge_document(how, damaged, there)
            continue
        r = oracle.Reading(damaged)
        verdicts[r.verdict()] += 1
        batch[r.verdict()].append((how, damaged, r))
        if r.whole() or i % share(form, kind) == 0:
            restored += 1
            found += judge_file(how, damaged, r, there)
    return (name, kind), found + verify(batch), n, restored, verdicts


# --- stores ------------------------------------------------------------------------------

PAGE = 4096


def hurt(data, rng):
    """The bytes of a database after an accident, and its name."""
    pages = len(data) // PAGE
    n, p, q = rng.randrange(len(data)), rng.randrange(pages), rng.randrange(pages)
    page = data[q * PAGE : (q + 1) * PAGE]

    def put(at, new):
        return data[:at] + new + data[at + len(new) :]

    # Most of a page may be unused: damage where there is something is worth more.
    used = [i for i in range(p * PAGE, (p + 1) * PAGE) if data[i]] or [n]
    at = rng.choice(used)
    how = rng.choice("bit bit bit bit byte byte field sector zero swap cut tail append".split())
    if how == "bit":
        bit = rng.randrange(8)
        return f"bit {bit} of byte {at}", put(at, bytes([data[at] ^ 1 << bit]))
    if how == "byte":
        new = rng.randrange(256)
        return f"byte {at} set to {new}", put(at, bytes([new]))
    if how == "field":
        return f"four bytes at {at}", put(at, rng.randbytes(4))[: len(data)]
    if how == "sector":
        return f"sector {n // 512} zeroed", put(n // 512 * 512, bytes(512))
    if how == "zero":
        return f"page {p} zeroed", put(p * PAGE, bytes(PAGE))
    if how == "swap":
        return f"page {p} overwritten with page {q}", put(p * PAGE, page)
    if how == "cut":
        return f"cut to {p} pages", data[: p * PAGE]
    if how == "tail":
        return f"cut to {n} bytes", data[:n]
    return f"page {q} appended", data + page


def contents(lines):
    """The values of an export, in its order: their spelling nothing vouches for."""
    return [ev and ev.content() for ev in map(oracle.elsewhere, lines.splitlines())]


def stores_at(task):
    """Accidents of a store: verify is never wrongly content, nothing crashes or hangs."""
    seed, n = task
    rng, found, verdicts = random.Random(seed), [], collections.Counter()
    whole = (WORK.parent / "big.db").read_bytes()
    before = contents((WORK.parent / "big.jsonl").read_bytes())
    for _ in range(n):
        how, data = hurt(whole, rng)
        wipe()
        path = WORK / "s.db"
        path.write_bytes(data)
        run = Run("evstore-verify", "-q", "-d", path, env=tap.environment())
        verdict = answer(run).get("verdict")
        verdicts[verdict] += 1
        if {"ok": 0, "bad": 1, "inconclusive": 2}.get(verdict) != run.status:
            found.append(f"store, {how} (seed {seed}): verdict {verdict}: {run}")
        if path.read_bytes() != data:
            found.append(f"store, {how} (seed {seed}): verify changed it")
        got = Run("evstore-export", "-d", path, env=tap.environment())
        # 70: a column's name was hit, and SQLite takes the query for a wrong one.
        if got.status not in (0, 65, 66, 74, 78) + (70,) * (verdict == "bad"):
            found.append(f"store, {how} (seed {seed}): {got}")
        if verdict == "ok" and (got.status or contents(got.out) != before):
            found.append(f"store, {how} (seed {seed}): ok, but the export is another one: {got}")
    return ("store", "accidents"), found, n, 0, verdicts


def big_store(folder):
    """Some hundred events, long ones, conflicts, projections."""
    notes = [event(i, json.dumps({"n": i, "t": "λ" * (i % 50)}), entity_id=f"k{i % 9}",
                   entity_type=["case", "chart"][i % 2]) for i in range(10, 260)]
    conflicting = [event(n, "0") for n in range(20, 30)]
    store_of(folder / "big.db", joined(NOTES + LONG + notes), joined(conflicting))
    (folder / "big.jsonl").write_bytes(export(folder / "big.db"))


# --- all of it -----------------------------------------------------------------------------


def begin(folder):
    global WORK
    WORK = pathlib.Path(folder) / multiprocessing.current_process().name
    WORK.mkdir()


def call(task):
    return stores_at(task[1:]) if task[0] == "store" else work_at(task)


def tasks(material, names, seed):
    for name, (data, form) in material.items():
        if names and name not in names:
            continue
        for kind in KINDS:
            count = sum(1 for _ in variants(name, data, kind))
            for n in range(0, count, CHUNK):
                yield name, data, form, kind, n
    if not names or "store" in names:
        for i in range(STORES // 50):
            yield "store", seed * 1000 + i, 50


def add_up(parts):
    """The sum of lists, numbers or counters."""
    return functools.reduce(operator.add, parts)


def main(names):
    folder = tap.folder()
    seed = random.SystemRandom().randrange(1000000)
    out = tap.Tap()
    try:
        material = make(folder)
        big_store(folder)
        with tap.workers(begin, folder) as pool:
            results = pool.imap(call, list(tasks(material, names, seed)))
            for (name, kind), parts in itertools.groupby(results, key=lambda r: r[0]):
                found, n, restored, verdicts = map(add_up, zip(*[p[1:] for p in parts]))
                said = ", ".join(f"{v} {k}" for k, v in sorted(verdicts.items(), key=str))
                figures = f"{n} variants ({said or 'documents'}), {restored} restored"
                out.result(f"damage: {name}, {kind}: {figures}", found)
    finally:
        tap.remove(folder)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
