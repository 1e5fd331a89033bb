# shellcheck shell=bash
# What the consumer's machine does at every start, after infra/boot.sh has fetched this and put the program
# in place, in the same shell: place Kafka's secrets, and take in the night that it is told.
#
# Metadata attributes: NIGHT, a UTC date such as 20261121; KAFKA_TOPIC, exact names divided by commas,
# instead of the night's, or NONE, which takes nothing in. The conductor sets both when it starts the machine.
# shellcheck disable=SC2154 # boot.sh knows night and topics
if [[ -n $night && ! $night =~ ^20[0-9]{6}$ ]]; then
  fail "NIGHT \"$night\" must be a UTC date such as 20261121"
fi
if [[ $topics == NONE ]]; then
  words=''
elif [[ -n $topics ]]; then
  words="--topic ${topics//,/ }"
elif [[ -n $night ]]; then
  words="--night $night"
else
  words=''
fi
if [[ -z $words ]]; then
  say 'Nothing to consume: KAFKA_TOPIC is NONE, or neither it nor NIGHT is told; the conductor starts this machine when there is. Off'
  systemctl poweroff
else
  place_secrets
  run_unit nightjar-consumer.service "$words"
fi
