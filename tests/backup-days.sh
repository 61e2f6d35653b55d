#!/usr/bin/env bash
# backup-days.sh: 400 simulated days of backups into two folders, while backups are killed,
# disks fill up, files are damaged, clocks go wrong and the box is off for days. Prints TAP.
# After each day the newest state that can be restored is that of the last backup made, or
# of the one before; nothing that has to be kept is gone, and nothing is kept that need not
# be; every tenth day that state is restored, and has the digest the store had then.
#
# SMALL         30 days
# DAYS, SEED    so many; this course of events
# LIFEBOAT_BIN  the commands (build/bin)
exec python3 -B "$(dirname "$0")/backup-days.py" "$@"
