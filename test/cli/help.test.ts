import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runHere } from '../night/harness.ts'

const nightjarHelp = `Usage: nightjar [options] [command]

An astronomical alert broker that accounts for every alert.

Options:
  -V, --version                         output the version number
  -h, --help                            display help for command

Commands:
  run [options]                         Run the whole broker here: take alerts in, archive them,
                                        store them as rows, pick out extragalactic transients, fit
                                        supernovae to them, and keep the ledger of what became of
                                        each.
  consume [options]                     Run the whole broker here on a Kafka stream: every record of
                                        a night’s topic, each accounted for. Goes on where the last
                                        commit left it. With --cloud, take the stream in for the
                                        stages of Google Cloud.
  topics [options]                      Show the topics of a Kafka stream: absent, empty, has data
                                        or expired, and how far they are taken in. The last nights,
                                        if none is named.
  conductor                             Conduct a night: wait for its topic, start the consumer,
                                        know when the night is over, prove it, stop, report.
  simulate [options]                    make a night of synthetic alerts, with the truth beside it
  audit [options]                       Prove by identity (Kafka topic, partition, offset) what
                                        became of every alert of a night: at each stage, what exists
                                        minus what is accounted for must be nothing.
  replay [options]                      Send alerts again: what an audit misses, what lies in the
                                        dead letters, or a night.
  query [options] <sql>                 Ask the warehouse in SQL (DuckDB; BigQuery with --cloud),
                                        also while the broker runs.
  subscribe [options] <topic>           Print what is published on a topic from now on, one JSON
                                        object a line.
  filter                                Say in one language which alerts are wanted: try it on
                                        stored nights, let it run live.
  status [options]                      Show what a home holds and what is still to do, also while
                                        the broker runs.
  inspect [options] <file...>           show what is in alert packets: who, when, how bright, its
                                        past, its images
  fit [options] <what...>               Fit a type Ia supernova (SALT2) to a light curve: of alert
                                        packets, whose histories are merged, or of an object that a
                                        home has seen.
  models                                List the SALT models that light curves can be fitted with,
                                        or install one.
  config                                Check the configuration, or show it with every secret
                                        masked.
  schemas [options]                     Show the schemas of wire format that were met, and accept
                                        one that is parked.
  gateway                               Open a door for peers that speak another protocol, onto the
                                        topics of a home.
  sendvo [options] <target> <event>     Send a VOEvent to a broker (VTP), and wait for its receipt.
  signal [options] [message]            Send a control message to a running program, and print its
                                        answer.
  stop [options]                        End a program by SIGINT, and by SIGTERM if it has not ended
                                        in time. To ask it to end, see nightjar signal STOP.
  trace [options] [service]             Print each control message that a running program takes,
                                        until Ctrl-C.
  connections [options] [service]       List the running programs of a home: where they take
                                        control, and from whom.
  check-certificate [options] <domain>  See whether the certificate of a server is about to end.
  events                                Send and receive typed events: on a topic every receiver has
                                        a copy, on a queue each event goes to one.
  feed                                  Publish to, or subscribe to, the channels of any hpfeeds
                                        broker.
  keys                                  Manage who may publish and subscribe at a gateway; a change
                                        counts at once.
  doctor [options]                      Look at everything that an instance in the cloud needs:
                                        credentials, topics, subscriptions, buckets, notices,
                                        tables, routines, functions; permissions, settings, regions,
                                        versions. Says what to do about each fault; changes nothing.
  cost [options]                        Reckon what a night costs in Google Cloud, stage by stage,
                                        by list prices.

A first night, without a cloud account:
  $ nightjar simulate --out night
  $ nightjar run --from night --once
  $ nightjar query "SELECT objectId, candidate.magpsf FROM alerts LIMIT 5"

Everything is kept in the folder .nightjar, or where --home or NIGHTJAR_HOME says.
`

