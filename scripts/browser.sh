#!/bin/bash
# What the tests of the console need beside Python: Chromium and Node from Debian, axe-core and TypeScript from npm.
#
#   scripts/browser.sh      installs what is missing (as root: Debian's packages too); does nothing if all is there
#
# Local to tests/browser, without a lock file: versions are pinned in tests/browser/package.json.
set -euo pipefail
cd "$(dirname "$0")/../tests/browser"

missing=()
command -v chromium-headless-shell chromium >/dev/null || missing+=(chromium-headless-shell)
command -v npm >/dev/null || missing+=(nodejs npm)
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] || { echo "install first: ${missing[*]}" >&2; exit 1; }
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

wanted=$(sha256sum package.json)
[ "$(cat node_modules/.installed 2>/dev/null)" = "$wanted" ] && exit 0
npm install --no-package-lock --no-audit --no-fund --silent
echo "$wanted" >node_modules/.installed
