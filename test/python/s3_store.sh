#!/usr/bin/env bash
# The tests of the store in S3, with moto's imitation of it on this machine. The last line is `N passed, N failed`.
#
#   test/python/s3_store.sh [PYTHON]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python="${1:-$(test/python/venv.sh test/python/requirements-store.txt)}"
port="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
log="$(mktemp)"
"$python" -m moto.server -H 127.0.0.1 -p "$port" >"$log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -f "$log"' EXIT
until "$python" -c "import urllib.request; urllib.request.urlopen('http://127.0.0.1:$port/moto-api/')" 2>/dev/null; do
  kill -0 "$server" || { cat "$log"; exit 1; }
  sleep 0.2
done
SDCONVERT_TEST_S3="http://127.0.0.1:$port" node_modules/.bin/node node_modules/vitest/vitest.mjs run test/fleet/store/s3-store.test.ts
