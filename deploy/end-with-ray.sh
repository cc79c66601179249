#!/usr/bin/env bash
# Ends what Ray leaves on this machine after the head is gone. `ray down` speaks to the head of a local cluster only: the
# others' raylet gives the head up after a minute, and what was started beside it (the log monitor) would never end.
# Started after `ray start`; waits in the background.
set -euo pipefail

raylet=$(pgrep -u "$(id -u)" -xo raylet)
# A `ray up` that starts Ray anew here needs a moment from one raylet to the next, which then has a watcher of its own.
setsid nohup bash -c "
  tail --pid=$raylet -f /dev/null
  sleep 15
  pgrep -u \"\$(id -u)\" -x raylet >/dev/null || ray stop --force
" >/dev/null 2>&1 </dev/null &
