#!/usr/bin/env bash
# GoogleSQL in .peers/googlesql: Google's analyzer and reference implementation of BigQuery's SQL (ZetaSQL)
# from Maven Central, and a hand that asks them.
set -euo pipefail

version=2024.11.1
here=test/peers/googlesql
googlesql=.peers/googlesql
mark="$version $(cat "$here/pom.xml" "$here/Engine.java" test/peers/googlesql.sh | sha256sum | cut -c1-16)"

if [[ "$(cat "$googlesql/mark" 2>/dev/null)" != "$mark" ]]; then
  if [[ "$(uname -sm)" != "Linux x86_64" ]]; then
    echo "peers: no GoogleSQL for $(uname -sm)"
    exit 0
  fi
  command -v mvn >/dev/null || { echo "peers: GoogleSQL needs mvn (Debian: maven)" >&2; exit 1; }
  command -v javac >/dev/null || { echo "peers: GoogleSQL needs a JDK 17" >&2; exit 1; }
  echo "peers: installing GoogleSQL $version in $googlesql"
  mkdir -p .peers
  new=$(mktemp -d .peers/googlesql.XXXXXX)
  trap 'rm -rf "$new"' EXIT
  cp "$here/pom.xml" "$new/"
  mvn -q -B -f "$new/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory=libs >"$new/mvn.log" 2>&1 || { cat "$new/mvn.log" >&2; exit 1; }
  mkdir "$new/classes"
  javac -nowarn -Xlint:none -cp "$new/libs/*" -d "$new/classes" "$here/Engine.java" \
    2>"$new/javac.log" || { cat "$new/javac.log" >&2; exit 1; }
  chmod 755 "$new"
  echo "$mark" >"$new/mark"
  rm -rf "$googlesql.old"
  [[ ! -e $googlesql ]] || mv -T "$googlesql" "$googlesql.old"
  mv -T "$new" "$googlesql"
  rm -rf "$googlesql.old"
  trap - EXIT
fi

echo "peers: GoogleSQL $version, BigQuery's dialect"
