#!/usr/bin/env bash
# Prints the python of a virtual environment holding exactly the packages of a requirements file.
# Made on the first call, outside the project; a changed file or interpreter makes a new one.
#
#   python="$(test/python/venv.sh test/python/requirements.txt)"
set -euo pipefail

requirements="${1:?usage: venv.sh <requirements file>}"
key="$({ python3.11 --version; cat "$requirements"; } | sha256sum | cut -c1-16)"
venv="${XDG_CACHE_HOME:-$HOME/.cache}/sdconvert-ci/$(basename "$requirements" .txt)-$key"

if [ ! -e "$venv/complete" ]; then
  {
    python3.11 -m venv --clear "$venv"
    "$venv/bin/pip" install --disable-pip-version-check --only-binary :all: -r "$requirements"
    "$venv/bin/pip" check
  } >&2
  touch "$venv/complete"
fi
echo "$venv/bin/python"
