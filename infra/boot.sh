#!/usr/bin/env bash
# The first thing that a machine runs at every start, given whole in its metadata: fetch the broker files
# that it is pinned to, each by its generation, hold each against its SHA-256, and go on with the
# start-up script that is among them, in this shell. What is here already and right is not fetched again,
# so a second start, or a second run while all goes on, changes nothing.
#
# It needs what Debian's image for Compute Engine has: bash, coreutils, curl, procps, sed, tar, systemd.
#
# Metadata attributes: NIGHTJAR_FILES, one file a line: SHA-256, generation, bucket, object, word (the words
# are program, streams and startup); NIGHTJAR_SECRETS; NIGHTJAR_SURVEY and NIGHTJAR_INSTANCE; and NIGHT and
# KAFKA_TOPIC, for which see the start-up scripts.
set -euo pipefail
shopt -s inherit_errexit
umask 077

metadata_server=http://${GCE_METADATA_HOST:-metadata.google.internal}/computeMetadata/v1
storage=${CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE:-https://storage.googleapis.com/}
secret_manager=${CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER:-https://secretmanager.googleapis.com/}
readonly keep=/var/cache/nightjar releases=/opt/nightjar run=/run/nightjar
readonly tries=(--silent --show-error --retry 6 --retry-connrefused --connect-timeout 10)

# The serial console and the journal hear what a start-up script says.
say() { echo "nightjar: $*" >&2; }

fail() {
  say "Cannot start: $*"
  exit 1
}

# A machine that could not start would stand and be paid: it is turned off, and whoever starts it, the
# scheduler or the conductor, tries again. One on which something runs goes on with that.
over() {
  local status=$?
  rm -rf "$work"
  [[ $status = 0 ]] || pgrep --euid nightjar >/dev/null || systemctl poweroff
}

work=$(mktemp -d)
trap over EXIT

# What this machine is told: `attribute NIGHT`. Empty where it is told nothing.
attribute() { metadata "instance/attributes/$1"; }

metadata() {
  local status
  status=$(curl "${tries[@]}" --max-time 60 --header 'Metadata-Flavor: Google' \
    --output "$work/told" --write-out '%{http_code}' "$metadata_server/$1") || true
  case $status in
    200) cat "$work/told" ;;
    404) ;;
    *) fail "the metadata server answers $status for \"$1\"" ;;
  esac
}

# Ask a service of Google's in the name of the machine's account: `ask URL FILE` answers the HTTP status.
# The token goes by standard input: arguments can be read by every process.
ask() {
  local token
  token=$(metadata instance/service-accounts/default/token |
    sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p')
  curl "${tries[@]}" --max-time 600 --output "$2" --write-out '%{http_code}' --config - "$1" \
    <<<"header = \"Authorization: Bearer $token\"" || true
}

is_right() { [[ -f $1 ]] && echo "$2  $1" | sha256sum --check --status; }

# A name as it stands in a URL's path; names of ours need no more.
encoded() { sed 's|%|%25|g; s|/|%2F|g; s|+|%2B|g; s| |%20|g; s|#|%23|g; s|?|%3F|g' <<<"$1"; }

# `fetch SHA256 GENERATION BUCKET OBJECT` answers the file's path.
fetch() {
  local sha256=$1 generation=$2 bucket=$3 object=$4 status
  local path=$keep/$sha256
  if ! is_right "$path" "$sha256"; then
    status=$(ask "${storage%/}/storage/v1/b/$bucket/o/$(encoded "$object")?alt=media&generation=$generation" \
      "$work/fetched")
    [[ $status = 200 ]] || fail "gs://$bucket/$object#$generation cannot be read: Cloud Storage answers $status"
    is_right "$work/fetched" "$sha256" ||
      fail "gs://$bucket/$object#$generation is not the file that was deployed: its SHA-256 is $(sha256sum "$work/fetched" | cut -c1-64), it must be $sha256"
    mv "$work/fetched" "$path"
  fi
  echo "$path"
}

# Whether something was put in place that was not there; then what runs is started anew.
changed=

# `place FILE TARGET MODE`: at once whole, and only if it differs.
place() {
  if ! cmp --silent "$1" "$2"; then
    install -D --mode "$3" "$1" "$2.new"
    mv "$2.new" "$2"
    changed=yes
  fi
}

# Unpack a release beside the others, and make it the current one; all but it and the one before go.
release() {
  local archive=$1 sha256=$2 before
  if [[ ! -d $releases/$sha256 ]]; then
    mkdir -p "$releases"
    chmod 755 "$releases"
    rm -rf "$releases/new"
    mkdir "$releases/new"
    (umask 022 && tar --extract --gzip --no-same-owner --file "$archive" --directory "$releases/new")
    chmod 755 "$releases/new"
    mv "$releases/new" "$releases/$sha256"
  fi
  before=$(readlink "$releases/current" || true)
  [[ $before = "$sha256" ]] && return
  ln --symbolic --force --no-dereference "$sha256" "$releases/current"
  find "$releases" -mindepth 1 -maxdepth 1 -type d ! -name "$sha256" ! -name "${before:-none}" \
    -exec rm -rf {} +
  changed=yes
}

# Place the secrets that the streams name, in memory and readable by the program alone. A line of
# NIGHTJAR_SECRETS: word, name of the secret.
place_secrets() {
  local secrets word name status
  secrets=$(attribute NIGHTJAR_SECRETS)
  [[ $(stat --file-system --format %T "$run") = tmpfs ]] || fail "\"$run\" is not in memory: no secret is put there"
  install -d --mode 500 --owner nightjar --group nightjar "$run/secrets"
  while read -r word name; do
    [[ -n $word ]] || continue
    status=$(ask "${secret_manager%/}/v1/projects/$project/secrets/$name/versions/latest:access" "$work/secret")
    case $status in
      200) ;;
      404) fail "secret \"$name\" has no version; add it: gcloud secrets versions add $name --data-file=FILE" ;;
      403) fail "secret \"$name\" is not for this machine's account: it needs roles/secretmanager.secretAccessor" ;;
      *) fail "secret \"$name\" cannot be read: Secret Manager answers $status" ;;
    esac
    tr -d '\n' <"$work/secret" | sed -n 's/.*"data" *: *"\([^"]*\)".*/\1/p' | base64 --decode >"$work/value" ||
      fail "secret \"$name\" is not understood"
    [[ -s $work/value ]] || fail "secret \"$name\" is empty"
    place "$work/value" "$run/secrets/$word" 400
    chown nightjar:nightjar "$run/secrets/$word"
    rm "$work/secret" "$work/value"
  done <<<"$secrets"
}