const runHelp = `Usage: nightjar run [options]

Run the whole broker here: take alerts in, archive them, store them as rows, pick out extragalactic
transients, fit supernovae to them, and keep the ledger of what became of each.

Options:
  --from <path...>         folders, .avro files, .tar.gz archives, or URLs of archives
  --night <date>           UTC date of the night that files without one belong to
  --rate <n>               alerts a second at most
  --once                   take in what is there, finish every stage, audit, and end
  --json                   print the summary as JSON
  --home <dir>             folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>          whose alerts (choices: "ztf", "lsst", default: "ztf")
  --metrics <address>      serve /metrics and /healthz at a port of this machine, or host:port
  --control <endpoint>     also take control messages there, such as tcp:port=4041 or
                           udp:127.0.0.1:4041; beyond this machine only with NIGHTJAR_CONTROL_SECRET
                           or --control-auth; repeatable
  --control-auth <source>  let in who has a key there that names the channel "control": sqlite, a
                           .db or .json file, or env; repeatable
  --log-file <file>        append what is said here; LOG_ROTATE opens it anew
  --cloud                  on Google Cloud, or its emulators, instead of a home directory
  --project <id>           the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>        a test instance; production if absent
  --patience <time>        with --cloud and --once: how long to wait for what is missing, 3m if
                           absent
  --stages <names>         with --cloud: these alone, or "none" where functions serve them
  -h, --help               display help for command

Ctrl-C finishes what is under way and ends; a second one ends at once, and the next start goes on
where this one stood. With --once the exit status is 0 only if no alert is missing.

Examples:
  $ nightjar run --from night --once
  $ nightjar run --from https://ztf.uw.edu/alerts/public/ztf_public_20181128.tar.gz --once
  $ nightjar run --cloud --project my-project --instance rc1 --from night --once
`

const auditHelp = `Usage: nightjar audit [options]

Prove by identity (Kafka topic, partition, offset) what became of every alert of a night: at each
stage, what exists minus what is accounted for must be nothing.

Options:
  --night <date>     UTC date of the night; all known nights if absent
  --list <n>         how many missing runs to list (default: 100)
  --json             print the close records as JSON
  --home <dir>       folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>    whose alerts (choices: "ztf", "lsst", default: "ztf")
  --cloud            on Google Cloud, or its emulators, instead of a home directory
  --project <id>     the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>  a test instance; production if absent
  -h, --help         display help for command

Writes the close record, with the SHA-256 of every bitmap, to the broker-files bucket.
The exit status is 0 only if nothing is missing and every source was read to its end.
`

const replayHelp = `Usage: nightjar replay [options]

Send alerts again: what an audit misses, what lies in the dead letters, or a night.

Options:
  --missing          each missing occurrence, to the stage that lacks it alone
  --dead-letter      every dead letter, to the stage that gave it up alone
  --night <date>     with --missing: of this night; alone: all of its archive
  --to <topic>       with --night: another topic than the survey’s alert topic
  --rate <n>         messages a second at most
  --home <dir>       folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>    whose alerts (choices: "ztf", "lsst", default: "ztf")
  --cloud            on Google Cloud, or its emulators, instead of a home directory
  --project <id>     the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>  a test instance; production if absent
  -h, --help         display help for command

A broker that runs takes them up at once; otherwise the next "nightjar run" does.

Examples:
  $ nightjar replay --missing --night 20261121
  $ nightjar replay --dead-letter
  $ nightjar replay --night 20261121 --rate 50
`

const queryHelp = `Usage: nightjar query [options] <sql>

Ask the warehouse in SQL (DuckDB; BigQuery with --cloud), also while the broker runs.

Arguments:
  sql                 one reading statement

Options:
  --json              print one JSON object a line
  --csv               print comma-separated values
  --limit <n>         rows of a printed table at most (default: 1000)
  --dry-run           with --cloud: say how much it would read, and no more; this is free
  --max-bytes <size>  with --cloud: refuse what would be billed more, 10GB if absent
  --home <dir>        folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>     whose alerts (choices: "ztf", "lsst", default: "ztf")
  --cloud             on Google Cloud, or its emulators, instead of a home directory
  --project <id>      the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>   a test instance; production if absent
  -h, --help          display help for command

Tables: alerts (a view over one table per schema version), salt2 (fits), ledger. A field of the
packet is written as in BigQuery: candidate.magpsf. 64-bit numbers are printed in full; in JSON as
strings. With --cloud it is BigQuery's SQL, and what a statement reads is told first, on standard
error: BigQuery bills by it, 10 MB a table at least.

Examples:
  $ nightjar query "SELECT objectId, candidate.magpsf FROM alerts ORDER BY 2 LIMIT 5"
  $ nightjar query "SELECT stage, outcome, COUNT(*) n FROM ledger GROUP BY ALL ORDER BY ALL"
  $ nightjar query --csv "SELECT candid, p.jd, p.magpsf FROM alerts, UNNEST(prv_candidates) t(p)"
  $ nightjar query --cloud --dry-run "SELECT objectId FROM alerts WHERE obs_date = '2026-11-21'"
`

