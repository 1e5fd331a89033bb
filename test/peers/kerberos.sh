#!/usr/bin/env bash
# A Kerberos KDC of MIT's, from Debian's packages, a library that shifts its clock, and the npm module
# `kerberos`, which is optional and so is silently left out where its headers were missing.
set -euo pipefail

packages=(krb5-kdc krb5-admin-server krb5-user libkrb5-dev libfaketime)

missing=()
for package in "${packages[@]}"; do
  dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
if [[ ${#missing[@]} -gt 0 ]]; then
  echo "peers: installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  as_root=$([[ $(id -u) = 0 ]] || echo sudo)
  # In containers nothing starts by itself; elsewhere it must not: tests start a KDC of their own.
  $as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
    { $as_root apt-get update -qq && $as_root apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; }
fi

node=node_modules/.bin/node
loads() { "$node" -e "require('kerberos').initializeClient" 2>/dev/null; }
if ! loads; then
  version=$("$node" -p "require('./package.json').optionalDependencies.kerberos")
  echo "peers: building the npm module kerberos $version"
  # In a folder of its own, so that nothing else of node_modules is touched.
  new=$(mktemp -d node_modules/.kerberos.XXXXXX)
  trap 'rm -rf "$new"' EXIT
  echo '{ "private": true, "allowScripts": { "kerberos": true } }' >"$new/package.json"
  if ! (cd "$new" && npm install --no-fund --no-audit --foreground-scripts "kerberos@$version") >"$new/log" 2>&1; then
    tail -20 "$new/log" >&2
    exit 1
  fi
  rm -rf node_modules/kerberos
  mv "$new/node_modules/kerberos" node_modules/kerberos
  loads || { tail -20 "$new/log" >&2; echo "peers: the npm module kerberos does not load" >&2; exit 1; }
fi

echo "peers: MIT Kerberos $(dpkg-query -W -f '${Version}' krb5-kdc) and the npm module kerberos $("$node" -p "require('kerberos').version")"
