/**
 * Kill -9 the broker again and again, at random times and at named points, start it again on what it
 * left, and when it has ended by itself hold its home against the truth:
 *
 *     node test/night/torture.ts --rounds 200 --seed 1
 *
 * A round is a kill. It ends with status 1 at the first home that has lost, doubled or invented
 * something, keeps that home, and says how to do the same again.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'

import { createRandom, type Random } from '../../simulator/random.ts'
import { makeNight, startNightjar, startProgram, type Night } from './harness.ts'
import { passages, points, type Point } from './points.ts'
import { prepareHome, verifyHome } from './verify.ts'

export interface TortureOptions {
  rounds: number
  seed: string
  /** Homes at a time. */
  lanes?: number
  say?: (line: string) => void
}

export interface Tortured {
  rounds: number
  homes: number
  kills: Map<string, number>
  duplicates: number
  repeated: number
  deadLetters: number
  seconds: number
}

/** A home that broke a promise. */
export class Violation extends Error {}

/** Kills a home gets before it is let run to its end. */
const mostKills = 6
const early = 0.15

/** Torture homes until there were enough kills. Throws a Violation at the first broken promise. */
export async function torture(options: TortureOptions): Promise<Tortured> {
  const { rounds, seed, lanes = 2, say = () => {} } = options
  const begun = performance.now()
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-torture-'))
  const sum = {
    rounds: 0,
    homes: 0,
    kills: new Map<string, number>(),
    duplicates: 0,
    repeated: 0,
    deadLetters: 0,
  }
  let planned = 0
  let home = 0
  let failure: unknown
  /** A guess, corrected by each whole run, of how long one takes: random kills fall within it. */
  let wholeMs = 2000

  const night = makeNight(folder, { alerts: 150, partitions: 3, seed })
  await Promise.all(Array.from({ length: lanes }, lane))
  if (failure !== undefined) throw failure
  rmSync(folder, { recursive: true })
  return { ...sum, seconds: (performance.now() - begun) / 1000 }

  async function lane(): Promise<void> {
    while (sum.rounds < rounds && failure === undefined) {
      const number = home++
      const path = join(folder, `home-${number}`)
      try {
        await tortureHome(number, path)
        rmSync(path, { recursive: true })
      } catch (error) {
        failure ??= new Violation(
          `home ${number}, kept as ${path}: ${error instanceof Error ? error.stack : error}\n` +
            `Again: node test/night/torture.ts --rounds ${rounds} --seed ${seed}`,
          { cause: error },
        )
      }
    }
  }

  async function tortureHome(number: number, path: string): Promise<void> {
    const random = createRandom('torture', seed, number)
    await prepareHome(path)
    const kills: string[] = []
    const started = performance.now()
    const wanted = 2 + random.whole(mostKills - 1)
    while (kills.length < wanted && planned < rounds) {
      planned++
      const kill = await oneRun(path, random)
      if (kill === undefined) {
        planned--
        break
      }
      kills.push(kill)
      count(kill)
    }
    await lastRun(path)
    const found = await verifyHome(path, night)
    sum.homes++
    sum.duplicates += found.duplicates
    sum.repeated += found.repeated
    sum.deadLetters += found.deadLetters
    const seconds = ((performance.now() - started) / 1000).toFixed(1)
    say(`home ${number}: ${kills.length} kills, complete, ${seconds} s: ${kills.join('; ')}`)
  }

  function count(kill: string): void {
    sum.rounds++
    const kind = kill.startsWith('at random') ? 'at random' : kill.replace(/ \(.*/, '')
    sum.kills.set(kind, (sum.kills.get(kind) ?? 0) + 1)
  }

  /** A run that is to be killed; answers how it was, or undefined where it ended by itself. */
  async function oneRun(path: string, random: Random): Promise<string | undefined> {
    if (random.chance(0.5)) return runUntilRandom(path, random)
    const point = random.pick(points)
    return runUntilPoint(path, point, 1 + random.whole(passages[point]))
  }

  async function runUntilRandom(path: string, random: Random): Promise<string | undefined> {
    const after = Math.round(
      random.chance(early) ? random.between(50, 600) : random.between(300, wholeMs),
    )
    const run = startNightjar(words(path, night))
    const begunAt = performance.now()
    await Promise.race([pause(after), run.ended])
    run.child.kill('SIGKILL')
    const { signal, status, err, out } = await run.ended
    if (signal === 'SIGKILL') return `at random (${after} ms)`
    const ms = performance.now() - begunAt
    wholeMs = 0.8 * wholeMs + 0.2 * ms
    if (status !== 0) throw new Violation(`it ended with status ${status}: ${err}\n${out}`)
    return undefined
  }

  async function runUntilPoint(
    path: string,
    point: Point,
    times: number,
  ): Promise<string | undefined> {
    const script = join(import.meta.dirname, 'child.ts')
    const run = startProgram(process.execPath, [script, path, night.from, point, String(times)])
    const { signal, status, err } = await run.ended
    if (signal === 'SIGKILL') return `${point} (${times})`
    if (status !== 0) throw new Violation(`the child ended with status ${status}: ${err}`)
    return undefined
  }

  async function lastRun(path: string): Promise<void> {
    const begunAt = performance.now()
    const { status, err, out } = await startNightjar(words(path, night)).ended
    if (status !== 0)
      throw new Violation(`the last run ended with status ${status}: ${err}\n${out}`)
    wholeMs = Math.max(800, 0.7 * wholeMs + 0.3 * (performance.now() - begunAt) * 1.5)
  }
}

const words = (home: string, { from }: Night): string[] => [
  'run',
  ...['--home', home, '--from', from, '--once'],
]

/** The sums, as lines. */
export function describeTorture(sum: Tortured): string {
  const kills = [...sum.kills].sort(([, a], [, b]) => b - a)
  return [
    `${sum.rounds} kills on ${sum.homes} homes in ${sum.seconds.toFixed(0)} s`,
    ...kills.map(([kind, times]) => `  ${String(times).padStart(4)}  ${kind}`),
    `lost 0, stored twice 0, duplicates recorded as such ${sum.duplicates}, ` +
      `dead letters ${sum.deadLetters}, transients published again ${sum.repeated}`,
    '',
  ].join('\n')
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '200' },
      seed: { type: 'string', default: '1' },
      lanes: { type: 'string', default: '2' },
    },
  })
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
