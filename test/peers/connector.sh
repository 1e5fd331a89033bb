#!/usr/bin/env bash
# Google's Pub/Sub Group Kafka Connector in .peers/connector, from Maven Central: what the original
# broker takes alerts in with. The bench compares with it.
set -euo pipefail

version=1.3.3
connector=.peers/connector

if [[ ! -e $connector/plugins/pubsub-group-kafka-connector-$version.jar ]]; then
  command -v mvn >/dev/null || { echo "peers: the Pub/Sub connector needs mvn (Debian: maven)" >&2; exit 1; }
  echo "peers: installing Google's Pub/Sub Kafka connector $version in $connector"
  mkdir -p .peers
  new=$(mktemp -d .peers/connector.XXXXXX)
  trap 'rm -rf "$new"' EXIT
  cp test/peers/connector/pom.xml "$new/"
  mvn -q -B -f "$new/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory=plugins >"$new/mvn.log" 2>&1 || { cat "$new/mvn.log" >&2; exit 1; }
  chmod 755 "$new"
  rm -rf "$connector"
  mv -T "$new" "$connector"
  trap - EXIT
fi

echo "peers: Google's Pub/Sub Kafka connector $version"
