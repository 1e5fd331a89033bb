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
  mkdir -p .peers
  rm -rf "$home"
  python3 -m venv "$home"
  # Its dependencies are named with versions: hpfeeds itself asks for whatever is newest.
  "$home/bin/python" -m pip install --quiet --disable-pip-version-check "hpfeeds[broker]==$hpfeeds" \
    aiohttp==3.14.5 aiorun==2025.1.1 prometheus-client==0.26.0 wrapt==2.5.2 ||
    { rm -rf "$home"; exit 1; }
fi

echo "peers: hpfeeds $(have)"
