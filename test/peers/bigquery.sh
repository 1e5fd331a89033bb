#!/usr/bin/env bash
# bqemulator, a BigQuery over DuckDB with REST and the Storage Write API: .peers/bigquery/bin/python,
# at the versions of bigquery.txt.
set -euo pipefail

list=test/peers/bigquery.txt
version=$(sed -n 's/^bqemulator==//p' "$list")
mark="$version $(cksum <"$list")"

if [[ $(cat .peers/bigquery/version 2>/dev/null) != "$mark" ]]; then
  if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "peers: no Python 3.11 or later for bqemulator"
    exit 0
  fi
  echo "peers: installing bqemulator $version (a minute)"
  mkdir -p .peers
  making=$(mktemp -d .peers/bigquery.XXXXXX)
  trap 'rm -rf "$making"' EXIT
  python3 -m venv "$making"
  "$making/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$list"
  # DuckDB looks for its extensions below the home directory; this one comes as a Python package.
  mkdir "$making/home"
  HOME="$PWD/$making/home" "$making/bin/python" -c \
    'import duckdb_extensions; duckdb_extensions.import_extension("spatial")'
  echo "$mark" >"$making/version"
  chmod 755 "$making"
  # Only its Python is run, which finds its packages wherever the folder stands.
  rm -rf .peers/bigquery
  mv -T "$making" .peers/bigquery
fi
echo "peers: bqemulator $version"