const subscribeHelp = `Usage: nightjar subscribe [options] <topic>

Print what is published on a topic from now on, one JSON object a line.

Arguments:
  topic                 such as ztf_exgalac_trans, ztf_salt2, ztf_ledger, ztf_dead_letter

Options:
  --filter <expr>       Pub/Sub's filter language on attributes
  --select <selector>   only alerts that a selector selects: rb > 0.65 AND ndet > 2
  --name <name>         keep the subscription under this name and go on where it was left
  --max <n>             end after this many; 0 makes the subscription and ends
  --drain               end when nothing waits
  --attributes          print attributes alone and leave the alert closed
  --fits                a line for people for each fit on ztf_salt2
  --home <dir>          folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>       whose alerts (choices: "ztf", "lsst", default: "ztf")
  --cloud               on Google Cloud, or its emulators, instead of a home directory
  --project <id>        the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>     a test instance; production if absent
  --topic-project <id>  with --cloud: the project of the topic, where it is another
  -h, --help            display help for command

Alerts come decoded, without cutouts. Ctrl-C ends.

A named subscription sees all that is published from its making on, whether or not it is read then.

--filter looks at attributes, in the cloud's own language; --select looks into the alert, or into
the properties of what is no alert, in the language of "nightjar filter".

Examples:
  $ nightjar subscribe ztf_alert_data --select 'rb > 0.65 AND cone(188.7, 12.4, 0.5)'
  $ nightjar subscribe ztf_exgalac_trans --filter 'attributes.is_pure = "1"'
  $ nightjar subscribe ztf_salt2 --fits --filter 'attributes.before_maximum = "1"'
  $ nightjar subscribe ztf_dead_letter --attributes
  $ nightjar subscribe ztf_exgalac_trans --cloud --project mine --topic-project theirs
`

const statusHelp = `Usage: nightjar status [options]

Show what a home holds and what is still to do, also while the broker runs.

Options:
  --json           print it as JSON
  --home <dir>     folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>  whose alerts (choices: "ztf", "lsst", default: "ztf")
  -h, --help       display help for command
`

const consumeHelp = `Usage: nightjar consume [options]

Run the whole broker here on a Kafka stream: every record of a night’s topic, each accounted for.
Goes on where the last commit left it. With --cloud, take the stream in for the stages of Google
Cloud.

Options:
  --wait                   wait for the topic to be there and to have data
  --deadline <time>        how long to wait at most: 90s, 30m, 12h (default: 12h)
  --once                   end at the topic’s end of now, finish every stage, and audit
  --rate <n>               alerts a second at most
  --json                   print the summary as JSON
  --home <dir>             folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>          whose alerts (choices: "ztf", "lsst", default: "ztf")
  --config <file>          the configuration (nightjar.toml, or NIGHTJAR_CONFIG)
  --stream <name>          a stream of the configuration; the survey’s if absent
  --brokers <address...>   host:port of Kafka brokers, without a configuration
  --night <date>           UTC date of the night; tonight if absent
  --nights <from..to>      several nights, 20261119..20261121
  --topic <name...>        Kafka topics by their exact names, instead of a night’s
  --metrics <address>      serve /metrics and /healthz at a port of this machine, or host:port
  --control <endpoint>     also take control messages there, such as tcp:port=4041 or
                           udp:127.0.0.1:4041; beyond this machine only with NIGHTJAR_CONTROL_SECRET
                           or --control-auth; repeatable
  --control-auth <source>  let in who has a key there that names the channel "control": sqlite, a
                           .db or .json file, or env; repeatable
  --log-file <file>        append what is said here; LOG_ROTATE opens it anew
  --cloud                  on Google Cloud, or its emulators, instead of a home directory
  --project <id>           the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>        a test instance; production if absent
  -h, --help               display help for command

Several nights (--nights) are caught up one after the other, each to its end; those whose topics are
absent or expired are said and passed over. Without --once the last one goes on until Ctrl-C. A home
is a consumer group of its own, unless the configuration names an instance.
The exit status is 0 only if nothing is missing, 1 also where there was nothing to consume.

Examples:
  $ nightjar consume --night 20261121 --wait --deadline 12h
  $ nightjar consume --nights 20261115..20261121 --once
  $ nightjar consume --brokers localhost:9092 --topic ztf_20261121_programid1 --once
  $ nightjar consume --cloud --project my-project --night 20261121 --wait
`

