"""backup-damage.py: see backup-damage.sh, its front."""
import collections
import hashlib
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

import tap
from tap import SMALL

FLIPS = 30 if SMALL else 1000
BEGIN = 1768000000000
# The backups, oldest first; what each builds on, so that damage to one cuts off others.
PLAN = [("monthly", 5), ("weekly", 4), ("daily", 3), ("hourly", 4)]
EVENTS, BOX, MANIFEST = "events.jsonl.zst", "box.tar.zst", "manifest.json"


def environment(folder, **more):
    env = tap.environment(
        LIFEBOAT_DB=str(folder / "lifeboat.db"), LIFEBOAT_CONFIG=str(folder / "conf"), TMPDIR=str(folder), **more
    )
    env["PATH"] = f"{tap.TOP}/scripts:{env['PATH']}"
    return env


def command(*argv, env, data=b""):
    return subprocess.run([str(a) for a in argv], input=data, env=env, capture_output=True, check=False, timeout=120)


def make(folder):
    """The undamaged target, and the names in it."""
    target, n = folder / "whole", 0
    target.mkdir()
    (folder / "conf").mkdir()
    for i, (kind, events) in enumerate(PLAN):
        now = str(BEGIN + i * 3600000)
        env = environment(folder, LIFEBOAT_NOW=now, LIFEBOAT_BACKUP_TARGETS=str(target))
        lines = "".join(
            json.dumps({"event_id": f"e{k}", "entity_type": "case", "entity_id": "k", "actor_id": "ana",
                        "ts_device": BEGIN + k, "event_type": "NOTE", "payload": {"n": k}}) + "\n"
            for k in range(n, n + events)
        )
        n += events
        for argv, data in ((["evstore-restore", "-q"], lines.encode()), (["lifeboat-backup", "-q", kind], b"")):
            r = command(*argv, env=env, data=data)
            if r.returncode:
                sys.exit(f"backup-damage: {argv}: {r.stderr.decode()}")
    return target, sorted(p.name for p in target.iterdir() if p.is_dir())


# --- damage --------------------------------------------------------------------------


def packed(data):
    return subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout


def opened(path):
    return subprocess.run(["zstd", "-qdc", str(path)], capture_output=True, check=True).stdout


def as_if_packed_so(backup, data):
    """The events replaced, and the manifest made anew to fit the file."""
    (backup / EVENTS).write_bytes(packed(data))
    m = json.loads((backup / MANIFEST).read_text())
    m.pop("sha256")
    for f in m["files"]:
        b = (backup / f["name"]).read_bytes()
        f.update(bytes=len(b), sha256=hashlib.sha256(b).hexdigest())
    head = json.dumps(m, separators=(",", ":"))[:-1]
    seal = hashlib.sha256(head.encode()).hexdigest()
    (backup / MANIFEST).write_text(f'{head},"sha256":"{seal}"}}\n')


