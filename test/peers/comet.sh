#!/usr/bin/env bash
# Comet, the VOEvent broker that ours is measured with, and pygcn, a subscriber, in .peers/comet.
set -euo pipefail

comet=3.1.0
pygcn=1.1.3

python=.peers/comet/bin/python
if ! "$python" -c 'import comet, gcn' 2>/dev/null; then
  echo "peers: installing Comet $comet and pygcn $pygcn"
  python3 -m venv .peers/comet
  # Comet asks for no version of Twisted; its plugins are found through setuptools' pkg_resources.
  "$python" -m pip install --quiet --disable-pip-version-check \
    "Comet==$comet" "pygcn==$pygcn" 'Twisted==22.10.0' 'lxml==6.1.3' 'setuptools==65.5.0'
fi

echo "peers: Comet $("$python" -c 'import comet; print(comet.__version__)') and pygcn $pygcn"
