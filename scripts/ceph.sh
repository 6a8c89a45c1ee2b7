#!/bin/bash
# A one-node Ceph with its S3 gateway, for tests: Debian's packages, loopback only, https.
#
#   scripts/ceph.sh start            makes or restarts it; does nothing if it is up; prints export lines for the tests
#   scripts/ceph.sh stop             stops it, keeps its folder
#   scripts/ceph.sh remove           stops it and removes its folder
#   scripts/ceph.sh env              the export lines again
#   scripts/ceph.sh kill osd|rgw     kill -9 of one daemon, as a crash would
#   scripts/ceph.sh restart osd|rgw  starts a killed daemon and waits until the gateway answers
#
# Environment: D (folder, default ${TMPDIR:-/tmp}/penstock-ceph), PORT (https, default 7443), SIZE_GB (device, sparse, default 20),
# LC_DEBUG=10 (a lifecycle "day" lasts 10 s). Credentials: test / testtest. Plain http listens on no port.
set -euo pipefail

D=${D:-${TMPDIR:-/tmp}/penstock-ceph}
PORT=${PORT:-7443}
SIZE_GB=${SIZE_GB:-20}
URL=https://127.0.0.1:$PORT
export CEPH_CONF=$D/ceph.conf

is_running() { [ -s "$D/$1.pid" ] && kill -0 "$(cat "$D/$1.pid")" 2>/dev/null; }
is_answering() { curl -s -m 5 --cacert "$D/ca.pem" -o /dev/null "$URL/"; }

# A process that was killed answers, and keeps its port, until all of its memory is given back. A zombie is gone.
is_gone_within() { # seconds pid
  for _ in $(seq $(($1 * 10))); do
    grep -q '^State:.[^Z]' "/proc/$2/status" 2>/dev/null || return 0
    sleep .1
  done
  return 1
}

# The daemons outlive this script and the terminal, and hold none of its file descriptors.
launch() { # name command...
  local name=$1
  shift
  is_running "$name" && return
  setsid "$@" >>"$D/$name.out" 2>&1 </dev/null &
  echo $! >"$D/$name.pid"
  disown
}
launch_daemon() {
  case $1 in
  mon) launch mon ceph-mon -f -i a ;;
  osd) launch osd ceph-osd -f -i 0 ;;
  rgw) launch rgw radosgw -f -n client.rgw ;;
  *) echo "no such daemon: $1" >&2 && exit 2 ;;
  esac
}

wait_for() { # seconds what command...
  local seconds=$1 what=$2
  shift 2
  for _ in $(seq $((seconds * 4))); do
    "$@" && return
    sleep .25
  done
  echo "ceph: $what within $seconds s failed; see $D/*.out and $D/*.log" >&2
  exit 1
}
osd_is_up() { ceph osd stat 2>/dev/null | grep -q '1 up'; }

print_env() {
  echo "export PENSTOCK_TEST_CEPH=$URL"
  echo "export PENSTOCK_TEST_CEPH_CA=$D/ca.pem"
  echo "export PENSTOCK_TEST_CEPH_DIR=$D"
}

install_packages() {
  local program missing=
  for program in radosgw ceph-mon ceph-osd ceph openssl curl; do
    command -v $program >/dev/null || missing=yes
  done
  [ -z "$missing" ] && return
  apt-get update -qq >&2
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    radosgw ceph-mon ceph-osd ceph-common openssl curl >/dev/null
}

write_config() {
  cat >"$D/ceph.conf" <<CONF
[global]
fsid = $1
mon host = [v2:127.0.0.1:$((PORT + 1)),v1:127.0.0.1:$((PORT + 2))]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
run dir = $D/run
log file = $D/\$name.log
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
[mon.a]
mon data = $D/mon
[osd.0]
osd data = $D/osd
osd objectstore = bluestore
osd memory target = 1073741824
bluestore block size = $((SIZE_GB << 30))
[client.rgw]
rgw data = $D/rgw
ms mon client mode = crc
rgw frontends = beast ssl_endpoint=127.0.0.1:$PORT ssl_certificate=$D/rgw.pem
rgw crypt require ssl = true
# A KMS inside the gateway, with one key, as its developers test SSE-KMS: the key is no secret.
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = penstock-test=$(head -c 32 /dev/zero | tr '\0' k | base64)
# Deleted objects give their space back within a minute, not after two hours: a full device makes every request hang.
rgw gc obj min wait = 30
rgw gc processor period = 30
rgw gc processor max time = 30
${LC_DEBUG:+rgw lc debug interval = $LC_DEBUG}
CONF
}

create() {
  local fsid
  fsid=$(cat /proc/sys/kernel/random/uuid)
  mkdir -p "$D"/{mon,osd,rgw,run}
  openssl req -x509 -newkey rsa:2048 -nodes -days 30 -subj /CN=localhost \
    -addext 'subjectAltName=DNS:localhost,IP:127.0.0.1' -addext basicConstraints=critical,CA:FALSE \
    -keyout "$D/key.pem" -out "$D/ca.pem" 2>/dev/null
  cat "$D/ca.pem" "$D/key.pem" >"$D/rgw.pem"
  write_config "$fsid"
  monmaptool --create --clobber --fsid "$fsid" \
    --addv a "[v2:127.0.0.1:$((PORT + 1)),v1:127.0.0.1:$((PORT + 2))]" "$D/monmap" >/dev/null
  ceph-mon -i a --mkfs --monmap "$D/monmap"
  launch_daemon mon
  cat /proc/sys/kernel/random/uuid >"$D/osd.uuid"
  timeout 60 ceph osd new "$(cat "$D/osd.uuid")" >/dev/null
  ceph-osd -i 0 --mkfs --osd-uuid "$(cat "$D/osd.uuid")" >"$D/osd.mkfs" 2>&1
  launch_daemon osd
  wait_for 60 "the OSD coming up" osd_is_up
  timeout 120 radosgw-admin -n client.rgw user create --uid=test --display-name=test \
    --access-key=test --secret=testtest >/dev/null 2>>"$D/rgw.out"
  touch "$D/created"
}

start() {
  if is_running rgw && is_answering; then
    print_env
    return
  fi
  install_packages
  if [ ! -e "$D/created" ]; then
    stop
    rm -rf "$D"
    create
  fi
  launch_daemon mon
  launch_daemon osd
  wait_for 60 "the OSD coming up" osd_is_up
  launch_daemon rgw
  wait_for 120 "the gateway answering" is_answering
  print_env
}

stop() {
  local name pid
  for name in rgw osd mon; do
    is_running $name || continue
    pid=$(cat "$D/$name.pid")
    kill "$pid"
    is_gone_within 10 "$pid" || kill -9 "$pid" 2>/dev/null || true
    is_gone_within 30 "$pid"
    rm -f "$D/$name.pid"
  done
}

case ${1:-start} in
start) start ;;
stop) stop ;;
remove) stop && rm -rf "$D" ;;
env) print_env ;;
kill)
  is_running "$2"
  kill -9 "$(cat "$D/$2.pid")"
  is_gone_within 30 "$(cat "$D/$2.pid")"
  rm -f "$D/$2.pid"
  ;;
restart)
  launch_daemon "$2"
  wait_for 60 "the OSD coming up" osd_is_up
  wait_for 120 "the gateway answering" is_answering
  ;;
*) sed -n '2,12p' "$0" >&2 && exit 2 ;;
esac
