#!/usr/bin/env bash
# A Python environment in .peers/python, with fastavro.
set -euo pipefail

fastavro=1.12.2

python=.peers/python/bin/python
if [[ ! -x $python ]]; then
  echo "peers: making a Python environment in .peers/python"
  mkdir -p .peers
  python3 -m venv .peers/python
fi

if [[ $("$python" -c 'import fastavro; print(fastavro.__version__)' 2>/dev/null) != "$fastavro" ]]; then
  echo "peers: installing fastavro $fastavro"
  "$python" -m pip install --quiet --disable-pip-version-check "fastavro==$fastavro"
fi

echo "peers: Python $("$python" -c 'import platform; print(platform.python_version())') with fastavro $(
  "$python" -c 'import fastavro; print(fastavro.__version__)'
)"
