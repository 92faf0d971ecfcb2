#!/usr/bin/env bash
# Make a machine ready: `setup.sh demo`, `test` or `oldest`. System packages through apt-get where they are missing and may be installed, a
# virtual environment in .venv (.venv-oldest), and this package in it. Says what it installs, and goes on without what it cannot have.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:?usage: scripts/setup.sh demo|test|oldest}
venv=.venv constraints=(--constraint scripts/tested.txt)
[ "$purpose" != oldest ] || venv=.venv-oldest

say() { printf 'setup: %s\n' "$*" >&2; }
have() { command -v "$1" >/dev/null 2>&1; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
may_install() { have apt-get && { [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }; }
# grep reads to the end, here and below: a writer that is cut off fails, and with it the pipe.
has_font() { have fc-list && fc-list : family | grep -i "$1" >/dev/null; }
has_library() { PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2>/dev/null | grep -F "$1" >/dev/null; }
has_package() { have dpkg-query && dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }
new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }

has_browser() {
  local name
  for name in chromium-headless-shell chromium chromium-browser google-chrome google-chrome-stable; do have "$name" && return 0; done
  [ -n "${OPTICAL_MEMORY_BROWSER:-}" ] || compgen -G "$HOME/.cache/ms-playwright/chromium*" >/dev/null
}

find_python() {
  local name
  for name in "${PYTHON:-python3}" python3 python3.14 python3.13 python3.12 python3.11; do
    if have "$name" && new_enough "$name"; then printf '%s' "$name"; return 0; fi
  done
  return 1
}

# Prints the system packages that are missing for this purpose, one a line.
missing_packages() {
  local python
  if python=$(find_python); then
    "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  else
    echo python3-venv
  fi
  has_browser || echo chromium-headless-shell
  has_library libatomic.so.1 || has_package libatomic1 || echo libatomic1     # Playwright's driver does not start without it
  has_library libfribidi.so.0 || has_package libfribidi0 || echo libfribidi0  # Pillow loads it to write Arabic and Hindi
  has_font 'DejaVu Sans' || has_package fonts-dejavu-core || echo fonts-dejavu-core
  has_font 'Noto Sans Devanagari' || has_package fonts-noto-core || echo fonts-noto-core
  has_font 'Noto Sans CJK' || has_package fonts-noto-cjk || echo fonts-noto-cjk
  has_font 'Noto Color Emoji' || has_package fonts-noto-color-emoji || echo fonts-noto-color-emoji
  if [ "$purpose" != demo ]; then
    have redis-server || echo redis-server
    have tesseract || echo tesseract-ocr
    have make || echo make
  fi
}

install_packages() {
  local wanted=("$@") known=() name
  if ! may_install; then
    say "missing: ${wanted[*]}. Install them with: sudo apt-get install ${wanted[*]}"
    return 0
  fi
  say "apt-get update"
  as_root apt-get update -qq || say "the package lists could not be brought up to date; going on with the old ones"
  for name in "${wanted[@]}"; do
    if apt-cache show "$name" >/dev/null 2>&1; then known+=("$name"); else say "this distribution has no package $name"; fi
  done
  [ ${#known[@]} -eq 0 ] && return 0
  say "apt-get install ${known[*]}"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends -o APT::Status-Fd=1 "${known[@]}" \
    | show_progress || say "apt-get could not install all of: ${known[*]}"
}

# Says every tenth of the way what apt is at. It writes that among dpkg's lines, as dlstatus:NUMBER:PERCENT:TEXT and
# pmstatus:PACKAGE:PERCENT:TEXT; on descriptor 1, since sudo closes those above 2.
show_progress() {
  local line step last='' percent shown=0
  while IFS= read -r line; do
    case $line in
      *dlstatus:*) step=fetched ;;
      *pmstatus:*) step=installed ;;
      *) continue ;;
    esac
    percent=${line#*status:} percent=${percent#*:} percent=${percent%%[.:]*}
    [ "$step" = "$last" ] || { last=$step shown=0; }
    [[ $percent =~ ^[0-9]+$ ]] && [ "$percent" -ge $((shown + 10)) ] || continue
    shown=$((percent / 10 * 10))
    say "$step $shown %"
  done
}

mapfile -t missing < <(missing_packages)
if [ ${#missing[@]} -gt 0 ]; then install_packages "${missing[@]}"; fi

python=$(find_python) || { say "Python 3.11 or later is needed and was not found. Name one with: PYTHON=/path/to/python make $purpose"; exit 1; }
if ! [ -x $venv/bin/python ] || ! new_enough $venv/bin/python; then
  say "virtual environment in $venv ($("$python" --version))"
  "$python" -m venv --clear $venv
fi

case $purpose in
  demo) extras=chromium,server ;;
  test) extras=dev,newest ;;
  oldest) extras=dev constraints+=(--constraint scripts/oldest.txt) ;;
  *) say "unknown purpose '$purpose': demo, test or oldest"; exit 2 ;;
esac
say "pip install -e '.[$extras]' ${constraints[*]} into $venv"
$venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[$extras]" "${constraints[@]}"

if ! has_browser; then
  say "no Chromium as a system package; trying Playwright's own"
  $venv/bin/python -m playwright install --with-deps --only-shell chromium >/dev/null 2>&1 \
    || say "no Chromium: pages are drawn by the built-in renderer, with the scripts its fonts cover"
fi
say "ready"
