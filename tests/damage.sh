#!/usr/bin/env bash
# damage.sh [NAME...]: sealed files, documents and stores damaged in every way, and
# what evstore-verify and evstore-restore say of each: exactly what an independent
# reading of the same bytes says (oracle.py). NAME: plain, full, part, conflicts, empty,
# odd, unsealed, long, document, posted or store; else all. Prints TAP.
#
# SMALL         every byte of four files only, fewer restores and stores
# JOBS          processes at once (2)
# LIFEBOAT_BIN  the commands (build/bin)
exec python3 -B "$(dirname "$0")/damage.py" "$@"
