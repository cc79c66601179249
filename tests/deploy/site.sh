# A site of machines within this one: each with its own processes, network, home and temporary folder, and an SSH server.
#   site.sh site FOLDER         the site itself: the network, and the desk from which one logs in to its hosts
#   site.sh host FOLDER NAME    one of its hosts
# Run in namespaces of its own (hosts.py does), as root. FOLDER has `hosts`, lines of a name and an address, and `keep`,
# lines of folders that every machine sees as they are: code, and the Python that runs it.
set -euo pipefail

# cover DIR WITH: the folder DIR shows what is in WITH, but for what is kept.
cover() {
  local path
  mkdir -p "$2"
  mount --bind "$2" "$2"
  while read -r path; do
    case $path in "$1"/*) mkdir -p "$2${path#"$1"}" && mount --rbind "$path" "$2${path#"$1"}" ;; esac
  done <"$folder/keep"
  mount --rbind "$2" "$1"
}

own_folders() { # NAME
  local home
  home=$(getent passwd 0 | cut -d: -f6)
  chmod 1777 "$folder/$1/tmp"
  cover "$home" "$folder/$1/home"
  cover /tmp "$folder/$1/tmp"
}

host() { # NAME
  mount -t tmpfs tmpfs /dev/shm
  mount -t tmpfs tmpfs /run
  mkdir /run/sshd
  own_folders "$1"
  hostname "$1"
  ip link set lo up
  until ip link show eth0 >/dev/null 2>&1; do sleep 0.05; done
  ip addr add "$(address_of "$1")/24" dev eth0
  ip link set eth0 up
  /usr/sbin/sshd -D -e -f "$folder/$1/sshd_config" &
  while :; do wait -n || true; sleep 0.2; done # process 1 takes in whatever is orphaned
}

address_of() { awk -v name="$1" '$1 == name {print $2}' "$folder/hosts"; }

site() {
  local name address up pid
  ip link set lo up
  ip link add site type bridge
  ip addr add "$(address_of desk)/24" dev site
  ip link set site up
  while read -r name address; do
    [ "$name" != desk ] || continue
    unshare --net --mount --pid --uts --ipc --fork --kill-child --mount-proc bash "$0" host "$folder" "$name" &
    up=$!
    until pid=$(pgrep -P "$up"); do sleep 0.05; done
    ip link add "to-$name" type veth peer name eth0 netns "$pid"
    ip link set "to-$name" master site up
  done <"$folder/hosts"
  own_folders desk
  touch "$folder/ready"
  wait
}

folder=$2
mount --make-rprivate /
"$1" "${@:3}"
