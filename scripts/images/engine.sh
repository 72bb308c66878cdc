# Finds a container engine on this machine, or installs one when allowed. Sourced, not run.

say() { printf 'images: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

as_root=
[ "$(id -u)" = 0 ] || as_root='sudo -n'

# Installs the missing ones of the named Debian packages; without the right to do so, fails and
# prints the command.
install_packages() {
  missing=
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  if ! command -v apt-get >/dev/null || ! { [ "$(id -u)" = 0 ] || sudo -n true; } 2>/dev/null; then
    say "please install$missing (on Debian or Ubuntu: sudo apt-get install -y$missing) and run the same command again"
    return 1
  fi
  say "installing the system packages$missing"
  log=$(mktemp)
  # shellcheck disable=SC2086 # lists of words, on purpose
  { $as_root apt-get -q update &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 install -y --no-install-recommends $missing; } >"$log" 2>&1 || {
    tail -n 20 "$log" >&2
    rm -f "$log"
    return 1
  }
  rm -f "$log"
}

# A docker without an engine behind it, or without BuildKit, cannot build these images.
docker_works() {
  command -v docker >/dev/null && docker info >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1
}

# Sets $builder to docker or buildah.
find_builder() {
  builder=${BUILDER:-}
  case $builder in
    docker | buildah) return 0 ;;
    '') ;;
    *) die "BUILDER is '$builder': docker or buildah" ;;
  esac
  if docker_works; then
    builder=docker
  else
    builder=buildah
    command -v buildah >/dev/null || install_packages buildah runc || die 'images need Docker with BuildKit, or buildah'
  fi
}
