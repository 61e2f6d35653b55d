#!/usr/bin/env bash
# backup-damage.sh: a folder of backups that build on each other, one file of it damaged in
# every way, and what lifeboat-backup --verify and lifeboat-restore-latest say: exactly
# which backup is bad, which ones are cut off by that, and which state is the newest left.
# First files as they lie there: cut at every 1 %, a bit flipped in each of 1,000 places,
# swapped, joined, gone, CRLF, BOM; where that is a box, the events beside it come back.
# Then the events within, the damage done before they were packed, so that only their seal
# can tell: cut around every line's end, lines removed, doubled, swapped, two exports
# joined, CRLF, BOM. Prints TAP.
#
# SMALL         some 150 of them
# JOBS          processes at once (2)
# LIFEBOAT_BIN  the commands (build/bin)
exec python3 -B "$(dirname "$0")/backup-damage.py" "$@"
