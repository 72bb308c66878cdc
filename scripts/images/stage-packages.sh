#!/bin/sh
# A stage of the Dockerfiles: the packages and the native Kafka client, in the working directory;
# and once more in /production, without those for development and without pnpm's links.
set -e
certificates=/etc/ssl/certs/ca-certificates.crt
if [ -s $certificates ]; then export NODE_EXTRA_CA_CERTS=$certificates; fi
apt-get -q update
apt-get -q install -y --no-install-recommends binutils
sh scripts/setup.sh
CI=true node .tools/node_modules/pnpm/bin/pnpm.cjs --dir /production install --prod --offline --frozen-lockfile \
  --ignore-scripts --config.node-linker=hoisted --reporter=append-only --loglevel=warn
