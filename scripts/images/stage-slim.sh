#!/bin/sh
# A stage of the Dockerfiles: removes the programs that no image runs.
set -e
rm -rf /usr/local/lib/node_modules /usr/local/include /usr/local/share/man /usr/local/share/doc /opt/yarn*
find /usr/local/bin -mindepth 1 ! -name node -delete
rm -rf /var/cache/* /var/log/* /tmp/*
find / -xdev -type f -perm /6000 -exec chmod ug-s {} +
