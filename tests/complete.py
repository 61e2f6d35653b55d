#!/usr/bin/env python3
"""complete.py bash|zsh FILE: what an interactive shell shows when TAB is pressed.

FILE is the file of completions (for zsh: in a folder of its own). Each line of standard
input is typed, TAB behind it; the answer is that line, what the terminal showed since,
and an empty line. Ends with 1 if the shell does not come to an end with one.
"""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios

SECONDS = 60
PROMPT = "@> "


class Shell:
    def __init__(self, argv, env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(argv[0], argv, env)
        # Wide and high: nothing is wrapped, and nobody is asked whether to show it all.
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 400, 200, 0, 0))
        self.marks = 0

    def type(self, text):
        os.write(self.fd, text.encode())

    def until_mark(self):
        """Everything up to what a command says that was typed last."""
        self.marks += 1
        # What is typed is shown as well: it must not look like what the command says.
        self.type(f"\x15echo '@@'{self.marks}'@@'\r")
        want, got = f"@@{self.marks}@@\r\n".encode(), b""
        # Before there is a prompt again, it is the terminal that reads, and has ^U of its own.
        while want not in got or PROMPT.encode() not in got[got.index(want) :]:
            if not select.select([self.fd], [], [], SECONDS)[0]:
                sys.exit(f"complete.py: no answer: {got!r}")
            got += os.read(self.fd, 65536)
        text = got[: got.index(want)].decode(errors="replace").replace("\r", "")
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\x07|.\x08", "", text)
        return text[: text.rfind("echo '@@'")]


def main():
    kind, path = sys.argv[1:]
    env = {"PATH": os.environ["PATH"], "TERM": "dumb", "HOME": os.getcwd(), "PS1": PROMPT, "LC_ALL": "C.UTF-8"}
    if kind == "bash":
        shell = Shell(["bash", "--norc", "--noprofile", "-i"], env)
        shell.type("bind 'set show-all-if-ambiguous on'; bind 'set page-completions off'\r")
        shell.type("bind 'set completion-query-items -1'; bind 'set enable-bracketed-paste off'\r")
        shell.type(f". {path}\r")
    else:
        shell = Shell(["zsh", "-f", "-i"], env)
        shell.type(f"fpath=({os.path.dirname(path)} $fpath); autoload -Uz compinit; compinit -u -D; bindkey -e\r")
        shell.type("LISTMAX=100000; setopt nobeep noautomenu listrowsfirst; unsetopt promptcr promptsp\r")
    shell.until_mark()
    for line in sys.stdin:
        line = line.rstrip("\n")
        shell.type(line + "\t")
        print(line, *shell.until_mark().splitlines(), "", sep="\n", flush=True)
    os.close(shell.fd)
    os.waitpid(shell.pid, 0)


main()
