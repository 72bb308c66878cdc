#!/bin/sh
# A stage of the Dockerfiles: the libraries that the native Kafka client may need, and tini: process
# 1 of a container cannot kill itself, which an agent has to do when a call of that client hangs.
set -e
apt-get -q update
DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends \
  ca-certificates libcurl4 liblz4-1 libsasl2-2 libssl3 libzstd1 tini zlib1g
rm -rf /var/lib/apt/lists/*
