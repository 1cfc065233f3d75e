#!/bin/sh
# Makes the Python environment of the peers in bench/peers/.cache/venv, and imports the classifier for the comparison with LiteRT
# where its test data is:
#   bench/peers/install.sh
set -eu
cd "$(dirname "$0")"
python3 -m venv .cache/venv
.cache/venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
echo "bench/peers/.cache/venv: made"
exec ../../models/build/import.sh
