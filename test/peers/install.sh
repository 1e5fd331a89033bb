#!/usr/bin/env bash
# Install the peers that tests and benchmarks compare Nightjar with, at pinned versions, below .peers/.
# One script a peer, beside this one; run it again at any time: what is there already stays. Without a
# peer its tests are skipped.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/../.."

for peer in test/peers/*.sh; do
  [[ $peer = */install.sh ]] || bash "$peer"
done
