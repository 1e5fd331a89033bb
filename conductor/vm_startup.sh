# shellcheck shell=bash
# shellcheck disable=SC2154 # project is set by infra/boot.sh
# What the conductor's machine does at every start, after infra/boot.sh has fetched this and put the program
# in place, in the same shell: place Kafka's secrets, and conduct the night; at its end the unit turns the
# machine off.
#
# Metadata attributes: NIGHT, a UTC date such as 20261121, START for tonight, or END to end tonight now;
# absent as START. KAFKA_TOPIC, whose date is the night where NIGHT has none.
night=$(attribute NIGHT)
topic=$(attribute KAFKA_TOPIC)
words=()
case ${night:-START} in
  START) words+=(start) ;;
  END) words+=(end) ;;
  20[0-9][0-9][0-9][0-9][0-9][0-9]) words+=(start --night "$night") ;;
  *) fail "NIGHT \"$night\" must be START, END or a UTC date such as 20261121" ;;
esac
if [[ -n $topic && ${#words[@]} = 1 ]]; then
  [[ $topic =~ (^|_)(20[0-9]{6})(_|$) ]] || fail "KAFKA_TOPIC \"$topic\" has no date such as 20261121"
  words+=(--night "${BASH_REMATCH[2]}")
fi
place_secrets "$project"
run_unit nightjar-conductor.service "${words[*]}"
