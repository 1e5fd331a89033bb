import { closeSync, createWriteStream, existsSync, futimesSync, mkdirSync, openSync } from 'node:fs'
import { writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { setImmediate } from 'node:timers/promises'
import { createGzip } from 'node:zlib'
import { Command } from 'commander'

import { NightjarError } from '../core/errors.ts'
import { kafkaTopicName } from '../core/names.ts'
import { parseNight } from '../core/night.ts'
import { simulateNight, type SimulatedRecord, type SimulationOptions } from '../simulator/night.ts'
import { createTally, type Summary } from '../simulator/tally.ts'
import { tarEnd, tarMember } from '../simulator/tar.ts'
import type { World } from './world.ts'

const help = `
What is written, for topic ztf_20261121_programid1:
  DIR/ztf_20261121_programid1/PARTITION/OFFSET.avro   one record each, its file time is Kafka's
  DIR/ztf_20261121_programid1.truth.jsonl             what each offset really is: class, fate, physics
  DIR/ztf_20261121_programid1.summary.json            the sums
With --tar the records go to DIR/ztf_20261121_programid1.tar.gz, in order of arrival.

The same options give the same bytes. Numbers may be fractions (0.02) or percents (2%).

Examples:
  $ nightjar simulate --out sky                         2,000 alerts, all well
  $ nightjar simulate --out sky --duplicates 5% --corrupt 1% --gaps 1% --late 2% --old-schemas 10%
  $ nightjar simulate --out sky --alerts 300000 --tar   a whole night, 14 GB
`

type Options = Omit<SimulationOptions, 'night'> & {
  out: string
  night: string
  survey: string
  tar?: true
  json?: true
}

/** `nightjar simulate`: write a synthetic night in the layout that the intake reads. */
export function simulateCommand(world: World): Command {
  return new Command('simulate')
    .description('make a night of synthetic alerts, with the truth beside it')
    .requiredOption('--out <dir>', 'folder to write to; made if it is not there')
    .option('--night <date>', 'UTC date at the beginning of the night', parseNight, '20261121')
    .option('--alerts <n>', 'how many different alerts', parseCount, 2000)
    .option('--seed <n>', 'another seed is another sky', parseCount, 1)
    .option('--survey <name>', 'only ztf so far', 'ztf')
    .option('--partitions <n>', 'Kafka partitions, filled in turn', parsePartitions, 16)
    .option('--duplicates <f>', 'share sent twice, as replays do', parseShare, 0)
    .option('--late <f>', 'share that arrives after sunrise', parseShare, 0)
    .option('--corrupt <f>', 'share that nobody can read: cut, flipped, empty, ...', parseShare, 0)
    .option('--old-schemas <f>', 'share in schema 3.2 or 3.3, with illegal defaults', parseShare, 0)
    .option('--gaps <f>', 'share of offsets that Kafka does not have', parseShare, 0)
    .option('--tar', 'one .tar.gz instead of files')
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', help)
    .action((options: Options) => simulate(world, options))
}

async function simulate(world: World, { out, tar, json, survey, ...rest }: Options): Promise<void> {
  if (survey !== 'ztf') {
    throw new NightjarError('config_invalid', `Cannot simulate survey "${survey}": only ztf so far`)
  }
  const options: SimulationOptions = rest
  const topic = kafkaTopicName('ztf', options.night)
  const target = join(out, tar ? `${topic}.tar.gz` : topic)
  if (existsSync(target)) {
    throw new NightjarError(
      'config_invalid',
      `Cannot simulate into "${target}": it exists already, remove it or choose another --out`,
    )
  }
  mkdirSync(out, { recursive: true })

  const tally = createTally(topic, options)
  const truths = openSync(join(out, `${topic}.truth.jsonl`), 'w')
  const start = performance.now()
  try {
    const records = watched()
    await (tar ? writeTar(target, records) : writeFiles(target, options.partitions, records))
  } finally {
    closeSync(truths)
  }
  const summary = tally.summary()
  writeFileSync(join(out, `${topic}.summary.json`), `${JSON.stringify(summary, null, 2)}\n`)
  if (world.tty) world.err('\r\x1b[K')
  const seconds = (performance.now() - start) / 1000
  world.out(json ? `${JSON.stringify(summary)}\n` : describe(summary, target, seconds))

  /** The night as it goes by: each truth written and counted before its record is handed on. */
  async function* watched(): AsyncGenerator<Required<SimulatedRecord>> {
    let lines = ''
    let count = 0
    for (const { truth, data } of simulateNight(options)) {
      if (world.signal.aborted) break
      tally.add(truth, data?.length ?? 0)
      lines += `${JSON.stringify(truth)}\n`
      if (data !== undefined) yield { truth, data }
      if (++count % 64 > 0) continue
      writeSync(truths, lines)
      lines = ''
      if (world.tty) world.err(`\r${count} of about ${options.alerts} `)
      await setImmediate()
    }
    writeSync(truths, lines)
    if (world.signal.aborted) world.exit(130)
  }
}

type Records = AsyncGenerator<Required<SimulatedRecord>>

async function writeFiles(root: string, partitions: number, records: Records): Promise<void> {
  for (let partition = 0; partition < partitions; partition++) {
    mkdirSync(join(root, String(partition)), { recursive: true })
  }
  for await (const { truth, data } of records) {
    const file = openSync(join(root, memberName(truth)), 'wx')
    try {
      writeSync(file, data)
      futimesSync(file, truth.timestamp / 1000, truth.timestamp / 1000)
    } finally {
      closeSync(file)
    }
  }
}

async function writeTar(path: string, records: Records): Promise<void> {
  // A deep buffer before gzip, which has a thread of its own, so that making and packing overlap.
  const buffer = new PassThrough({ highWaterMark: 8 << 20 })
  const gzip = createGzip({ level: 1, chunkSize: 1 << 18 })
  await pipeline(Readable.from(members()), buffer, gzip, createWriteStream(path))

  async function* members(): AsyncGenerator<Uint8Array> {
    for await (const { truth, data } of records) {
      yield tarMember(`${truth.topic}/${memberName(truth)}`, data, truth.timestamp)
    }
    yield tarEnd
  }
}

function memberName({ partition, offset }: SimulatedRecord['truth']): string {
  return `${partition}/${String(offset).padStart(12, '0')}.avro`
}

function describe(summary: Summary, target: string, seconds: number): string {
  const { records, alerts, bytes, kinds, extragalactic, first, last } = summary
  const others = Object.entries(kinds).filter(([kind]) => kind !== 'alert')
  const odd = others.map(([kind, count]) => `${count} ${kind}`).join(', ')
  return [
    `${records} records, ${(bytes / 1e6).toFixed(0)} MB, in ${target}`,
    `${alerts} alerts, ${extragalactic} of them extragalactic transients`,
    `${odd === '' ? 'nothing went wrong' : odd}`,
    `${first.slice(0, 19)}Z to ${last.slice(11, 19)}Z, made in ${seconds.toFixed(1)} s`,
    '',
  ].join('\n')
}

function parseCount(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw new NightjarError('config_invalid', `Cannot take number "${text}": it must be whole`)
}

function parsePartitions(text: string): number {
  const count = parseCount(text)
  if (count >= 1 && count <= 1000) return count
  throw new NightjarError('config_invalid', `Cannot make ${text} partitions: it must be 1 to 1,000`)
}

function parseShare(text: string): number {
  const match = /^(\d*\.?\d+)(%?)$/.exec(text)
  const share = match ? Number(match[1]) / (match[2] === '%' ? 100 : 1) : NaN
  if (share >= 0 && share <= 0.9) return share
  throw new NightjarError('config_invalid', `Cannot take share "${text}": it must be 0 to 0.9`)
}
