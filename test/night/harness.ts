/** A small simulated night, the command line as a child process, and a home held against the truth. */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

import { runCommandLine } from '../../cli/main.ts'
import { kafkaTopicName } from '../../core/names.ts'
import { simulateNight, type SimulationOptions } from '../../simulator/night.ts'
import type { Truth } from '../../simulator/truth.ts'

/** A night on disk, and what each of its offsets really is. */
export interface Night {
  night: string
  topic: string
  /** The folder to take in. */
  from: string
  truths: Truth[]
  /** A record's file below `from`. */
  nameOf(truth: Truth): string
  /** The bytes of a record as Kafka had them. */
  bytesOf(truth: Truth): Buffer
}

const date = '20261121'

/** Write a night with some of everything that goes wrong on the way. */
export function makeNight(folder: string, options: Partial<SimulationOptions> = {}): Night {
  const topic = kafkaTopicName('ztf', date)
  const from = join(folder, 'sky')
  const truths: Truth[] = []
  const nameOf = ({ partition, offset }: Truth): string =>
    join(topic, String(partition), `${String(offset).padStart(12, '0')}.avro`)
  const pathOf = (truth: Truth): string => join(from, nameOf(truth))
  const records = simulateNight({
    night: date,
    alerts: 320,
    seed: 'night',
    partitions: 4,
    duplicates: 0.08,
    late: 0.03,
    corrupt: 0.04,
    oldSchemas: 0.25,
    gaps: 0.04,
    ...options,
  })
  for (let i = 0; i < (options.partitions ?? 4); i++) {
    mkdirSync(join(from, topic, String(i)), { recursive: true })
  }
  for (const { truth, data } of records) {
    truths.push(truth)
    if (data === undefined) continue
    writeFileSync(pathOf(truth), data)
    utimesSync(pathOf(truth), truth.timestamp / 1000, truth.timestamp / 1000)
  }
  const bytesOf = (truth: Truth): Buffer => readFileSync(pathOf(truth))
  return { night: date, topic, from, truths, nameOf, bytesOf }
}

export interface Ended {
  out: string
  err: string
  status: number | null
  signal: NodeJS.Signals | null
}

/** A command line that runs. */
export interface Started {
  child: ChildProcess
  ended: Promise<Ended>
  /** What was said so far. */
  said(): { out: string; err: string }
  /** Resolves when standard output or standard error matches; rejects where it ends before. */
  until(pattern: RegExp): Promise<void>
}

export const repository = resolve(import.meta.dirname, '../..')

/** Start a program; everything it says is kept. */
export function startProgram(
  file: string,
  words: readonly string[],
  { env = {}, cwd = repository }: { env?: Record<string, string>; cwd?: string } = {},
): Started {
  const { NIGHTJAR_HOME: _, NIGHTJAR_LOG: __, ...own } = process.env
  const child = spawn(file, words, {
    cwd,
    env: { ...own, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let out = ''
  let err = ''
  let over = false
  const watchers = new Set<() => void>()
  const look = (): void => watchers.forEach((watcher) => watcher())
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text
    look()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
    look()
  })
  // A test that fails half way leaves no broker behind.
  const end = (): void => void child.kill('SIGKILL')
  process.once('exit', end)
  const ended = new Promise<Ended>((done, fail) => {
    child.on('error', fail)
    child.on('close', (status, signal) => {
      over = true
      process.removeListener('exit', end)
      look()
      done({ out, err, status, signal })
    })
  })
  return {
    child,
    ended,
    said: () => ({ out, err }),
    until(pattern) {
      return new Promise((done, fail) => {
        function watcher(): void {
          if (pattern.test(out) || pattern.test(err)) done()
          else if (over) fail(new Error(`It ended without saying ${pattern}: ${out}\n${err}`))
          else return
          watchers.delete(watcher)
        }
        watchers.add(watcher)
        watcher()
      })
    },
  }
}

/** Start `nightjar`, as a person would. */
export function startNightjar(
  words: readonly string[],
  options?: { env?: Record<string, string>; cwd?: string },
): Started {
  return startProgram(join(repository, 'bin/nightjar'), words, options)
}

/** Run `nightjar` to its end. */
export function nightjar(...words: string[]): Promise<Ended> {
  return startNightjar(words).ended
}

/** Run a command line in this process, as `nightjar` would. */
export async function runHere(
  words: readonly string[],
  options: {
    signal?: AbortSignal
    env?: Record<string, string>
    onOut?: () => void
    now?: () => Date
  } = {},
): Promise<{ out: string; err: string; status: number }> {
  let out = ''
  let err = ''
  const status = await runCommandLine(
    {
      out(text) {
        out += text
        options.onOut?.()
      },
      err: (text) => (err += text),
      tty: false,
      columns: 100,
      env: options.env ?? {},
      now: options.now ?? (() => new Date()),
      signal: options.signal ?? new AbortController().signal,
      exit() {},
    },
    words,
  )
  return { out, err, status }
}
