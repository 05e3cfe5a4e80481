#!/usr/bin/env bash
# The cache of the Hub goes both ways: Python's huggingface_hub finds offline what sdconvert downloaded and adds to it, and
# the other way round. The Hub is an imitation on this machine. The last line is `N passed, N failed`.
#
#   test/python/hub_roundtrip.sh [PYTHON]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

python="${1:-$(test/python/venv.sh test/python/requirements-hub.txt)}"
node=node_modules/.bin/node
model=models/sd-shapes
repo=sdconvert/sd-shapes
work="$(mktemp -d)"

$node scripts/serve-hub.ts "$model" "$repo" >"$work/url" &
server=$!
trap 'kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
until [ -s "$work/url" ]; do sleep 0.1; kill -0 "$server"; done

unset HF_TOKEN HUGGING_FACE_HUB_TOKEN HF_HUB_CACHE HUGGINGFACE_HUB_CACHE HF_HUB_OFFLINE
export HF_ENDPOINT HF_HOME="$work/home"
HF_ENDPOINT="$(cat "$work/url")"

passed=0 failed=0
# tally COMMAND...: adds what the command counted, or one for it.
tally() {
  local line
  if ! "$@" >"$work/log" 2>&1; then cat "$work/log"; failed=$((failed + 1)); return 0; fi
  line="$(grep -oE '^[0-9]+ passed' "$work/log" | tail -n 1 || true)"
  line="${line%% *}"
  passed=$((passed + ${line:-1}))
}
download() { $node cli/main.ts download "$repo" --quiet "$@"; }
check() { "$python" test/python/check_hub_cache.py "$1" "$repo" "$2" "$model"; }
same_files() { diff -r --exclude README.md "$model" "$1"; }

tally download --cache-dir "$work/ours"
tally check read "$work/ours"
tally check fill "$work/ours"

tally check fill "$work/theirs"
tally download --cache-dir "$work/theirs"

kill "$server"
wait "$server" || true
tally download --cache-dir "$work/theirs" --offline -o "$work/out"
tally same_files "$work/out"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
