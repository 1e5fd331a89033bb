#!/usr/bin/env bash
# ActiveMQ in .peers/activemq: the jars from Maven Central, a hand that asks its selectors for verdicts,
# and one that runs its broker.
set -euo pipefail

version=5.17.2
here=test/peers/activemq
activemq=.peers/activemq
mark="$version $(cat "$here/pom.xml" "$here"/*.java test/peers/activemq.sh | sha256sum | cut -c1-16)"

if [[ "$(cat "$activemq/mark" 2>/dev/null)" != "$mark" ]]; then
  command -v mvn >/dev/null || { echo "peers: ActiveMQ needs mvn (Debian: maven)" >&2; exit 1; }
  command -v javac >/dev/null || { echo "peers: ActiveMQ needs a JDK 17" >&2; exit 1; }
  echo "peers: installing ActiveMQ $version in $activemq"
  mkdir -p .peers
  new=$(mktemp -d .peers/activemq.XXXXXX)
  trap 'rm -rf "$new"' EXIT
  cp "$here/pom.xml" "$new/"
  mvn -q -B -f "$new/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory=libs >"$new/mvn.log" 2>&1 || { cat "$new/mvn.log" >&2; exit 1; }
  mkdir "$new/classes"
  javac -nowarn -Xlint:none -cp "$new/libs/*" -d "$new/classes" "$here"/*.java \
    2>"$new/javac.log" || { cat "$new/javac.log" >&2; exit 1; }
  chmod 755 "$new"
  echo "$mark" >"$new/mark"
  rm -rf "$activemq.old"
  [[ ! -e $activemq ]] || mv -T "$activemq" "$activemq.old"
  mv -T "$new" "$activemq"
  rm -rf "$activemq.old"
  trap - EXIT
fi

echo "peers: ActiveMQ $version"
