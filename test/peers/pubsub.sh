#!/usr/bin/env bash
# Google's Pub/Sub emulator: its jar comes with gcloud alone (component or Debian package), so it is
# found and linked to .peers/pubsub/emulator.jar, not fetched.
set -euo pipefail

link=.peers/pubsub/emulator.jar

if [[ ! -e $link ]]; then
  jar=
  for root in "${CLOUDSDK_ROOT:-}" /usr/lib/google-cloud-sdk /usr/share/google-cloud-sdk \
    /usr/local/google-cloud-sdk /opt/google-cloud-sdk "$HOME/google-cloud-sdk"; do
    [[ -n $root ]] || continue
    found=("$root"/platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar)
    [[ -e ${found[-1]} ]] && jar=${found[-1]} && break
  done
  if [[ -z $jar ]]; then
    echo "peers: no Pub/Sub emulator: install google-cloud-cli-pubsub-emulator, or run" \
      "'gcloud components install pubsub-emulator'"
    exit 0
  fi
  mkdir -p .peers/pubsub
  ln -s "$jar" "$link.$$" && mv -T "$link.$$" "$link"
fi

if ! command -v java >/dev/null; then
  echo "peers: no Java for the Pub/Sub emulator: install a runtime (11 or later)"
  exit 0
fi
echo "peers: Pub/Sub emulator $(basename "$(readlink "$link")" .jar | sed 's/.*-\([0-9.]*\)-all/\1/')"
