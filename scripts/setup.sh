#!/bin/sh
# Prepares or repairs a clone: packages and the native Kafka client; with the argument `kafka` the
# requirements of a local Apache Kafka, with `postgis` a PostgreSQL with PostGIS, with `chromium` a
# browser, with `shells` zsh and fish, with `prometheus` a Prometheus, with `pnpm` only the package
# manager. What is in place is left alone. Run it through make, which knows when.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# --- Debian packages ------------------------------------------------------------------------------

as_root=
[ "$(id -u)" = 0 ] || as_root='sudo -n'

# apt-get as root, quiet unless it fails.
apt_get() {
  apt_log=$(mktemp)
  status=0
  # shellcheck disable=SC2086 # a list of words, on purpose
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$apt_log" 2>&1 || {
    status=$?
    tail -n 20 "$apt_log" >&2
    say "apt-get $1 failed, see above"
  }
  rm -f "$apt_log"
  return "$status"
}

may_install() {
  command -v apt-get >/dev/null && { [ "$(id -u)" = 0 ] || sudo -n true; } 2>/dev/null
}

# Installs the named packages that are missing; says the command where it may not.
debian_packages() {
  missing=
  for package in "$@"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
  done
  [ -n "$missing" ] || return 0
  may_install || {
    say "please run 'sudo apt-get install -y$missing' and then the same command again"
    return 1
  }
  say "installing the system packages$missing (about a minute)"
  # shellcheck disable=SC2086 # a list of words, on purpose
  apt_get update && apt_get install -y --no-install-recommends $missing
}

# --- A local Apache Kafka: a JDK and Maven --------------------------------------------------------

jdk_is_recent() {
  version=$("${JAVA_HOME:+$JAVA_HOME/bin/}javac" -version 2>&1 | sed -n 's/^javac \([0-9]*\).*/\1/p')
  [ "${version:-0}" -ge 17 ]
}

setup_kafka() {
  if jdk_is_recent && command -v mvn >/dev/null; then return 0; fi
  command -v apt-get >/dev/null || die 'a real Kafka for the tests needs a JDK >= 17 and Maven: please install them'
  jdk=openjdk-17-jdk-headless
  if ! apt-cache show "$jdk" >/dev/null 2>&1; then
    if may_install; then apt_get update || true; fi # a new machine may have no lists yet
    apt-cache show "$jdk" >/dev/null 2>&1 || jdk=default-jdk-headless
  fi
  debian_packages "$jdk" maven || die 'without a JDK and Maven there is no real Kafka to test against'
  jdk_is_recent || die "$jdk is installed, but 'javac -version' is older than 17: check PATH and JAVA_HOME"
}

# --- PostgreSQL with PostGIS ----------------------------------------------------------------------

