/**
 * Kill -9 the intake of a Kafka topic again and again, at random times and at named points, while a
 * producer goes on; then let `nightjar consume --once` finish each home, whose audit is the judge, and
 * compare what is on the alert topic with what the producer wrote:
 *
 *     node test/consumer/kafka/torture.ts --rounds 200 --seed 1
 */
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { groupId, kafkaTopicName, topicGroup, topicName } from '../../../core/names.ts'
import { formatOccurrence, occurrenceOf } from '../../../core/alert.ts'
import { openGround } from '../../../local/broker.ts'
import { openSubscription } from '../../../local/subscription.ts'
import { createRandom, type Random } from '../../../simulator/random.ts'
import { makeNight, startNightjar, startProgram } from '../../night/harness.ts'
import { skipWithoutKafka, startKafka, type Kafka } from './broker.ts'
import { payloads, watermarksOf } from './engine.ts'

const points = {
  'alert published, ledger not told': 40,
  'ledger told by intake, not committed': 40,
  committed: 6,
  'progress written': 2,
} as const
const at = { survey: 'ztf', project: 'local', instance: 'torture' } as const
const local = { survey: 'ztf', project: 'local' } as const
const partitions = 3
const recordsARound = 24
/** Kills a home gets before it is let run to its end. */
const killsAHome = 25

export interface Tortured {
  rounds: number
  homes: number
  records: number
  /** Messages on the alert topic beyond one an occurrence. */
  repeated: number
  kills: Map<string, number>
  seconds: number
}

