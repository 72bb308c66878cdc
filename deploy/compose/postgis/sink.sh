#!/bin/sh
# Runs when the database is initialized: creates the role of the sink, which is not a superuser, and
# a schema for each service (tenant).
set -eu
query() { psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 --username="$POSTGRES_USER" --dbname="$POSTGRES_DB" "$@"; }

query --set=role="$KAFNUS_POSTGIS_USER" --set=password="$KAFNUS_POSTGIS_PASSWORD" <<'SQL'
CREATE EXTENSION IF NOT EXISTS postgis;
CREATE ROLE :"role" LOGIN PASSWORD :'password';
SQL
for service in $KAFNUS_SERVICES; do
  query --set=role="$KAFNUS_POSTGIS_USER" --set=service="$service" <<'SQL'
CREATE SCHEMA :"service" AUTHORIZATION :"role";
SQL
done
