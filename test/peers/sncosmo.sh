#!/usr/bin/env bash
# sncosmo, for /usr/bin/python3, as Debian has it: the reference of the light-curve fit and its plot. It needs no file from
# elsewhere: model and bandpasses are given to it.
set -euo pipefail

sncosmo=2.9.0
python=/usr/bin/python3

version() {
  "$python" -W ignore -c 'import sncosmo, iminuit, matplotlib; print(sncosmo.__version__)' 2>/dev/null || true
}

if [[ $(version) != "$sncosmo" ]]; then
  if [[ $(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then
    echo "peers: no sncosmo $sncosmo; on Debian: apt-get install python3-sncosmo python3-iminuit python3-matplotlib"
    exit 0
  fi
  echo "peers: installing python3-sncosmo, python3-iminuit and python3-matplotlib from Debian"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >/dev/null
  apt-get install -y -qq --no-install-recommends python3-sncosmo python3-iminuit \
    python3-matplotlib >/dev/null
fi

echo "peers: sncosmo $(version) of Debian with iminuit $(
  "$python" -W ignore -c 'import iminuit; print(iminuit.__version__)' 2>/dev/null
)"