# `run_unit NAME WORDS`: write what a unit is told, put the unit in place, and start it, or start it anew
# if anything that it is made of has changed. What does not end is not waited for.
run_unit() {
  local unit=$1 words=$2 survey instance
  survey=$(attribute NIGHTJAR_SURVEY)
  instance=$(attribute NIGHTJAR_INSTANCE)
  cat >"$work/environment" <<END
GOOGLE_CLOUD_PROJECT=$project
NIGHTJAR_SURVEY=$survey
NIGHTJAR_INSTANCE=$instance
NIGHTJAR_ZONE=$zone
NIGHTJAR_LOG=json
NIGHT=$night
KAFKA_TOPIC=$topics
NIGHTJAR_WORDS=$words
END
  place "$work/environment" "$run/environment" 400
  place "$releases/current/systemd/$unit" "/etc/systemd/system/$unit" 644
  systemctl daemon-reload
  if [[ -n $changed ]]; then
    systemctl restart --no-block "$unit"
  else
    systemctl start --no-block "$unit"
  fi
  say "$unit is started: $words"
}

main() {
  local files sha256 generation bucket object word path startup=''
  project=$(metadata project/project-id)
  zone=$(metadata instance/zone)
  zone=${zone##*/}
  night=$(attribute NIGHT)
  topics=$(attribute KAFKA_TOPIC)
  [[ $topics =~ ^[A-Za-z0-9._,-]*$ ]] || fail "KAFKA_TOPIC \"$topics\" must be topics' names, divided by commas"
  getent passwd nightjar >/dev/null ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin nightjar
  install -d --mode 755 "$run"
  install -d --mode 700 "$keep"
  files=$(attribute NIGHTJAR_FILES)
  while read -r sha256 generation bucket object word; do
    [[ -n $sha256 ]] || continue
    path=$(fetch "$sha256" "$generation" "$bucket" "$object")
    case $word in
      program) release "$path" "$sha256" ;;
      streams) place "$path" "$releases/nightjar.toml" 644 ;;
      startup) startup=$path ;;
    esac
    wanted+=("$sha256")
  done <<<"$files"
  [[ -n $startup ]] || fail 'the metadata attribute NIGHTJAR_FILES names no start-up script'
  # shellcheck disable=SC1090 # one of the two vm_startup.sh
  source "$startup"
}

wanted=()
main
for file in "$keep"/*; do
  [[ " ${wanted[*]} " = *" ${file##*/} "* ]] || rm -f "$file"
done
