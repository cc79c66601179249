#!/usr/bin/env bash
# Makes a machine ready for Ray and Skygarden: node-setup.sh RAY, where RAY is a pinned requirement of Ray. What is there
# already stays, so it can run again, and needs no internet then. In ~/skygarden, or where SKYGARDEN_HOME says:
#   source/  what `ray up` copied here    venv/  what is installed    env  what login shells read
set -euo pipefail

ray=${1:?"which Ray? for example 'ray[default,rllib]==2.60.0'"}
home=${SKYGARDEN_HOME:-$HOME/skygarden}
venv=${SKYGARDEN_VENV:-$home/venv}
version=${ray##*==}
if [ "$version" = "$ray" ]; then
  echo "node-setup.sh: pin Ray, as all machines need the same: got $ray" >&2
  exit 2
fi

# Whether the machine has this Ray, and Skygarden as it is in source/.
digest=$(cd "$home/source" && find . -type f ! -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z |
  xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
there() {
  [ -x "$venv/bin/skygarden" ] && [ -x "$venv/bin/ray" ] &&
    "$venv/bin/python" -c "import importlib.metadata as m, sys; sys.exit(m.version('ray') != '$version')" &&
    { [ ! -e "$venv/.skygarden-source" ] || [ "$(cat "$venv/.skygarden-source")" = "$digest" ]; }
}

if there; then
  echo "node-setup.sh: $venv has Ray $version and Skygarden"
else
  # uv brings the Python that the tests run with, and the PyTorch that fits the machine's driver; SKYGARDEN_TORCH=cpu,
  # cu126 or another says which.
  if [ ! -x "$venv/bin/uv" ]; then
    python3 -m venv "$home/uv" 2>/dev/null || { sudo apt-get update -q && sudo apt-get install -qy python3-venv &&
      python3 -m venv "$home/uv"; }
    "$home/uv/bin/pip" install --quiet --disable-pip-version-check 'uv==0.9.*'
    "$home/uv/bin/uv" venv --quiet --python 3.11 --allow-existing "$venv"
    ln -sf "$home/uv/bin/uv" "$venv/bin/uv"
  fi
  "$venv/bin/uv" pip install --quiet --python "$venv/bin/python" --torch-backend "${SKYGARDEN_TORCH:-auto}" \
    "$ray" "skygarden[cluster,window] @ file://$home/source" --reinstall-package skygarden
  echo "$digest" >"$venv/.skygarden-source"
fi

# `ray down` runs `ray stop` in a login shell and believes it went well even where it finds no ray: so the login shells
# of this user find it. RAY_AUTH_MODE goes with it, for what is typed on this machine.
cat >"$home/env" <<END
case ":\$PATH:" in *":$venv/bin:"*) ;; *) export PATH="$venv/bin:\$PATH" ;; esac
export RAY_AUTH_MODE=token
END
line=". \"$home/env\" # Skygarden"
first_line() { # FILE: puts $line at its top, as Ubuntu's .bashrc ends early for some shells
  touch "$1"
  if ! grep -qxF "$line" "$1"; then
    { echo "$line" && cat "$1"; } >"$1.skygarden" && cat "$1.skygarden" >"$1" && rm "$1.skygarden"
  fi
}
first_line ~/.bashrc
first_line ~/.profile
if [ -e ~/.bash_profile ]; then # where it is, login shells read it and not ~/.profile
  first_line ~/.bash_profile
fi
[ ! -e ~/.ray/auth_token ] || chmod 600 ~/.ray/auth_token
