#!/usr/bin/env bash
# Fetches what test/device/arm64.test.ts runs arm64 programs with, from where apt gets its packages, into a folder outside the
# checkout; when that is there already, nothing. With --folder, only says which.
set -euo pipefail

# Debian 12's qemu (7.2) crashes under Node. Its libraries are the oldest that deploy/install.md promises to run with.
qemu_suite=trixie
library_suite=bookworm
folder=${XDG_CACHE_HOME:-~/.cache}/sightd/arm64-$qemu_suite-$library_suite

[ "${1:-}" != --folder ] || { echo "$folder"; exit; }
[ ! -d "$folder" ] || exit 0

mkdir -p "$(dirname "$folder")"
work=$(mktemp -d "$(dirname "$folder")/fetching-XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir -p "$work"/{lists,archives}/partial "$work/done/sysroot"
cd "$work"

host=$(dpkg --print-architecture)
keys=/usr/share/keyrings/debian-archive-keyring.gpg
apt=(apt-get -qq -o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=-
  -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work" -o APT::Sandbox::User=root -o "APT::Architectures::=$host"
  -o APT::Architectures::=arm64 -o Acquire::Languages=none -o APT::Update::Error-Mode=any
  -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)

# Of the machine's sources one is Debian's own, if any; the rest know no such suites.
is_found=false
for uri in $(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | awk '!seen[$0]++'); do
  for source in "$host $qemu_suite" "arm64 $library_suite"; do
    echo "deb [arch=${source% *} signed-by=$keys] $uri ${source#* } main"
  done >sources.list
  if "${apt[@]}" update >>update.log 2>&1; then is_found=true && break; fi
done
$is_found || { cat update.log; echo "none of apt's sources has Debian $qemu_suite and $library_suite"; exit 1; } >&2

"${apt[@]}" download "qemu-user/$qemu_suite" {libc6,libgcc-s1,libstdc++6}:arm64/"$library_suite"
for package in ./*_arm64.deb; do dpkg-deb --extract "$package" done/sysroot; done
dpkg-deb --fsys-tarfile ./qemu-user_*.deb | tar --extract --directory done --strip-components 3 ./usr/bin/qemu-aarch64
mv -T done "$folder"
echo "$folder"
