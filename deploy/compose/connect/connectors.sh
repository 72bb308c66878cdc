#!/bin/sh
# Creates or updates the connectors of deploy/connect.
set -eu
for name in historic lastdata mutable error-log; do
  sed "s|\"schema.evolution\": \"none\"|\"schema.evolution\": \"$KAFNUS_SCHEMA_EVOLUTION\"|" "/connect/debezium-$name.json" |
    curl --silent --show-error --fail-with-body --retry 10 --retry-all-errors --output /dev/null \
      --request PUT --header 'content-type: application/json' --data-binary @- "http://connect:8083/connectors/$name/config"
  echo "connector $name is as deploy/connect/debezium-$name.json says"
done
