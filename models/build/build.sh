#!/bin/sh
# Builds ../ssdlite-mobilenet-v2-coco/1 from the published packages, in its own Python environment:
#   models/build/build.sh            model, manifest and golden samples
#   models/build/build.sh --judge    the accuracy and speed tables of ../README.md
set -eu
cd "$(dirname "$0")"
python3 -m venv .cache/venv
.cache/venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
if [ "${1-}" = --judge ]; then
  shift
  exec .cache/venv/bin/python judge.py "$@"
fi
exec .cache/venv/bin/python ssdlite.py "$@"