# The newest version of PostgreSQL of which there is a server, as Debian and Ubuntu install it; with
# an argument: of which there is that extension, too.
postgres_version() {
  newest=
  for programs in /usr/lib/postgresql/*/bin; do
    version=$(basename "$(dirname "$programs")")
    [ -x "$programs/initdb" ] || continue
    [ -z "${1:-}" ] || [ -f "/usr/share/postgresql/$version/extension/$1.control" ] || continue
    if [ "$version" -gt "${newest:-0}" ]; then newest=$version; fi
  done
  [ -n "$newest" ] && echo "$newest"
}

# The tests start servers of their own, in temporary folders. Installing a first server would also
# create one for the system and start it: a setting for the time of the installation keeps Debian
# from that.
setup_postgis() {
  if postgres_version postgis >/dev/null; then return 0; fi
  command -v apt-get >/dev/null || die 'a real database for the tests needs PostgreSQL with PostGIS: please install them'
  server=$(postgres_version || true)
  if [ -n "$server" ]; then
    debian_packages "postgresql-$server" "postgresql-$server-postgis-3" || die 'without PostGIS there is no database to test against'
    return 0
  fi
  apt-cache show postgresql >/dev/null 2>&1 || ! may_install || apt_get update || true # a new machine may have no lists yet
  server=$(LC_ALL=C apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p')
  [ -n "$server" ] || die 'apt-get knows no package postgresql: please install PostgreSQL with PostGIS'
  keep_out=/etc/postgresql-common/createcluster.d/kafnus.conf
  if may_install; then
    as_root=
    [ "$(id -u)" = 0 ] || as_root='sudo -n'
    debian_packages postgresql-common
    trap '$as_root rm -f "$keep_out"' EXIT
    trap 'exit 130' HUP INT TERM
    $as_root mkdir -p "$(dirname "$keep_out")"
    echo 'create_main_cluster = false' | $as_root tee "$keep_out" >/dev/null
  fi
  debian_packages "postgresql-$server" "postgresql-$server-postgis-3" ||
    die 'without PostgreSQL and PostGIS there is no database to test against'
}

# --- Chromium -------------------------------------------------------------------------------------

# The browser in which the status page is tested.
setup_chromium() {
  for browser in chromium google-chrome; do
    if [ -x "/usr/bin/$browser" ]; then return 0; fi
  done
  command -v apt-get >/dev/null || die 'the status page is tested in Chromium: please install it as /usr/bin/chromium'
  debian_packages chromium || die 'without Chromium the status page is not tested (where there is no such package: Google Chrome does as well)'
}

# --- Shells ---------------------------------------------------------------------------------------

# Those for which `kafnus completion` writes scripts, beside bash.
setup_shells() {
  if command -v zsh >/dev/null && command -v fish >/dev/null; then return 0; fi
  command -v apt-get >/dev/null || die 'completion is tested in zsh and fish: please install them'
  debian_packages zsh fish || die 'without zsh and fish their completion is not tested'
}

# --- Prometheus -----------------------------------------------------------------------------------

# Debian's package is unpacked and not installed: the tests need its two programs only, installing
# would start a service, and this needs no rights.
setup_prometheus() {
  if command -v prometheus >/dev/null && command -v promtool >/dev/null; then return 0; fi
  unpacked=.cache/prometheus
  [ ! -x "$unpacked/usr/bin/promtool" ] || return 0
  command -v apt-get >/dev/null || die 'the tests of dashboards and alerts need prometheus and promtool: please install them'
  say 'Prometheus into .cache (20 MB)'
  rm -rf "$unpacked.new"
  mkdir -p "$unpacked.new"
  download_prometheus || { may_install && apt_get update && download_prometheus; } || # a new machine may have no lists yet
    die 'apt-get could not download the package prometheus: please install prometheus and promtool'
  dpkg-deb -x "$unpacked.new"/prometheus_*.deb "$unpacked.new"
  rm -rf "$unpacked.new"/prometheus_*.deb "$unpacked"
  mv "$unpacked.new" "$unpacked"
}

download_prometheus() {
  (cd "$unpacked.new" && apt-get -qq download prometheus) >/dev/null 2>&1
}

# --- The native Kafka client ----------------------------------------------------------------------

client_loads() {
  (cd libs/kafka-admin && node -e "require('@confluentinc/kafka-javascript')") 2>&1
}

# Unpacks a cached client into node_modules in one rename, so that an interrupted run leaves no half
# of it.
place_client() {
  rm -rf "$client/build.new"
  mkdir "$client/build.new"
  tar -xf "$1" -C "$client/build.new"
  rm -rf "$client/build"
  mv "$client/build.new" "$client/build"
}

# The publisher's binary, if it loads: it may want a newer C library. The host is asked first: where
# it is out of reach, a download would hang for minutes.
download_client() {
  node_pre_gyp=$dependencies/@mapbox/node-pre-gyp/bin/node-pre-gyp
  url=$(node "$node_pre_gyp" reveal hosted_tarball --silent)
  if [ -z "${https_proxy:-}${HTTPS_PROXY:-}${http_proxy:-}${HTTP_PROXY:-}" ]; then
    node -e 'fetch(process.argv[1], { method: "HEAD", signal: AbortSignal.timeout(8000) }).then(
      () => process.exit(0), () => process.exit(1))' "$url" || return 1
  fi
  limit=
  if command -v timeout >/dev/null; then limit='timeout 300'; fi
  $limit node "$node_pre_gyp" install >"$log" 2>&1 &&
    node -e "require('./build/Release/confluent-kafka-javascript.node')" >>"$log" 2>&1
}

build_client() {
  if command -v apt-get >/dev/null; then
    debian_packages build-essential python3 libssl-dev zlib1g-dev libzstd-dev libcurl4-openssl-dev libsasl2-dev \
      liblz4-dev || die 'the Kafka client cannot be built without them'
  elif ! { command -v cc && command -v c++ && command -v python3; } >/dev/null; then
    die 'the Kafka client must be built: please install a C++ compiler, make, python3 and the headers of OpenSSL, zlib, zstd, curl, SASL and LZ4'
  fi
  say "building the Kafka client from source (1 to 5 minutes, once on this machine; log: $log)"
  # Node's own headers, where they came with it: node-gyp would download them.
  nodedir=$(dirname "$(dirname "$(node -p 'process.execPath')")")
  [ -f "$nodedir/include/node/node.h" ] || nodedir=
  # Linked with the system's libraries: linking statically would download and build those as well.
  # One job: the generated makefile does not order its steps for more (librdkafka's own takes all
  # processors).
  env -u MAKEFLAGS CKJS_LINKING=dynamic NODE_PATH="$dependencies" ${nodedir:+npm_config_nodedir="$nodedir"} \
    node "$root/.tools/node_modules/pnpm/dist/node_modules/node-gyp/bin/node-gyp.js" rebuild >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    die "the Kafka client did not build, see above and $log"
  }
}

# pnpm is told to run no install scripts: the client is fetched or built here, outside of
# node_modules, and kept in the user's cache, so that the next clone takes seconds and neither
# pnpm's store nor a clone ever holds half a build.
setup_client() {
  client_loads >/dev/null && return 0
  client=$(node -p "fs.realpathSync('libs/kafka-admin/node_modules/@confluentinc/kafka-javascript')")
  dependencies=$(dirname "$(dirname "$client")")
  cache=${XDG_CACHE_HOME:-$HOME/.cache}/kafnus
  cached=$cache/kafka-javascript-$(node -p "
    process.report.excludeNetwork = true;
    const libc = process.report.getReport().header.glibcVersionRuntime ?? 'other';
    [require('$client/package.json').version, 'node', process.versions.modules, process.platform, process.arch,
     libc].join('-')").tar
  mkdir -p "$cache"

  if [ -f "$cached" ]; then
    say "Kafka client: from $cached"
    if place_client "$cached" && client_loads >/dev/null; then return 0; fi
    say 'the cached client does not load here: making it again'
    rm -f "$cached"
  fi

  find "$cache" -maxdepth 1 -name 'making.*' -mmin +120 -exec rm -rf {} + # left by killed runs
  making=$(mktemp -d "$cache/making.XXXXXX")
  trap 'rm -rf "$making"' EXIT
  trap 'exit 130' HUP INT TERM
  log=$cache/client.log
  cp -RL "$client/." "$making/"
  rm -rf "$making/build" "$making/node_modules"
  root=$PWD
  (
    cd "$making"
    say 'Kafka client: downloading the prebuilt binary'
    download_client || { say 'there is none that works here'; build_client; }
    # Prebuilt: one file. Built: that file and the two libraries which it looks for in ../deps.
    set -- Release/confluent-kafka-javascript.node
    for file in deps/librdkafka.so.1 deps/librdkafka++.so.1; do
      if [ -f "build/$file" ]; then set -- "$@" "$file"; fi
    done
    tar -cf client.tar -C build "$@"
    mv client.tar "$cached"
  )
  place_client "$cached"
  if ! problem=$(client_loads); then
    rm -f "$cached"
    printf '%s\n' "$problem" >&2
    die "the Kafka client was installed but does not load, see above. Log: $log"
  fi
}

# --- Packages -------------------------------------------------------------------------------------

check_node() {
  command -v node >/dev/null || die 'Node.js is missing: please install Node.js >= 20.19 with npm, see https://nodejs.org'
  command -v npm >/dev/null || die 'npm is missing: please install it (it comes with Node.js; on Debian: apt-get install npm)'
  node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1)' ||
    die "Node.js $(node --version) is too old: please install Node.js >= 20.19, see https://nodejs.org"
}

# pnpm, in the version of package.json, inside the clone: nothing on the system is touched.
setup_pnpm() {
  wanted=$(node -p "require('./package.json').packageManager.replace('pnpm@', '')")
  found=$(node -p "require('./.tools/node_modules/pnpm/package.json').version" 2>/dev/null || true)
  [ "$found" != "$wanted" ] || return 0
  say "pnpm $wanted into .tools (a few seconds)"
  npm install --prefix .tools --no-audit --no-fund --no-update-notifier --loglevel=error "pnpm@$wanted" >/dev/null ||
    die "npm could not install pnpm $wanted, see above: is the package registry within reach?"
}

setup_packages() {
  say 'packages of pnpm-lock.yaml (the first time up to a minute)'
  # CI=true: pnpm asks no questions.
  CI=true node .tools/node_modules/pnpm/bin/pnpm.cjs install --frozen-lockfile --ignore-scripts --reporter=append-only \
    --loglevel=warn || die 'pnpm install failed, see above. After a change of dependencies: make lockfile'
}

case ${1:-} in
  kafka) setup_kafka ;;
  postgis) setup_postgis ;;
  chromium) setup_chromium ;;
  shells) setup_shells ;;
  prometheus) setup_prometheus ;;
  pnpm)
    check_node
    setup_pnpm
    ;;
  '')
    check_node
    setup_pnpm
    setup_packages
    setup_client
    say 'done'
    ;;
  *) die "unknown argument '$1': none, kafka, postgis, chromium, shells, prometheus or pnpm" ;;
esac