/** Torture until there were enough kills. Throws at the first broken promise. */
export async function torture(options: {
  rounds: number
  seed: string
  lanes?: number
  say?: (line: string) => void
}): Promise<Tortured> {
  const { rounds, seed, lanes = 4, say = () => {} } = options
  const begun = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-kafka-torture-'))
  const sum = { rounds: 0, homes: 0, records: 0, repeated: 0, kills: new Map<string, number>() }
  let planned = 0
  let homes = 0
  let failure: unknown
  const night = makeNight(folder, { alerts: 60, corrupt: 0, gaps: 0, seed })
  const made = night.truths.map((truth) => join(night.from, night.nameOf(truth)))
  const files = [...payloads([], 8), ...made].slice(0, recordsARound)
  const digests = files.map((file) => digestOf(readFileSync(file)))
  const kafka = await startKafka()
  try {
    await Promise.all(Array.from({ length: lanes }, lane))
  } finally {
    await kafka.stop()
  }
  if (failure !== undefined) throw failure
  rmSync(folder, { recursive: true })
  return { ...sum, seconds: (performance.now() - begun) / 1000 }

  async function lane(): Promise<void> {
    while (planned < rounds && failure === undefined) {
      const number = homes++
      const kills = Math.min(killsAHome, rounds - planned)
      planned += kills
      try {
        await tortureHome(number, kills)
      } catch (error) {
        failure ??= new Error(
          `home ${number}, kept below ${folder}: ${error instanceof Error ? error.stack : error}`,
          { cause: error },
        )
      }
    }
  }

  async function tortureHome(number: number, kills: number): Promise<void> {
    const random = createRandom('kafka torture', seed, number)
    const home = join(folder, `home-${number}`)
    // Each home has a night of its own, and so a topic.
    const date = `202610${String((number % 28) + 1).padStart(2, '0')}`
    const topic = `${kafkaTopicName('ztf', date).slice(0, -1)}${1 + Math.floor(number / 28)}`
    const group = topicGroup(groupId(at), topic)
    await kafka.hand({ do: 'create', topic, partitions })
    await keepAlerts(home)
    let written = 0
    for (let round = 0; round < kills; round++) {
      await produce(kafka, topic, random)
      written += recordsARound
      const kill = await oneRun({ topic, group, home, random })
      sum.rounds++
      sum.kills.set(kill, (sum.kills.get(kill) ?? 0) + 1)
    }
    await finish(home, topic, date)
    const found = await readAlertTopic(home)
    for (const { partition, high } of await watermarksOf(kafka.bootstrap, topic, group)) {
      for (let offset = 0n; offset < high; offset++) {
        const turn = Number(offset) % (recordsARound / partitions)
        const expected = digests[(turn * partitions + partition) % files.length]
        const where = formatOccurrence({ topic, partition, offset })
        const have = found.get(where)
        if (have === undefined) throw new Error(`${where} is lost`)
        if (!have.every((digest) => digest === expected)) throw new Error(`${where} is changed`)
        sum.repeated += have.length - 1
        found.delete(where)
      }
    }
    if (found.size > 0) throw new Error(`${found.size} messages are of no record`)
    sum.homes++
    sum.records += written
    say(`home ${number}: ${kills} kills, ${written} records, none lost`)
    rmSync(home, { recursive: true })
  }

  async function produce(on: Kafka, topic: string, random: Random): Promise<void> {
    const compression = random.pick(['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)
    await on.hand({ do: 'fill', topic, files, count: recordsARound, partitions, compression })
  }

  async function oneRun(run: {
    topic: string
    group: string
    home: string
    random: Random
  }): Promise<string> {
    const { topic, group, home, random } = run
    const named = random.chance(0.5)
    const point = named ? random.pick(Object.keys(points) as (keyof typeof points)[]) : 'at random'
    const count = named ? 1 + random.whole(points[point as keyof typeof points]) : 0
    const child = startProgram(process.execPath, [
      ...[
        '--disable-warning=TimeoutNegativeWarning',
        join(import.meta.dirname, 'torture-child.ts'),
      ],
      ...[kafka.bootstrap, topic, group, home, point, String(count)],
    ])
    // One in ten dies while it starts; the others when they have been given their partitions.
    if (random.chance(0.1)) await pause(random.between(100, 900))
    else {
      await Promise.race([child.until(/assigned/).catch(() => {}), child.ended])
      // A named point that is not reached, as there is too little to do, ends at random as well.
      await Promise.race([pause(named ? 1500 : random.between(0, 500)), child.ended])
    }
    child.child.kill('SIGKILL')
    const { signal, status, err } = await child.ended
    if (signal !== 'SIGKILL') throw new Error(`it ended by itself with status ${status}: ${err}`)
    return point
  }

  /** Let the real program finish: its exit status is 0 only if its audit misses nothing. */
  async function finish(home: string, topic: string, date: string): Promise<void> {
    const config = join(folder, 'nightjar.toml')
    const brokers = JSON.stringify(kafka.bootstrap.split(','))
    const stream = `survey = "ztf"\nbrokers = ${brokers}\ntopics = ["${topic.replace(date, '{night}')}"]\n`
    writeFileSync(`${config}-${date}`, `instance = "torture"\n[streams.ztf]\n${stream}`)
    const { status, out, err } = await startNightjar([
      ...['consume', '--config', `${config}-${date}`, '--night', date],
      ...['--home', home, '--once', '--json'],
    ]).ended
    if (status !== 0) throw new Error(`the last run ended with status ${status}: ${err}\n${out}`)
    const { nights } = JSON.parse(out) as { nights: { state: string; stages: unknown[] }[] }
    if (nights[0]?.state !== 'complete') throw new Error(`the audit says no: ${out}`)
  }
}

/** Make a home in which nothing is swept from the alert topic. */
async function keepAlerts(home: string): Promise<void> {
  const ground = await openGround(home, local)
  const { journal, messages } = ground
  const topic = topicName(local, 'alert_data')
  await openSubscription({ journal, messages, topic, name: `${topic}-verify`, filter: '' })
  await ground.close()
}

/** Digests of what lies on a home's alert topic, by occurrence. */
async function readAlertTopic(home: string): Promise<Map<string, string[]>> {
  const ground = await openGround(home, local)
  try {
    const { messages } = ground
    const found = new Map<string, string[]>()
    const topic = messages.knownTopicId(topicName(local, 'alert_data'))
    for (const { data, attributes } of messages.after(topic, 0, {
      messages: Infinity,
      bytes: Infinity,
    })) {
      const where = formatOccurrence(occurrenceOf(attributes))
      found.set(where, [...(found.get(where) ?? []), digestOf(data)])
    }
    return found
  } finally {
    await ground.close()
  }
}

const digestOf = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex')

/** The sums, as lines. */
export function describeTorture(sum: Tortured): string {
  const kills = [...sum.kills].sort(([, a], [, b]) => b - a)
  return [
    `${sum.rounds} kills of the Kafka intake on ${sum.homes} homes in ${sum.seconds.toFixed(0)} s`,
    ...kills.map(([kind, times]) => `  ${String(times).padStart(4)}  ${kind}`),
    `${sum.records} records: lost 0, changed 0, published again ${sum.repeated}`,
    '',
  ].join('\n')
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      lanes: { type: 'string', default: '4' },
    },
  })
  if (skipWithoutKafka !== false) {
    process.stdout.write(`Kafka's intake is not tortured: ${skipWithoutKafka}\n`)
    process.exit()
  }
  // Leave no JVM behind: what is to be done at the end is done where the process exits, not where it dies.
  process.once('SIGTERM', () => process.exit(143))
  try {
    const sum = await torture({
      rounds: Number(values.rounds),
      seed: values.seed,
      lanes: Number(values.lanes),
      say: (line) => void process.stdout.write(`${line}\n`),
    })
    process.stdout.write(describeTorture(sum))
  } catch (error) {
    process.stdout.write(`VIOLATION ${error instanceof Error ? error.message : String(error)}\n`)
    process.exitCode = 1
  }
}
