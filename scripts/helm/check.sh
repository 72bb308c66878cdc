#!/bin/sh
# `make helm-check`: renders, validates and installs the chart on a real control plane. Ends with `N
# passed, N failed`. --write updates the generated and copied files of the chart: README.md and
# files/.
set -eu
cd "$(dirname "$0")/../.."
sh scripts/helm/tools.sh || {
  echo '0 passed, 1 failed'
  exit 1
}
exec node scripts/helm/check.mjs "$@"
