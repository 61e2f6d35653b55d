"""backup-days.py: see backup-days.sh, its front. What has to be there after a run is
derived here anew, from the manifests and from what was done to the files."""
import collections
import datetime
import json
import os
import random
import signal
import subprocess
import sys
import time

import tap

DAYS = int(os.environ.get("DAYS", "30" if tap.SMALL else "400"))
SEED = int(os.environ.get("SEED", random.SystemRandom().randrange(1000000)))
HOUR, DAY = 3600000, 24 * 3600000
BEGIN = int(datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc).timestamp() * 1000)
KEEP = {"hourly": (48, 47), "daily": (7, 156), "weekly": (4, 660), "monthly": (12, 7900)}
# A disk that is full while a backup is written: what there is of cat stops half-way.
FULL_CAT = """#!/bin/sh
case $(readlink /proc/$$/fd/1) in
*/.part-*) ;;
*) exec /bin/cat "$@" ;;
esac
head -c "$FULL"
echo 'cat: write error: No space left on device' >&2
exit 1
"""


class Box:
    def __init__(self, folder, seed):
        self.folder, self.random = folder, random.Random(seed)
        self.targets = [folder / "one", folder / "two"]
        for f in (*self.targets, folder / "full", folder / "conf"):
            f.mkdir()
        (folder / "full/cat").write_text(FULL_CAT)
        (folder / "full/cat").chmod(0o755)
        self.store = folder / "lifeboat.db"
        self.env = tap.environment(
            LIFEBOAT_DB=str(self.store), LIFEBOAT_CONFIG=str(folder / "conf"), TMPDIR=str(folder),
            LIFEBOAT_BACKUP_TARGETS=" ".join(map(str, self.targets)),
        )
        self.env["PATH"] = f"{tap.TOP}/scripts:{self.env['PATH']}"
        self.events, self.totals = 0, []  # of backups that succeeded, in their order
        self.damaged = {t: set() for t in self.targets}
        self.hurt = {t: False for t in self.targets}  # since the last success
        self.skew = self.now = 0
        self.did = collections.Counter()
        self.wrong, self.last_good = [], False

    def run(self, *argv, **more):
        return subprocess.run(argv, env={**self.env, **more}, capture_output=True, check=False, timeout=300)

    def append(self):
        n = self.random.randrange(5)
        lines = "".join(
            json.dumps({"entity_type": "case", "entity_id": f"k{i % 7}", "actor_id": "ana", "event_type": "NOTE",
                        "payload": {"n": i}}) + "\n"
            for i in range(self.events, self.events + n)
        )
        r = subprocess.run(["evstore-append", "-q"], input=lines.encode(), check=False, capture_output=True,
                           env={**self.env, "LIFEBOAT_NOW": str(self.now)})
        if r.returncode:
            sys.exit(f"backup-days: evstore-append: {r.stderr.decode()}")
        self.events += n

    def names(self, target):
        return {p.name for p in target.iterdir() if not p.name.startswith(".")}

    def backup(self, kind, when):
        """One run, which may be killed or find the disk full."""
        self.now = when + self.skew
        self.append()
        chance, more = self.random.random(), {"LIFEBOAT_NOW": str(self.now)}
        if chance < 0.05:
            self.did["full disk"] += 1
            more["PATH"] = f"{self.folder}/full:{self.env['PATH']}"
            more["FULL"] = str(self.random.choice([0, 1, 100, 300, 500]))
        if 0.05 <= chance < 0.12:
            self.did["killed"] += 1
            p = subprocess.Popen(["lifeboat-backup", "-q", kind], env={**self.env, **more}, start_new_session=True,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(self.random.random())
            try:
                os.killpg(p.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            p.wait()
            status = p.returncode
        else:
            r = self.run("lifeboat-backup", "-q", kind, **more)
            status = r.returncode
            allowed = (74,) if "FULL" in more else (0, 1)
            if status not in allowed:
                self.wrong.append(f"{kind} at {self.now}: status {status}: {r.stderr.decode()[-300:]}")
        self.last_good = status in (0, 1)
        if self.last_good:
            self.did["made"] += 1
            self.totals.append(self.events)
            self.hurt = {t: False for t in self.targets}

    def damage(self):
        """A file of one target; the other one is let alone until a backup has been made."""
        if any(self.hurt.values()) or not self.totals:
            return
        target = self.random.choice(self.targets)
        names = sorted(self.names(target) - self.damaged[target])
        if not names:
            return
        # The newer ones matter more.
        name = names[-1 - min(int(self.random.expovariate(0.1)), len(names) - 1)]
        path = self.random.choice(sorted((target / name).iterdir()))
        data = bytearray(path.read_bytes())
        how = self.random.randrange(4)
        if how == 0:
            path.unlink()
        elif how == 1:
            path.write_bytes(data[: self.random.randrange(len(data))])
        elif how == 2:
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
            path.write_bytes(data)
        else:
            # Rot, of which the file system knows nothing; only reading tells.
            data[self.random.randrange(len(data))] ^= 1
            s = path.stat()
            path.write_bytes(data)
            os.utime(path, ns=(s.st_atime_ns, s.st_mtime_ns))
        self.did["damaged"] += 1
        self.damaged[target].add(name)
        self.hurt[target] = True

    # --- what has to be -------------------------------------------------------------

    def restored(self, *options):
        r = self.run("lifeboat-restore-latest", "-q", *options, LIFEBOAT_NOW=str(self.now))
        if r.returncode not in (0, 1):
            return {"events": -1, "why": r.stderr.decode()[-300:]}
        return json.loads(r.stdout)

    def check_newest(self, day):
        if not self.totals:
            return
        got = self.restored("--dry-run")
        if got["events"] < self.totals[-2:][0]:
            self.wrong.append(f"day {day}: restorable {got}, made {self.totals[-3:]}")
        self.did["day is the last backup" if got["events"] >= self.totals[-1] else "day is the one before"] += 1
        target = self.random.choice(self.targets)
        if not self.hurt[target] and (not tap.SMALL or day % 3 == 0):
            got = self.restored("--dry-run", "--target", str(target))
            if got["events"] < self.totals[-1]:
                self.wrong.append(f"day {day}: {target.name} alone: restorable {got}, made {self.totals[-3:]}")

    def check_restore(self, day):
        scratch = self.folder / "scratch.db"
        got = self.restored("-d", str(scratch))
        if got["events"] >= 0:
            then = self.run("evstore-export", "--digest", "--up-to", got["to"]).stdout.decode().strip()
            if then != got["digest"]:
                self.wrong.append(f"day {day}: restored {got['digest']}, the store had {then}")
        for f in self.folder.glob("scratch.db*"):
            f.unlink()

    def manifests(self, target):
        found = {}
        for name in self.names(target) - self.damaged[target]:
            found[name] = json.loads((target / name / "manifest.json").read_text())
        return found

    def check_kept(self, day):
        """After a run that went well: what must be there is, and no more than may be."""
        for target in self.targets:
            there = self.manifests(target)
            usable = {}

            def whole(name):
                if name not in usable:
                    m = there.get(name)
                    usable[name] = bool(m) and (m["from"] == "start" or whole(m["on"]))
                return usable[name]

            newest = sorted(there, key=lambda n: there[n]["serial"], reverse=True)
            had, stays, needed = collections.Counter(), set(), set()
            for i, name in enumerate(newest):
                m = there[name]
                count, hours = KEEP[m["kind"]]
                future = m["created"] > self.now
                if i == 0 or future or had[m["kind"]] < count or self.now - m["created"] < hours * HOUR:
                    stays.add(name)
                had[m["kind"]] += whole(name) and not future
            for name in stays:
                while name and name in there:
                    needed.add(name)
                    name = (there[name]["on"] or there[name]["replaces"]) if whole(name) else None
            for name in set(there) - needed:
                self.wrong.append(f"day {day}: {target.name}: {name} is kept, and need not be")
            for kind, (count, _) in KEEP.items():
                made = [n for n in self.made[target] if n.endswith(kind)][-count:]
                for name in set(made) - set(there) - self.damaged[target]:
                    self.wrong.append(f"day {day}: {target.name}: {name} is gone")

    # --- a day ----------------------------------------------------------------------

    def day(self, d, hours):
        begin = BEGIN + d * DAY
        date = datetime.datetime.fromtimestamp(begin / 1000, datetime.timezone.utc)
        due = [(h * HOUR + 17 * 60000, "hourly") for h in hours] + [(3 * HOUR, "daily")]
        if date.weekday() == 6:
            due.append((4 * HOUR, "weekly"))
        if (date + datetime.timedelta(days=1)).day == 1:
            due.append((23 * HOUR + 30 * 60000, "monthly"))
        for at, kind in sorted(due):
            if self.random.random() < 0.025:
                self.damage()
            if self.random.random() < 0.004:
                self.did["clock wrong"] += 1
                self.skew = self.random.choice([400 * DAY, 30 * DAY, 26 * HOUR, -3 * DAY]) + self.random.randrange(HOUR)
            elif self.skew and self.random.random() < 0.2:
                self.skew = 0
            self.backup(kind, begin + at)
            for t in self.targets:
                self.made[t] += sorted(self.names(t) - set(self.made[t]))

    def live(self):
        self.made = {t: [] for t in self.targets}
        off = 0
        for d in range(DAYS):
            every_hour = d >= DAYS - 2 or DAYS > 100 and 100 <= d < 103
            if off:
                off -= 1
                continue
            if d < DAYS - 9 and self.random.random() < 0.02:
                off = self.random.randrange(1, 10)
                self.did["days off"] += off
            self.day(d, range(24) if every_hour else (12,) if tap.SMALL else (5, 11, 17, 23))
            self.check_newest(d)
            if self.last_good:
                self.check_kept(d)
            if d % 10 == 9:
                self.check_restore(d)

    def retained(self):
        """What is left of what has not been damaged and is not from the future, by kind."""
        counts = []
        for t in self.targets:
            c = collections.Counter(m["kind"] for m in self.manifests(t).values() if m["created"] <= self.now)
            counts.append(", ".join(f"{c[k]} {k}" for k in KEEP))
        return "; ".join(counts)


def main():
    folder, out = tap.folder(), tap.Tap()
    try:
        box = Box(folder, SEED)
        box.live()
        did = ", ".join(f"{n} {what}" for what, n in sorted(box.did.items()))
        out.result(f"backup-days: {DAYS} days (SEED={SEED}): {did}", box.wrong)
        print(f"# left: {box.retained()}")
        never = [w for w in ("made", "killed", "full disk", "damaged") if not box.did[w]]
        out.result("backup-days: there was something of each", [f"none {w}" for w in never])
    finally:
        tap.remove(folder)
    return out.finish()


if __name__ == "__main__":
    sys.exit(main())
