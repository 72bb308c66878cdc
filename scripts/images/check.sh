#!/bin/sh
# Builds and inspects the images, and runs them hardened against a real Kafka on this machine. Ends
# with `N passed, N failed`. It accepts the variables of build.sh; the base image may be a
# substitute unless STAND_IN=no.
set -eu
cd "$(dirname "$0")/../.."
. scripts/images/engine.sh

STAND_IN=${STAND_IN:-yes}
TAG=${TAG:-$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)}
AGENTS='historic lastdata mutable errors cli'
export STAND_IN TAG AGENTS

find_builder
export BUILDER="$builder"
sh scripts/images/build.sh

# The containers share the network of the machine: that is where Kafka is.
options='--network host'
if [ "$builder" = docker ]; then
  runner=docker
else
  runner=podman
  install_packages podman runc catatonit netavark || die 'to run what buildah has built, podman is needed'
  # Limits that need no rights beyond those of a machine which is itself a container.
  options="$options --ulimit nofile=4096:4096 --ulimit nproc=4096:4096"
fi
exec node scripts/images/check.mjs "$runner" "$options" "${REGISTRY:-}" "$TAG"
