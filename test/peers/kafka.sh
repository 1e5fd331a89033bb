#!/usr/bin/env bash
# Apache Kafka in .peers/kafka: the broker's jars from Maven Central, the hand that drives its own
# clients, and an archive of loaded classes, by which a broker starts in half the time.
set -euo pipefail

version=4.1.0
here=test/peers/kafka
kafka=.peers/kafka
mark="$version $(cat "$here/pom.xml" "$here/Hand.java" test/peers/kafka.sh | sha256sum | cut -c1-16)"

if [[ "$(cat "$kafka/mark" 2>/dev/null)" != "$mark" ]]; then
  command -v mvn >/dev/null || { echo "peers: Apache Kafka needs mvn (Debian: maven)" >&2; exit 1; }
  command -v javac >/dev/null || { echo "peers: Apache Kafka needs a JDK 17" >&2; exit 1; }
  echo "peers: installing Apache Kafka $version in $kafka"
  mkdir -p .peers
  new=$(mktemp -d .peers/kafka.XXXXXX)
  trap 'rm -rf "$new"' EXIT
  cp "$here/pom.xml" "$new/"
  mvn -q -B -f "$new/pom.xml" dependency:copy-dependencies -DincludeScope=runtime \
    -DoutputDirectory=libs >"$new/mvn.log" 2>&1 || { cat "$new/mvn.log" >&2; exit 1; }
  mkdir "$new/libs/hand"
  javac -nowarn -Xlint:none -cp "$new/libs/*" -d "$new/libs/hand" "$here/Hand.java" 2>"$new/javac.log" ||
    { cat "$new/javac.log" >&2; exit 1; }
  jar -c -f "$new/libs/nightjar-hand.jar" -C "$new/libs/hand" .
  rm -r "$new/libs/hand"
  chmod 755 "$new"
  echo "$mark" >"$new/mark"
  rm -rf "$kafka.old"
  [[ ! -e $kafka ]] || mv -T "$kafka" "$kafka.old"
  mv -T "$new" "$kafka"
  rm -rf "$kafka.old"
  trap - EXIT
fi

# A formatted disk to begin with, and the classes that a broker loads. The archive names its jars by
# path, so it is made where they lie now.
jars=$(cd "$kafka/libs" && pwd -P)
classpath=$(printf '%s:' "$jars"/*.jar)
if [[ ! -e $kafka/broker.jsa ]]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  cat >"$work/server.properties" <<EOF
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$port
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:$port
advertised.listeners=PLAINTEXT://127.0.0.1:9092
log.dirs=$work/disk
EOF
  java -cp "$classpath" kafka.tools.StorageTool format -t bmlnaHRqYXItdGVzdHMtMQ \
    -c "$work/server.properties" >"$work/format.log" 2>&1 || { cat "$work/format.log" >&2; exit 1; }
  rm -rf "$kafka/disk"
  cp -r "$work/disk" "$kafka/disk"
  java -Xmx512m -XX:+UseSerialGC -XX:ArchiveClassesAtExit="$work/broker.jsa" -cp "$classpath" \
    kafka.Kafka "$work/server.properties" >"$work/broker.log" 2>&1 &
  broker=$!
  for _ in $(seq 300); do
    grep -q 'Kafka Server started' "$work/broker.log" && break
    sleep 0.1
  done
  kill "$broker"
  wait "$broker" || true
  [[ -e $work/broker.jsa ]] || { tail -20 "$work/broker.log" >&2; exit 1; }
  cp "$work/broker.jsa" "$kafka/broker.jsa.new"
  mv "$kafka/broker.jsa.new" "$kafka/broker.jsa"
fi

echo "peers: Apache Kafka $version on Java $(java -XshowSettings:properties -version 2>&1 | sed -n 's/ *java.version = //p')"