const topicsHelp = `Usage: nightjar topics [options]

Show the topics of a Kafka stream: absent, empty, has data or expired, and how far they are taken
in. The last nights, if none is named.

Options:
  --partitions            a line for each partition
  --json                  print as JSON
  --home <dir>            folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>         whose alerts (choices: "ztf", "lsst", default: "ztf")
  --config <file>         the configuration (nightjar.toml, or NIGHTJAR_CONFIG)
  --stream <name>         a stream of the configuration; the survey’s if absent
  --brokers <address...>  host:port of Kafka brokers, without a configuration
  --night <date>          UTC date of the night; tonight if absent
  --nights <from..to>     several nights, 20261119..20261121
  --topic <name...>       Kafka topics by their exact names, instead of a night’s
  -h, --help              display help for command

A topic is looked for by its exact name; looking never creates one. The exit status is 0 only if one
of them has data.

Examples:
  $ nightjar topics
  $ nightjar topics --night 20261121 --partitions
  $ nightjar topics --brokers localhost:9092 --topic ztf_20261121_programid1 --json
`

const fitHelp = `Usage: nightjar fit [options] <what...>

Fit a type Ia supernova (SALT2) to a light curve: of alert packets, whose histories are merged, or
of an object that a home has seen.

Arguments:
  what               Avro files of one or more objects, or objectIds

Options:
  --z <z>            redshift, if it is known; else it is free, held by priors
  --mwebv <mag>      E(B-V) of the Milky Way; else by position
  --settings <name>  cuts, error floor, phases, model covariance (choices: "standard", "plain",
                     default: "standard")
  --plot <file>      write the light curve with its fit as .png or .svg
  --dark             a plot for dark surroundings
  --json             print the row of the table salt2, one object a line
  --home <dir>       folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>    whose alerts (choices: "ztf", "lsst", default: "ztf")
  -h, --help         display help for command

The exit status is 0 if every object has a fit within all bounds. "plain" does as sncosmo does by
itself: no error floor, no cut of phases, no model covariance.

Examples:
  $ nightjar fit ZTF21abiuvdk/*.avro --z 0.0035 --plot rhu.png
  $ nightjar fit ZTF21abiuvdk                      what a home has stored of it
  $ nightjar fit --json *.avro | jq '{objectId, z, t0, x1, c}'
`

const helps: Record<string, string> = {
  run: runHelp,
  audit: auditHelp,
  replay: replayHelp,
  query: queryHelp,
  subscribe: subscribeHelp,
  status: statusHelp,
  topics: topicsHelp,
  consume: consumeHelp,
  fit: fitHelp,
}

