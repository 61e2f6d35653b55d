"""TAP, private folders and the commands under test, for damage.py and model.py."""
import contextlib
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
BIN = pathlib.Path(os.environ.get("LIFEBOAT_BIN", TOP / "build/bin"))
SMALL = bool(os.environ.get("SMALL"))
JOBS = int(os.environ.get("JOBS", "2"))
PATIENCE = 60  # seconds; nothing here takes one
# Folders are removed by whoever is asked to end, too.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def environment(**more):
    """Nothing of the caller's that a command would listen to."""
    env = {n: v for n, v in os.environ.items() if not n.startswith("LIFEBOAT_")}
    env.update(LIFEBOAT_ENV="/dev/null", LIFEBOAT_WAIT="10", LC_ALL="C.UTF-8", TZ="UTC")
    env["PATH"] = f"{BIN}:{env['PATH']}"
    env.update(more)
    return env


def folder():
    """A new one, in memory where that can be had."""
    where = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return pathlib.Path(tempfile.mkdtemp(prefix="lifeboat-", dir=where))


@contextlib.contextmanager
def workers(begin=None, *args):
    """Processes to share the work, each begun by begin(*args). At the end they
    leave by themselves: one that is terminated may take a lock with it."""
    with multiprocessing.Pool(JOBS, begin, args) as pool:
        yield pool
        pool.close()
        pool.join()


class Run:
    """A command that has ended: status (negative: of a signal), out, err."""

    def __init__(self, *argv, data=b"", cwd=None, env=None):
        self.argv = [str(a) for a in argv]
        path = str(BIN / self.argv[0])
        try:
            done = subprocess.run(
                [path, *self.argv[1:]], input=data, cwd=cwd, env=env,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE, check=False,
            )
            self.status, self.out, self.err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as e:
            self.status, self.out, self.err = 124, e.stdout or b"", b"it hangs"

    def __str__(self):
        said = self.err.decode(errors="replace").strip().splitlines()
        return f"{' '.join(self.argv)}: status {self.status}: {' / '.join(said[-2:])}"


class Tap:
    """Prints results; finish() gives the exit status."""

    def __init__(self):
        self.tests = self.bad = 0

    def result(self, name, findings=()):
        self.tests += 1
        self.bad += bool(findings)
        print(f"{'not ok' if findings else 'ok'} {self.tests} - {name}")
        for f in list(findings)[:20]:
            print("# " + f.replace("\n", "\n# "))
        sys.stdout.flush()

    def finish(self):
        print(f"1..{self.tests}")
        return 1 if self.bad or not self.tests else 0


def remove(path):
    shutil.rmtree(path, ignore_errors=True)
