#!/bin/sh
# Builds the images of the agents and of the command line, kafnus-ngsi-<name>, with Docker or
# buildah. The variables:
#
#     AGENTS      the images to build (default: the four agents, and cli)
#     TAG         (default: the version in package.json)
#     REGISTRY    prefix of the names, e.g. registry.example.org/kafnus
#     BASE_IMAGE  (default: node:24-bookworm-slim), also with a digest: node@sha256:...
#     STAND_IN    yes: when the base image cannot be pulled, builds a substitute from Debian's and
#                 npm's packages, for tests only (default: yes; no when REGISTRY is set)
#     BUILDER     docker or buildah (default: the first that works)
set -eu
cd "$(dirname "$0")/../.."
. scripts/images/engine.sh

AGENTS=${AGENTS:-historic lastdata mutable errors cli}
TAG=${TAG:-$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)}
BASE_IMAGE=${BASE_IMAGE:-node:24-bookworm-slim}
STAND_IN=${STAND_IN:-$([ -z "${REGISTRY:-}" ] && echo yes || echo no)}
stand_in_image=localhost/kafnus-stand-in:node24-bookworm
logs=.cache/images

# Where the Dockerfile of an image is.
dockerfile_of() {
  if [ "$1" = cli ]; then echo tools/cli/Dockerfile; else echo "services/$1/Dockerfile"; fi
}

for agent in $AGENTS; do
  [ -f "$(dockerfile_of "$agent")" ] || die "AGENTS: there is no image '$agent': historic, lastdata, mutable, errors or cli"
done

has_image() {
  case $builder in
    docker) docker image inspect "$1" ;;
    buildah) buildah inspect --type image "$1" ;;
  esac >/dev/null 2>&1
}

# Docker's own registry, where a name says no other; buildah takes nothing for granted there.
full_name() {
  case ${1%%/*} in
    *.* | *:*/* | localhost) echo "$1" ;;
    "$1") echo "docker.io/library/$1" ;;
    *) echo "docker.io/$1" ;;
  esac
}

pull_image() {
  case $builder in
    docker) docker pull -q "$1" ;;
    buildah) buildah pull -q "$(full_name "$1")" ;;
  esac >/dev/null
}

make_stand_in() {
  install_packages mmdebstrap || die 'the stand-in for the base image needs mmdebstrap'
  rootfs=$logs/stand-in.tar
  node=$($as_root sh scripts/images/stand-in-base.sh "$rootfs" 2>"$logs/stand-in.log") || {
    tail -n 20 "$logs/stand-in.log" >&2
    die 'the stand-in for the base image could not be made, see above'
  }
  path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  case $builder in
    docker) docker import -c "ENV PATH=$path" -c "ENV NODE_VERSION=$node" "$rootfs" "$stand_in_image" >/dev/null ;;
    buildah)
      container=$(buildah from scratch)
      buildah add -q "$container" "$rootfs" / >/dev/null
      buildah config --env "PATH=$path" --env "NODE_VERSION=$node" "$container"
      buildah commit -q --rm "$container" "$stand_in_image" >/dev/null
      ;;
  esac
  rm -f "$rootfs"
}

# Sets $base to an image that is here.
find_base() {
  base=$BASE_IMAGE
  if has_image "$base" || pull_image "$base"; then return 0; fi
  [ "$STAND_IN" = yes ] || die "the base image $base is out of reach, see above. With STAND_IN=yes a stand-in is made (for tests, not for production)"
  base=$stand_in_image
  say "NOT FOR PRODUCTION: $BASE_IMAGE is out of reach, its stand-in from Debian's and npm's packages takes its place"
  has_image "$base" || make_stand_in
}

build() {
  agent=$1
  image=${REGISTRY:+$REGISTRY/}kafnus-ngsi-$agent:$TAG
  # Not as build arguments: buildah would take a label with an old value from its cache.
  label=org.opencontainers.image
  set -- --build-arg BASE_IMAGE="$base" --label "$label.version=$TAG" --label "$label.revision=$revision" --label "$label.base.name=$base"
  if [ -f "$HOME/.npmrc" ]; then set -- "$@" --secret "id=npmrc,src=$HOME/.npmrc"; fi
  # The trusted certificates of this machine, for networks with a private CA.
  certificates=${NODE_EXTRA_CA_CERTS:-/etc/ssl/certs/ca-certificates.crt}
  if [ -f "$certificates" ]; then set -- "$@" --secret "id=ca,src=$certificates"; fi
  set -- "$@" -f "$(dockerfile_of "$agent")" -t "$image" .
  began=$(date +%s)
  case $builder in
    docker) DOCKER_BUILDKIT=1 docker build --progress plain "$@" ;;
    # chroot: works without rights of root, and inside of a container. docker: OCI's own format
    # knows no HEALTHCHECK. Cached layers have another timestamp, so they are rebuilt when one is
    # given.
    buildah) buildah bud --isolation chroot --layers --format docker --pull-never \
      ${SOURCE_DATE_EPOCH:+--no-cache --timestamp "$SOURCE_DATE_EPOCH"} "$@" ;;
  esac >"$logs/$agent.log" 2>&1 || {
    tail -n 30 "$logs/$agent.log" >&2
    die "$image could not be built, see above and $logs/$agent.log"
  }
  say "$image, $(size_of "$image"), in $(($(date +%s) - began)) s"
}

size_of() {
  case $builder in
    docker) docker images --format '{{.Size}}' "$1" ;;
    buildah) buildah images --format '{{.Size}}' "$1" ;;
  esac | head -n 1
}

mkdir -p "$logs"
find_builder
find_base
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ -z "$(git status --porcelain 2>/dev/null)" ] || revision=$revision-modified
say "building with $builder on $base; the first time compiles what cannot be downloaded (minutes); logs: $logs"
for agent in $AGENTS; do build "$agent"; done