const eventsHelp = `Usage: nightjar events [options] [command]

Send and receive typed events: on a topic every receiver has a copy, on a queue each event goes to
one.

Options:
  -h, --help               display help for command

Commands:
  listen [options] <name>  Print the events of a topic from now on, or take those of a queue.
  watch [options] [topic]  Print the lines of logs that programs send as log events, as they come.
  send [options] <name>    Send an event to a topic, or put one into a queue.

An event has a header of typed properties, by which selectors choose (docs/selectors.md), and a
payload. docs/control.md says what is in both.

Examples:
  $ nightjar events listen dome --select "STATUS = 'open' AND temperature < 5"
  $ nightjar events listen exposures --queue --once --timeout 30s --json
  $ nightjar events watch --level warn
  $ nightjar events send dome --type status --status open -f temperature:double=3.5
  $ nightjar events send Logging --type log --level error --message 'the dome is stuck'
`

const eventsListenHelp = `Usage: nightjar events listen [options] <name>

Print the events of a topic from now on, or take those of a queue.

Arguments:
  name                 the topic or queue

Options:
  --queue              the name is that of a queue: what is printed is taken from it
  --select <selector>  only events that a selector on the header selects
  --once               end after one event
  --timeout <time>     end when none came for so long
  --json               print one JSON object an event
  --home <dir>         folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>      whose alerts (choices: "ztf", "lsst", default: "ztf")
  --cloud              on Google Cloud, or its emulators, instead of a home directory
  --project <id>       the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>    a test instance; production if absent
  -h, --help           display help for command

Ctrl-C ends. Events that a selector does not select are dropped on a topic and stay on a queue. The
exit status is 1 where --once or --timeout ended without an event.

Examples:
  $ nightjar events listen dome
  $ nightjar events listen dome --select "TYPE = '_S' AND STATUS <> 'closed'"
  $ nightjar events listen exposures --queue --once --timeout 30s --json
  $ nightjar events listen dome --cloud --project mine
`

const eventsWatchHelp = `Usage: nightjar events watch [options] [topic]

Print the lines of logs that programs send as log events, as they come.

Arguments:
  topic                where they are sent (default: "Logging")

Options:
  --level <level>      this level and above: trace debug info warn error fatal
  --select <selector>  only events that a selector on the header selects
  --once               end after one event
  --timeout <time>     end when none came for so long
  --json               print one JSON object an event
  --home <dir>         folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>      whose alerts (choices: "ztf", "lsst", default: "ztf")
  --cloud              on Google Cloud, or its emulators, instead of a home directory
  --project <id>       the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>    a test instance; production if absent
  -h, --help           display help for command

Ctrl-C ends. The exit status is 1 where --once or --timeout ended without a line.

Examples:
  $ nightjar events watch --level warn
  $ nightjar events watch --select "LOGGER LIKE 'dome.%' AND ORIG_HOSTNAME = 'telescope'"
`

const eventsSendHelp = `Usage: nightjar events send [options] <name>

Send an event to a topic, or put one into a queue.

Arguments:
  name                                the topic or queue

Options:
  --queue                             the name is that of a queue
  --type <type>                       what it is (choices: "event", "status", "command", "log",
                                      default: "event")
  -p, --property <name:type=value>    a property of the payload; repeatable
  -f, --filterable <name:type=value>  a property of the header, by which selectors can choose;
                                      repeatable
  --status <text>                     its STATUS; "unknown" if absent
  --run <id>                          its RUNID
  --to <host/process[/number]>        of a command: whom it is for
  --level <level>                     of a log event: trace debug info warn error fatal; info if
                                      absent
  --logger <name>                     of a log event: what logs; "nightjar" if absent
  --message <text>                    of a log event: the line
  --home <dir>                        folder that keeps everything (default: .nightjar, or
                                      NIGHTJAR_HOME)
  --survey <name>                     whose alerts (choices: "ztf", "lsst", default: "ztf")
  --cloud                             on Google Cloud, or its emulators, instead of a home directory
  --project <id>                      the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>                   a test instance; production if absent
  -h, --help                          display help for command

Types of properties: string bool int long "long long" float double datetime, the last in nanoseconds
since 1970; without one it is a string. The same name again makes an array, which only a payload may
hold; a dot in a name is a level. It ends when the event is durable.

Examples:
  $ nightjar events send dome -p note='seeing is good' -p shutters:int=1 -p shutters:int=2
  $ nightjar events send dome --type status --status open -f temperature:double=3.5
  $ nightjar events send exposures --queue --type command --to camera/4711 -p seconds:int=30
  $ nightjar events send Logging --type log --level error --message 'the dome is stuck'
`

