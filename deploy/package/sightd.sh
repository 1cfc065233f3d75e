#!/bin/sh
# sightd on the Node that came along, wherever the package lies.
lib=$(dirname "$(dirname "$(readlink -f "$0")")")/lib/sightd
# Memory: as in bin/sightd of the sources.
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-2}" MALLOC_TRIM_THRESHOLD_="${MALLOC_TRIM_THRESHOLD_:-131072}"
exec "$lib/node/bin/node" --max-semi-space-size=1 --max-old-space-size=256 "$lib/dist/main.js" "$@"
