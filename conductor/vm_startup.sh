# shellcheck shell=bash
# What the conductor's machine does at every start, after infra/boot.sh has fetched this and put the program
# in place, in the same shell: place Kafka's secrets, and conduct the night; at its end the unit turns the
# machine off.
#
# Metadata attributes: NIGHT, a UTC date such as 20261121, START for tonight, or END to end tonight now;
# absent as START. KAFKA_TOPIC, exact names divided by commas, instead of the night's; their date is the
# night where NIGHT has none. NONE conducts the night and starts no consumer.
case ${night:-START} in
  END) words=end ;;
  START | 20[0-9][0-9][0-9][0-9][0-9][0-9]) words=start ;;
  *) fail "NIGHT \"$night\" must be START, END or a UTC date such as 20261121" ;;
esac
place_secrets
run_unit nightjar-conductor.service "$words"
