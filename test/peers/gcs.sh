#!/usr/bin/env bash
# fake-gcs-server, a Cloud Storage that keeps its buckets in memory: .peers/gcs/fake-gcs-server.
set -euo pipefail

version=v1.56.1

if [[ $(cat .peers/gcs/version 2>/dev/null) != "$version" ]]; then
  if ! command -v go >/dev/null; then
    echo "peers: no Go for fake-gcs-server: install Go 1.25 or later"
    exit 0
  fi
  echo "peers: building fake-gcs-server $version (a minute)"
  mkdir -p .peers
  building=$(mktemp -d .peers/gcs.XXXXXX)
  trap 'rm -rf "$building"' EXIT
  GOBIN="$PWD/$building" GOFLAGS=-buildvcs=false \
    go install -ldflags='-s -w' "github.com/fsouza/fake-gcs-server@$version"
  echo "$version" >"$building/version"
  chmod 755 "$building"
  rm -rf .peers/gcs
  mv -T "$building" .peers/gcs
fi
echo "peers: fake-gcs-server $version"
