#!/bin/bash
# A PostgreSQL server for tests: Debian's package, loopback only, its own folder, never root.
#
#   scripts/postgresql.sh start     makes or restarts it; does nothing if it is up; prints the export line for the tests
#   scripts/postgresql.sh stop      stops it, keeps its folder
#   scripts/postgresql.sh remove    stops it and removes its folder
#   scripts/postgresql.sh env       the export line again
#   scripts/postgresql.sh kill      immediate stop, as a crash would (start brings it back)
#
# Environment: D (folder, default ${TMPDIR:-/tmp}/penstock-postgresql), PORT (default 7432).
# Database and user: penstock, no password, over the loopback address only.
set -euo pipefail

D=${D:-${TMPDIR:-/tmp}/penstock-postgresql}
PORT=${PORT:-7432}

find_programs() {
  local folder
  for folder in "$(dirname "$(readlink -f "$(command -v initdb || echo /nonexistent/initdb)")")" \
    $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV); do
    [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ] && echo "$folder" && return
  done
  return 1
}

# PostgreSQL refuses to run as root. Debian's package brings the user `postgres`; `nobody` serves elsewhere.
as_server_user() {
  if [ "$(id -u)" = 0 ]; then
    setpriv --reuid="$SERVER_USER" --regid="$SERVER_USER_GROUP" --clear-groups env HOME="$D" LC_ALL=C.UTF-8 "$@"
  else
    env LC_ALL=C.UTF-8 "$@"
  fi
}
choose_server_user() {
  SERVER_USER=postgres
  id "$SERVER_USER" >/dev/null 2>&1 || SERVER_USER=nobody
  SERVER_USER_GROUP=$(id -gn "$SERVER_USER")
}

is_up() { [ -d "$D/cluster" ] && (cd / && as_server_user "$BIN/pg_ctl" -D "$D/cluster" status >/dev/null 2>&1); }
print_env() { echo "export PENSTOCK_TEST_POSTGRESQL=postgresql+psycopg://penstock@127.0.0.1:$PORT/penstock"; }

create() {
  rm -rf "$D/cluster"
  mkdir -p "$D"
  [ "$(id -u)" != 0 ] || chown "$SERVER_USER:$SERVER_USER_GROUP" "$D"
  as_server_user "$BIN/initdb" -D "$D/cluster" -U penstock -A trust -E UTF8 --no-sync >"$D/initdb.log" 2>&1
  cat >>"$D/cluster/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
port = $PORT
unix_socket_directories = '$D'
max_connections = 300
CONF
  launch
  as_server_user "$BIN/createdb" -h 127.0.0.1 -p "$PORT" -U penstock penstock
  touch "$D/created"
}

launch() {
  if ! as_server_user "$BIN/pg_ctl" -D "$D/cluster" -w -t 60 -l "$D/cluster.log" start >/dev/null 2>&1; then
    tail -20 "$D/cluster.log" >&2
    exit 1
  fi
}

stop() { ! is_up || as_server_user "$BIN/pg_ctl" -D "$D/cluster" -w -m "${1:-fast}" stop >/dev/null; }

cd /
if ! BIN=$(find_programs); then
  [ "${1:-start}" = start ] || exit 0
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql >/dev/null
  BIN=$(find_programs)
fi
choose_server_user

case ${1:-start} in
start)
  if ! is_up; then
    if [ -e "$D/created" ]; then launch; else create; fi
  fi
  print_env
  ;;
stop) stop ;;
kill) stop immediate ;;
remove) stop && rm -rf "$D" ;;
env) print_env ;;
*) sed -n '2,12p' "$0" >&2 && exit 2 ;;
esac
