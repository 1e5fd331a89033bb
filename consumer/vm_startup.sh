# shellcheck shell=bash
# shellcheck disable=SC2154 # project is set by infra/boot.sh
# What the consumer's machine does at every start, after infra/boot.sh has fetched this and put the program
# in place, in the same shell: place Kafka's secrets, and take in the night that it is told.
#
# Metadata attributes: NIGHT, a UTC date such as 20261121; KAFKA_TOPIC, exact names divided by commas,
# instead of the night's. The conductor sets both when it starts the machine.
night=$(attribute NIGHT)
topics=$(attribute KAFKA_TOPIC)
words=()
if [[ -n $topics ]]; then
  [[ $topics =~ ^[A-Za-z0-9._,-]+$ ]] || fail "KAFKA_TOPIC \"$topics\" must be topics' names, divided by commas"
  words+=(--topic "${topics//,/ }")
elif [[ -n $night ]]; then
  words+=(--night "$night")
fi
if [[ -n $night && ! $night =~ ^20[0-9]{6}$ ]]; then
  fail "NIGHT \"$night\" must be a UTC date such as 20261121"
fi
if [[ ${#words[@]} = 0 ]]; then
  say 'Nothing to consume: neither NIGHT nor KAFKA_TOPIC is told; the conductor starts this machine when there is. Off'
  systemctl poweroff
else
  place_secrets "$project"
  run_unit nightjar-consumer.service "${words[*]}"
fi
