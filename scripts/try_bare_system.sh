#!/usr/bin/env bash
# Try the commit that is checked out on a bare Debian or Ubuntu, by `make demo test` or with arguments for make of your own:
#
#   scripts/try_bare_system.sh demo
#   scripts/try_bare_system.sh demo test PYTEST_ARGS="tests/renderers tests/cli/test_doctor.py"
#
# Needs root, debootstrap and git. The system is a minimal one in a folder, made anew, with nothing of this machine but its settings of apt
# and pip. Mounts and processes live in namespaces of their own and end with them, however the run ends; the folder is removed.
#
#   BARE_SUITE   the release; this machine's own if not set
#   BARE_BIND    more paths to show there, read only: folders of packages that pip is set up to use
#   BARE_FOLDER  where to make the system, which takes 2 to 10 GB; /var/tmp if not set
#   BARE_KEEP    set it to keep the folder, to look around in it with chroot
set -euo pipefail

say() { printf 'bare: %s\n' "$*" >&2; }
stop() { say "$*"; exit 2; }

make_system() {
  local root=$1 suite=$2 own mirror
  own=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")
  mirror=$(apt-get indextargets --format '$(REPO_URI)' "Created-By: Packages" "Codename: ${suite:-$own}" 2>/dev/null | head -n 1)
  say "debootstrap --variant=minbase ${suite:-$own} $root $mirror"
  debootstrap --variant=minbase "${suite:-$own}" "$root" ${mirror:+"$mirror"} >"$root.log" 2>&1 || { tail -n 20 "$root.log" >&2; exit 1; }
  [ -n "$suite" ] && [ "$suite" != "$own" ] || { rm -f "$root/etc/apt/sources.list"; carry /etc/apt; }
  carry /etc/resolv.conf /etc/hosts /etc/pip.conf /etc/xdg/pip "$HOME/.config/pip" "$HOME/.pip" "${PIP_CERT:-}" \
    /etc/ssl/certs/ca-certificates.crt /usr/local/share/ca-certificates  # of which the package ca-certificates makes the first anew
  mkdir -p "$root/src"
  git archive HEAD | tar -x -C "$root/src"
}

# Copies paths of this machine to the same places in the new system, those of the home to /root.
carry() {
  local path place
  for path in "$@"; do
    [ -n "$path" ] && [ -e "$path" ] || continue
    place=${path/#"$HOME"/\/root}
    mkdir -p "$root$(dirname "$place")"
    cp -rLT "$path" "$root$place"
  done
}

# In the namespaces: the system, the mounts, then the commands inside.
run_inside() {
  local root=$1 path kept=() name
  shift
  make_system "$root" "${BARE_SUITE:-}"
  mount -t proc proc "$root/proc"
  mount --rbind /dev "$root/dev"
  mount -t tmpfs tmpfs "$root/dev/shm"
  for path in ${BARE_BIND:-}; do
    if [ -d "$path" ]; then mkdir -p "$root$path"; else mkdir -p "$(dirname "$root$path")" && touch "$root$path"; fi
    mount --bind "$path" "$root$path"
    mount -o remount,bind,ro "$root$path"
  done
  for name in $(compgen -e); do
    case $name in PIP_* | *_proxy | *_PROXY | TERM) kept+=("$name=${!name}") ;; esac
  done
  kept+=(HOME=/root PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive)
  in_system() { chroot "$root" /usr/bin/env -i "${kept[@]}" "$@"; }
  say "apt-get install make"
  in_system sh -c 'apt-get update -qq && apt-get install -y -qq --no-install-recommends make' >"$root.log" 2>&1 ||
    { tail -n 20 "$root.log" >&2; exit 1; }
  say "make $*"
  in_system make -C /src "$@"
}

if [ "${1:-}" = --inside ]; then
  shift
  run_inside "$@"
  exit
fi

cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || stop "needs root: sudo scripts/try_bare_system.sh"
for name in debootstrap unshare git; do command -v "$name" >/dev/null || stop "needs $name: apt-get install debootstrap git"; done
[ -z "$(git status --porcelain)" ] || say "what is not committed is not tried"
[ $# -gt 0 ] || set -- demo test
root=$(mktemp -d "${BARE_FOLDER:-/var/tmp}/bare-system-XXXXXX")
child=
# Killing `unshare` ends all that runs inside, and with it the mounts; only then is there nothing but files to remove.
leave() {
  [ -z "$child" ] || { kill -KILL "$child" 2>/dev/null; wait "$child" 2>/dev/null; } || true
  if [ -n "${BARE_KEEP:-}" ]; then say "kept: $root"; else rm -rf --one-file-system "$root" "$root.log"; fi
}
trap leave EXIT
trap 'exit 130' INT TERM HUP
chmod 755 "$root"
unshare --mount --pid --fork --mount-proc --kill-child "$PWD/scripts/try_bare_system.sh" --inside "$root" "$@" &
child=$!
wait "$child"