const eventsHelps: Record<string, string> = {
  events: eventsHelp,
  'events listen': eventsListenHelp,
  'events watch': eventsWatchHelp,
  'events send': eventsSendHelp,
}

const conductorHelp = `Usage: nightjar conductor [options] [command]

Conduct a night: wait for its topic, start the consumer, know when the night is over, prove it,
stop, report.

Options:
  -h, --help         display help for command

Commands:
  tick [options]     Do the one next step of the night.
  start [options]    Tick until the night has ended, and has been proven or not.
  end [options]      End the night now: wait neither for dawn nor for stillness.
  watch [options]    Show the night as it goes, until it has ended or Ctrl-C.
  status [options]   Show how the night stands. Decides and does nothing.
  report [options]   Say where the night's report is: a page for a browser, and JSON.
  compare [options]  Hold the night against what its survey published of it, alert by alert.
  history [options]  Show how the night went: each transition, when and why.

What it knows of a night is one object in the broker-files bucket. Any tick may be killed and the next
goes on; of two at once one acts. So either of these conducts a night:
  $ nightjar conductor start --night 20261121
  */5 * * * *  nightjar conductor tick --due  # a crontab; no machine need stay up in between

Its times are those of [conductor] in the configuration; see docs/operations.md.

Examples:
  $ nightjar conductor tick --night 20261121 --dry-run
  $ nightjar conductor watch
  $ nightjar conductor report --night 20261121
`

/** What all verbs of the conductor have. */
const nightOptions = `  --home <dir>             folder that keeps everything (default: .nightjar, or NIGHTJAR_HOME)
  --survey <name>          whose alerts (choices: "ztf", "lsst", default: "ztf")
  --config <file>          the configuration (nightjar.toml, or NIGHTJAR_CONFIG)
  --cloud                  on Google Cloud, or its emulators, instead of a home directory
  --project <id>           the project; GOOGLE_CLOUD_PROJECT if absent
  --instance <name>        a test instance; production if absent
  --zone <name>            where the machines stand; NIGHTJAR_ZONE if absent
  --stream <name>          a stream of the configuration; the survey’s if absent
  --brokers <address...>   host:port of Kafka brokers, without a configuration
  --night <date>           UTC date of the night; NIGHT, or tonight if absent
  --kafka-topic <name...>  exact Kafka topics, instead of the stream’s, or NONE to start no
                           consumer; or KAFKA_TOPIC
`

