#!/bin/sh
# Makes an authority (ca.pem, ca.key) and the broker's certificate (broker.pem, broker.key) in this folder.
# usage: certificates.sh NAME-OR-ADDRESS...     every name under which devices reach the broker
set -eu
umask 077
[ $# -gt 0 ] || { sed -n 's/^# usage: /usage: /p' "$0" >&2; exit 2; }

names=
for name; do
  case $name in
    *[!0-9.]*) kind=DNS ;;
    *) kind=IP ;;
  esac
  [ "${name#*:}" = "$name" ] || kind=IP
  names="$names${names:+,}$kind:$name"
done

# Devices trust the authority. Its key signs the next broker, and belongs on a stick in a drawer.
[ -e ca.key ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 7300 \
  -subj '/CN=sightd broker authority' -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign \
  -keyout ca.key -out ca.pem

openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout broker.key -out broker.csr
printf '%s\n' "subjectAltName=$names" basicConstraints=CA:FALSE extendedKeyUsage=serverAuth > broker.ext
openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -set_serial "0x$(openssl rand -hex 16)" -days 1825 \
  -extfile broker.ext -out broker.pem
rm broker.csr broker.ext
chmod 644 ca.pem broker.pem
