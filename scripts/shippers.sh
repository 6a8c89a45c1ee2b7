#!/bin/bash
# rsyslog and syslog-ng for the tests of `_bulk`: Debian's packages, unpacked into a folder. They cannot be installed side by
# side (each is the machine's one system logger), and the machine's own is none of the tests' business.
#
#   scripts/shippers.sh          unpacks what is missing; does nothing if all is there; prints the export line for the tests
#   scripts/shippers.sh remove   removes the folder
#
# Environment: D (folder, default ${TMPDIR:-/tmp}/penstock-shippers).
set -euo pipefail

D=${D:-${TMPDIR:-/tmp}/penstock-shippers}

# The packages that the machine lacks for some others, by their names.
missing() { apt-get install --simulate --no-install-recommends "$@" | awk '/^Inst/ { print $2 }'; }

fetch() {
  [ "$(id -u)" != 0 ] || apt-get update -qq >&2
  rm -rf "$D"
  mkdir -p "$D/packages"
  cd "$D/packages"
  # Each by itself, since they conflict; a logger that is installed already is unpacked all the same.
  local wanted=(rsyslog rsyslog-elasticsearch syslog-ng-core syslog-ng-mod-http syslog-ng-scl)
  # shellcheck disable=SC2046 # names of packages have no spaces
  apt-get download -qq $(printf '%s\n' "${wanted[@]}" $(missing rsyslog-elasticsearch) $(missing syslog-ng-mod-http syslog-ng-scl) |
    sort -u)
  local package
  for package in *.deb; do dpkg -x "$package" "$D/root"; done
  touch "$D/unpacked"
}

case ${1:-start} in
start)
  [ -e "$D/unpacked" ] || fetch
  echo "export PENSTOCK_TEST_SHIPPERS=$D/root"
  ;;
remove) rm -rf "$D" ;;
*) sed -n '2,8p' "$0" >&2 && exit 2 ;;
esac
