#!/usr/bin/env bash
# Debian's Chromium, in which the night's report is opened.
set -euo pipefail

if ! command -v chromium >/dev/null; then
  echo 'peers: installing chromium'
  export DEBIAN_FRONTEND=noninteractive
  as_root=$([[ $(id -u) = 0 ]] || echo sudo)
  $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null ||
    { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends chromium >/dev/null; }
fi
echo "peers: $(chromium --version --no-sandbox 2>/dev/null | head -1)"