def outer_variants(target, names, chance):
    """(what, name, file, bytes or None) of files as they lie there."""
    for name in names[1:]:
        for file in (EVENTS, BOX, MANIFEST):
            data = (target / name / file).read_bytes()
            other = (target / names[0] / file).read_bytes()
            for percent in range(0, 100, 25 if SMALL else 1):
                yield "cut", name, file, data[: len(data) * percent // 100]
            yield "the last byte gone", name, file, data[:-1]
            yield "gone", name, file, None
            yield "another one's", name, file, other
            yield "two joined", name, file, data + other
            yield "twice", name, file, data + data
            yield "BOM", name, file, b"\xef\xbb\xbf" + data
            yield "CRLF", name, file, data.replace(b"\n", b"\r\n") if b"\n" in data else data + b"\r\n"
            yield "a byte more", name, file, data + b"\n"
    for _ in range(FLIPS):
        name = chance.choice(names[1:])
        file = chance.choice((EVENTS, BOX, MANIFEST))
        data = bytearray((target / name / file).read_bytes())
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        yield "a bit flipped", name, file, bytes(data)


def inner_variants(target, names, chance):
    """(what, name, bytes) of the events within."""
    for name in names[1:]:
        data = opened(target / name / EVENTS)
        other = opened(target / names[0] / EVENTS)
        lines = data.splitlines(keepends=True)
        ends = [sum(map(len, lines[: i + 1])) for i in range(len(lines))]
        for end in ends:
            for at in (end - 1, end, end + 1):
                if at < len(data):
                    yield "cut at a line's end", name, data[:at]
        for i in range(len(lines)):
            yield "a line removed", name, b"".join(lines[:i] + lines[i + 1 :])
            yield "a line doubled", name, b"".join(lines[: i + 1] + lines[i:])
            if i:
                yield "two lines swapped", name, b"".join(lines[: i - 1] + [lines[i], lines[i - 1]] + lines[i + 1 :])
        yield "two exports joined", name, other + data
        yield "two exports joined", name, data + other
        yield "joined, one seal", name, b"".join(other.splitlines(keepends=True)[:-1]) + data
        yield "another export", name, other
        yield "CRLF", name, data.replace(b"\n", b"\r\n")
        yield "BOM", name, b"\xef\xbb\xbf" + data
        for _ in range(2 if SMALL else 30):
            b = bytearray(data)
            b[chance.randrange(len(b))] ^= 1 << chance.randrange(8)
            yield "a bit flipped", name, bytes(b)


# --- verdicts ------------------------------------------------------------------------


def expected(names, name, unharmed):
    """What --verify has to say of each, and the newest that is left."""
    if unharmed:
        return {n: "ok" for n in names}, names[-1]
    hurt = names.index(name)
    verdicts = {}
    for i, n in enumerate(names):
        verdicts[n] = "bad" if i == hurt else "ok"
        if i > hurt and hurt >= 1 and i > 1:
            verdicts[n] = "cut"
    return verdicts, names[hurt - 1]


def judge(task):
    """One variant: what is wrong with what is said of it."""
    number, base, names, layer, what, name, file, data, restore = task
    base = pathlib.Path(base)
    folder = base.parent / f"v{number}"
    target = folder / "target"
    folder.mkdir()
    try:
        shutil.copytree(base, target)
        if layer == "within":
            as_if_packed_so(target / name, data)
        elif data is None:
            (target / name / file).unlink()
        else:
            (target / name / file).write_bytes(data)
        unharmed = layer != "within" and data == (base / name / file).read_bytes()
        verdicts, newest = expected(names, name, unharmed)
        # Events come back without the box beside them; that of the newest is missed.
        box = file.startswith("box.")
        if box:
            newest = names[-1]
        env = environment(folder, LIFEBOAT_BACKUP_TARGETS=str(target), LIFEBOAT_NOW=str(BEGIN + 9 * 3600000))
        text = f"{layer} {name} {file}: {what}"
        wrong = []
        r = command("lifeboat-backup", "--verify", "--json", env=env)
        said = {v["name"]: v["verdict"] for v in map(json.loads, r.stdout.splitlines())}
        if said != verdicts or r.returncode != (0 if unharmed else 1):
            wrong.append(f"{text}: verify {r.returncode} {said}, not {verdicts}: {r.stderr.decode()[-200:]}")
        dry = [] if restore else ["--dry-run"]
        r = command("lifeboat-restore-latest", "-q", *dry, env=env)
        then = json.loads((base / newest / MANIFEST).read_text())
        got = json.loads(r.stdout or b"{}")
        if (got.get("chain", [""])[-1], got.get("digest")) != (newest, then["digest"]):
            # What was only spelt otherwise within is restored as what it is.
            same = restore and layer == "within" and got.get("digest") in digests(base, names)
            if not same:
                wrong.append(f"{text}: restore {r.returncode} {got}, not {newest}: {r.stderr.decode()[-200:]}")
        elif r.returncode != (0 if unharmed or (box and name != newest) else 1):
            wrong.append(f"{text}: restore ends with {r.returncode}: {r.stderr.decode()[-200:]}")
        return layer, wrong
    finally:
        tap.remove(folder)


def digests(base, names):
    return [json.loads((base / n / MANIFEST).read_text())["digest"] for n in names]


def main():
    folder, out = tap.folder(), tap.Tap()
    chance = random.Random(int(os.environ.get("SEED", "7")))
    try:
        base, names = make(folder)
        variants = [("outside", *v) for v in outer_variants(base, names, chance)]
        inner = [("within", w, n, EVENTS, d) for w, n, d in inner_variants(base, names, chance)]
        variants += inner[:: 3 if SMALL else 1]
        variants += [("outside", "nothing", names[-1], f, (base / names[-1] / f).read_bytes()) for f in (EVENTS, MANIFEST)]
        tasks = [(i, str(base), names, *v, i % 10 == 9) for i, v in enumerate(variants)]
        found, count = collections.defaultdict(list), collections.Counter()
        with tap.workers() as pool:
            for layer, wrong in pool.imap_unordered(judge, tasks, 4):
                count[layer] += 1
                found[layer] += wrong
        for layer in ("outside", "within"):
            out.result(f"backup-damage: {count[layer]} variants, {layer}", found[layer])
    finally:
        tap.remove(folder)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
