#!/usr/bin/env bash
# The packages of infra/, which are its own: CDKTF and the bindings of Google's provider.
set -euo pipefail

lock=infra/node_modules/.package-lock.json
if [[ ! -f $lock || infra/package-lock.json -nt $lock ]]; then
  echo 'peers: installing the packages of infra/'
  (cd infra && npm ci --no-fund --no-audit --loglevel=error >/dev/null && touch node_modules/.package-lock.json)
fi
echo "peers: cdktf $(sed -n 's/.*"version": "\(.*\)".*/\1/p' infra/node_modules/cdktf/package.json)"
