#!/bin/sh
# Starts the worker with the settings of deploy/connect, except the two addresses.
set -eu
sed -e 's|^bootstrap.servers=.*|bootstrap.servers=kafka:9092|' -e 's|^listeners=.*|listeners=http://:8083|' \
  /opt/kafnus/worker.properties >/tmp/worker.properties
exec /opt/kafka/bin/connect-distributed.sh /tmp/worker.properties
