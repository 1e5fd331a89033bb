#!/usr/bin/env bash
# hpfeeds, broker and client, in a Python environment of its own: .peers/hpfeeds. It is run by
# test/peers/hpfeeds_run.py, which says what has to be mended for it to run at all.
set -euo pipefail

hpfeeds=3.1.0
home=.peers/hpfeeds

have() {
  "$home/bin/python" -c 'from importlib.metadata import version; print(version("hpfeeds"))' 2>/dev/null
}

if [[ $(have) != "$hpfeeds" ]]; then
  echo "peers: installing hpfeeds $hpfeeds"
  fresh=$home.$$
  trap 'rm -rf "$fresh"' EXIT
  mkdir -p .peers
  python3 -m venv "$fresh"
  # Its dependencies are named with versions: hpfeeds itself asks for whatever is newest.
  "$fresh/bin/python" -m pip install --quiet --disable-pip-version-check \
    "hpfeeds[broker]==$hpfeeds" \
    aiohttp==3.14.5 aiorun==2025.1.1 prometheus-client==0.26.0 wrapt==2.5.2
  # Whole or not at all: others may be asking at the same time.
  rm -rf "$home"
  mv "$fresh" "$home"
fi

echo "peers: hpfeeds $(have)"