const conductorHelps: Record<string, string> = {
  conductor: conductorHelp,
  'conductor tick': `Usage: nightjar conductor tick [options]

Do the one next step of the night.

Options:
${nightOptions}  --dry-run                say what would be done, and why; write nothing, do nothing
  --json                   print what was decided and done as JSON
  --due                    of each night that is due: tonight, and those before that may be reopened
  -h, --help               display help for command
`,
  'conductor start': `Usage: nightjar conductor start [options]

Tick until the night has ended, and has been proven or not.

Options:
${nightOptions}  --dry-run                say what would be done, and why; write nothing, do nothing
  --control <endpoint>     also take control messages there, such as tcp:port=4041 or
                           udp:127.0.0.1:4041; beyond this machine only with NIGHTJAR_CONTROL_SECRET
                           or --control-auth; repeatable
  --control-auth <source>  let in who has a key there that names the channel "control": sqlite, a
                           .db or .json file, or env; repeatable
  --log-file <file>        append what is said here; LOG_ROTATE opens it anew
  --every <time>           how often: 5s, 1m (default: 30s)
  --metrics <address>      serve /metrics and /healthz at a port of this machine, or host:port
  --late                   go on as long as Kafka keeps the topic: late alerts reopen the night
  -h, --help               display help for command

The consumer is a process of its own, which goes on if this one is ended; what it says is in machine.log
of the home. The exit status is 0 only if the night ended as complete or no_alerts.
`,
  'conductor end': `Usage: nightjar conductor end [options]

End the night now: wait neither for dawn nor for stillness.

Options:
${nightOptions}  --dry-run                say what would be done, and why; write nothing, do nothing
  --control <endpoint>     also take control messages there, such as tcp:port=4041 or
                           udp:127.0.0.1:4041; beyond this machine only with NIGHTJAR_CONTROL_SECRET
                           or --control-auth; repeatable
  --control-auth <source>  let in who has a key there that names the channel "control": sqlite, a
                           .db or .json file, or env; repeatable
  --log-file <file>        append what is said here; LOG_ROTATE opens it anew
  --every <time>           how often: 5s, 1m (default: 5s)
  -h, --help               display help for command

What Kafka holds is taken in and proven all the same.
`,
  'conductor watch': `Usage: nightjar conductor watch [options]

Show the night as it goes, until it has ended or Ctrl-C.

Options:
${nightOptions}  --every <time>           how often: 5s, 1m (default: 5s)
  -h, --help               display help for command
`,
  'conductor status': `Usage: nightjar conductor status [options]

Show how the night stands. Decides and does nothing.

Options:
${nightOptions}  --json                   print it as JSON
  -h, --help               display help for command
`,
  'conductor report': `Usage: nightjar conductor report [options]

Say where the night's report is: a page for a browser, and JSON.

Options:
${nightOptions}  --json                   print the report itself as JSON
  -h, --help               display help for command
`,
  'conductor compare': `Usage: nightjar conductor compare [options]

Hold the night against what its survey published of it, alert by alert.

Options:
${nightOptions}  --archive <where>        URL or file of the tar archive; [conductor.public] if absent
  --json                   print what differs as JSON
  -h, --help               display help for command

An alert is told by its candid. What came of it lies beside the night's report, which is stated anew with it,
and decides nothing: the night's close rests on its proof. The exit status is 1 where the archive has an alert
that we have not, is not there yet, or cannot be read.

Examples:
  $ nightjar conductor compare --night 20261121 --archive 'https://ztf.uw.edu/alerts/public/ztf_public_{night}.tar.gz'
  $ nightjar conductor compare --night 20261121 --json | jq -r '.difference.missing.candids[]'
`,
  'conductor history': `Usage: nightjar conductor history [options]

Show how the night went: each transition, when and why.

Options:
${nightOptions}  --json                   print it as JSON
  -h, --help               display help for command
`,
}

test('nightjar --help says what there is and how to begin', async () => {
  assert.deepEqual(await runHere(['--help']), { out: nightjarHelp, err: '', status: 0 })
})

test('nightjar alone shows the same on standard error, as a command line that says nothing', async () => {
  assert.deepEqual(await runHere([]), { out: '', err: nightjarHelp, status: 2 })
})

for (const [verb, text] of Object.entries({ ...helps, ...eventsHelps, ...conductorHelps })) {
  test(`nightjar ${verb} --help says all about it`, async () => {
    assert.deepEqual(await runHere([...verb.split(' '), '--help']), {
      out: text,
      err: '',
      status: 0,
    })
  })
}

test('--help tells the home that NIGHTJAR_HOME sets', async () => {
  const { out } = await runHere(['status', '--help'], { env: { NIGHTJAR_HOME: '/var/nightjar' } })
  assert.match(out, /--home <dir> +folder that keeps everything \(default: "\/var\/nightjar"\)/)
})

test('every verb that nightjar --help lists has help of its own', async () => {
  const { out } = await runHere(['--help'])
  const verbs = [...out.matchAll(/^ {2}([a-z-]+) \[options\]/gm)].map(([, verb]) => verb ?? '')
  assert.deepEqual(
    verbs.sort(),
    [
      ...Object.keys(helps),
      'check-certificate',
      'connections',
      'cost',
      'doctor',
      'inspect',
      'schemas',
      'sendvo',
      'signal',
      'simulate',
      'stop',
      'trace',
    ].sort(),
  )
  for (const verb of verbs) {
    const help = await runHere([verb, '--help'])
    assert.equal(help.status, 0)
    assert.match(help.out, new RegExp(`^Usage: nightjar ${verb} \\[options\\]`))
  }
})
