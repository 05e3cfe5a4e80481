#!/usr/bin/env bash
# Prints the path of a Redis or Valkey server. Where there is none, and this may install packages on Debian, installs Redis,
# without starting it; exit code 1 where neither works.
set -euo pipefail

find_server() {
  command -v redis-server || command -v valkey-server
}

find_server && exit 0
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  export DEBIAN_FRONTEND=noninteractive RUNLEVEL=1
  {
    timeout 60 apt-get update -qq
    timeout 120 apt-get install -y -qq --no-install-recommends redis-server
  } >&2 || true
fi
find_server
