#!/usr/bin/env bash
# The screens that games play on: one a game, :10 for the first, :11 for the second and so on.
#   displays.sh install    installs what they need (Debian or Ubuntu)
#   displays.sh start N    starts those of N games that do not run yet; they end half a minute after Ray has
# Where the NVIDIA driver and Xorg are, the screen of game i is drawn by GPU i (by the only one, if there is one); in
# other places by Xvfb, without a GPU. The way with a GPU has not been run yet.
set -euo pipefail

first=${SKYGARDEN_FIRST_DISPLAY:-10}
size=1280x720

install() {
  export DEBIAN_FRONTEND=noninteractive
  sudo apt-get update -q
  sudo apt-get install -qy xvfb xserver-xorg-core libevdev2 libgl1
}

# The PCI addresses of the GPUs as Xorg writes them, in decimal: 00000001:00:1E.0 is PCI:0@1:30:0 there.
gpus() {
  nvidia-smi --query-gpu=pci.bus_id --format=csv,noheader | while IFS=:. read -r domain bus device function; do
    echo "PCI:$((16#$bus))@$((16#$domain)):$((16#$device)):$((16#$function))"
  done
}

with_gpu() { # NUMBER ADDRESS
  local file=/etc/X11/skygarden-$1.conf
  sudo tee "$file" >/dev/null <<END
Section "ServerLayout"
  Identifier "layout"
  Screen "screen"
EndSection
Section "Device"
  Identifier "gpu"
  Driver "nvidia"
  BusID "$2"
EndSection
Section "Screen"
  Identifier "screen"
  Device "gpu"
  DefaultDepth 24
  Option "AllowEmptyInitialConfiguration" "true"
  Option "UseDisplayDevice" "None"
  SubSection "Display"
    Virtual ${size/x/ }
  EndSubSection
EndSection
END
  sudo setsid nohup Xorg ":$1" -config "$file" -nolisten tcp -noreset \
    -logfile "/var/log/skygarden-display-$1.log" >/dev/null 2>&1 </dev/null &
}

without_gpu() { # NUMBER
  setsid nohup Xvfb ":$1" -screen 0 "${size}x24" -nolisten tcp -noreset \
    >"/tmp/skygarden-display-$1.log" 2>&1 </dev/null &
}

runs() { # NUMBER: what was killed leaves its socket behind
  [ -e "/tmp/.X11-unix/X$1" ] && [ -d "/proc/$(tr -d ' ' <"/tmp/.X$1-lock" 2>/dev/null || echo none)" ]
}

start() { # GAMES
  local found=() started=() number
  if command -v Xorg >/dev/null && nvidia-smi >/dev/null 2>&1; then
    mapfile -t found < <(gpus)
  fi
  for ((game = 0; game < $1; game++)); do
    number=$((first + game))
    if runs "$number"; then
      continue
    elif [ ${#found[@]} -gt 0 ]; then
      with_gpu "$number" "${found[game % ${#found[@]}]}"
      started+=($!)
    elif command -v Xvfb >/dev/null; then
      without_gpu "$number"
      started+=($!)
    else
      echo "displays.sh: neither Xorg with an NVIDIA GPU nor Xvfb is here; games in windows cannot play" >&2
    fi
  done
  if [ ${#started[@]} -gt 0 ]; then
    setsid nohup "$0" watch "${started[@]}" >/dev/null 2>&1 </dev/null &
  fi
}

# `ray down` knows nothing of screens: so they are ended when Ray has been away for long enough that it is no restart.
watch() { # PROCESSES
  local away=0 patience=300 # seconds, first for Ray to start
  while [ "$away" -lt "$patience" ]; do
    sleep 2
    away=$((away + 2))
    if pgrep -x raylet >/dev/null; then
      away=0
      patience=30
    fi
  done
  kill "$@" 2>/dev/null || sudo -n kill "$@"
}

case ${1:-} in
  install) install ;;
  start) start "${2:?"how many games?"}" ;;
  watch) watch "${@:2}" ;;
  *) echo "displays.sh install, or displays.sh start N" >&2 && exit 2 ;;
esac
