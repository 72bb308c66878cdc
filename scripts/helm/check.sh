#!/bin/sh
# `make helm-check`: the chart, rendered, validated and installed on a real control plane. Ends with `N passed, N failed`.
# --write makes anew what is generated or copied in the chart: README.md and files/.
set -eu
cd "$(dirname "$0")/../.."
sh scripts/helm/tools.sh || {
  echo '0 passed, 1 failed'
  exit 1
}
exec node scripts/helm/check.mjs "$@"
