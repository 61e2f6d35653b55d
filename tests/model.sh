#!/usr/bin/env bash
# model.sh [SEED]: random histories on three stores, compared with a model in memory:
# append, restore, ack, follow, kill -9, clocks that jump, trash, lost boxes. SEED
# replays one history and shows its steps. Prints TAP; a history that fails is named
# by its seed, and made shorter.
#
# MODEL_SECONDS  how long new histories are begun (600; 15 with SMALL set)
# JOBS           processes at once (2)
# LIFEBOAT_BIN   the commands (build/bin)
exec python3 -B "$(dirname "$0")/model.py" "$@"
