#!/usr/bin/env bash
# The packages of infra/ with cdktf's successor in its place, as docs/decisions/0001-cdktf.md says to move:
# an alias in package.json and nothing else.
set -euo pipefail

cdktn=0.24.0
constructs=10.7.2
peer=.peers/cdktn

# shellcheck disable=SC2016  # ${…} and $ are JavaScript's and npm's
manifest=$(node -e '
  const [cdktn, constructs] = process.argv.slice(1)
  const { name, private: hidden, type, dependencies } = require("./infra/package.json")
  const moved = { ...dependencies, cdktf: `npm:cdktn@${cdktn}`, constructs }
  const overrides = { "@cdktf/provider-google": { cdktf: "$cdktf", constructs: "$constructs" } }
  console.log(JSON.stringify({ name, private: hidden, type, dependencies: moved, overrides }, null, 2))
' "$cdktn" "$constructs")

if [[ ! -f $peer/package.json || $(<"$peer/package.json") != "$manifest" ]]; then
  echo "peers: installing cdktn $cdktn"
  rm -rf "$peer.new" && mkdir -p "$peer.new"
  printf '%s\n' "$manifest" >"$peer.new/package.json"
  (cd "$peer.new" && npm install --ignore-scripts --no-fund --no-audit --loglevel=error >/dev/null)
  rm -rf "$peer" && mv "$peer.new" "$peer"
fi
echo "peers: cdktn $(sed -n 's/^  "version": "\(.*\)".*/\1/p' "$peer/node_modules/cdktf/package.json")"
