#!/usr/bin/env bash
# bqemulator, a BigQuery over DuckDB with REST and the Storage Write API: .peers/bigquery/bin/python.
set -euo pipefail

version=1.4.0

if [[ $(cat .peers/bigquery/version 2>/dev/null) != "$version" ]]; then
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "peers: no Python 3.11 or later for bqemulator"
    exit 0
  fi
  echo "peers: installing bqemulator $version (half a minute)"
  mkdir -p .peers
  making=$(mktemp -d .peers/bigquery.XXXXXX)
  trap 'rm -rf "$making"' EXIT
  python3 -m venv "$making"
  "$making/bin/python" -m pip install --quiet --disable-pip-version-check "bqemulator==$version"
  echo "$version" >"$making/version"
  chmod 755 "$making"
  # Only its Python is run, which finds its packages wherever the folder stands.
  rm -rf .peers/bigquery
  mv -T "$making" .peers/bigquery
fi
echo "peers: bqemulator $version"
