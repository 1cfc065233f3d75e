#!/bin/sh
# sightd on the Node that came along, wherever the package lies.
lib=$(dirname "$(dirname "$(readlink -f "$0")")")/lib/sightd
exec "$lib/node/bin/node" "$lib/dist/main.js" "$@"
