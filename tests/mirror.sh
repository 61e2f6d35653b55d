#!/usr/bin/env bash
# mirror.sh [SEED]: mirror-compare on random sources, beside rules written down a second
# time (tests/mirror.py): keys, classes, fields, lines and exit status are compared. SEED
# replays one case and shows it. Then 100,000 rows beside what SQL says of them. Prints
# TAP; a case that fails is named by its seed, and made shorter.
#
# MODEL_SECONDS  how long new cases are begun (600; 15 with SMALL set)
# JOBS           processes at once (2)
# LIFEBOAT_BIN   the commands (build/bin)
exec python3 -B "$(dirname "$0")/mirror.py" "$@"
