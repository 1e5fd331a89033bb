/**
 * The whole embedded broker: every alert journalled before it is acknowledged, archived, stored as a
 * row, judged, and entered in the ledger. History is pre-loaded: a night of the same objects is in the
 * home before the clock starts. Beside it, in the same run and on the same files, what the original
 * broker does in one of its steps: fastavro reads each alert, writes it with a legal schema, and stores the file.
 *
 *     node bench/pipeline.bench.ts [alerts]        (default 10,000)
 */
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

import { formatCount, formatTable } from '../cli/text-table.ts'

const root = resolve(import.meta.dirname, '..')
const nightjar = join(root, 'bin/nightjar')
const python = join(root, '.peers/python/bin/python')
const alerts = Number(process.argv[2] ?? 10_000)
const repeats = 3

interface Run {
  rate: number
  cpuMs: number
  peakMb: number
}

const folder = await mkdtemp(join(tmpdir(), 'nightjar-bench-'))
try {
  simulate('history', alerts, 1, '20261120')
  simulate('night', alerts, 2, '20261121')
  const runs: Run[] = []
  for (let i = 0; i < repeats; i++) {
    await rm(join(folder, 'home'), { recursive: true, force: true })
    await run('history')
    runs.push(await run('night'))
  }
  const rows = [['whole broker', ...cells(runs)]]
  if (existsSync(python)) {
    const rates = Array.from({ length: repeats }, () => peer('night'))
    rows.push(['fastavro: read, rewrite, store', median(rates).toFixed(0), '', ''])
    const ratio = median(runs.map(({ rate }) => rate)) / median(rates)
    rows.push(['ratio', ratio.toFixed(2), '', ''])
  } else {
    process.stdout.write('fastavro is not there (make peers installs it): ours alone\n')
  }
  process.stdout.write(`${formatCount(alerts)} alerts, median of ${repeats}\n`)
  process.stdout.write(formatTable(['', 'alerts/s', 'CPU ms an alert', 'peak RSS MB'], rows))
} finally {
  await rm(folder, { recursive: true })
}

function simulate(name: string, count: number, seed: number, night: string): void {
  const out = join(folder, name)
  const words = ['simulate', '--out', out, '--alerts', String(count), '--night', night]
  execFileSync(nightjar, [...words, '--seed', String(seed)], { stdio: 'ignore' })
}

/** Run the broker once over a night; its peak memory and CPU are what the system counts for it. */
async function run(name: string): Promise<Run> {
  const words = ['run', '--once', '--json', '--from', join(folder, name)]
  const child = spawn(nightjar, [...words, '--home', join(folder, 'home')], {
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()))
  let peakMb = 0
  let cpuMs = 0
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
      peakMb = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1000
      const fields =
        readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
      cpuMs = (Number(fields[11]) + Number(fields[12])) * 10
    } catch {
      // It has ended between two looks.
    }
  }, 100)
  const status = await new Promise((done) => child.on('close', done))
  clearInterval(watch)
  if (status !== 0) throw new Error(`The broker ended with status ${String(status)}`)
  const { records, seconds } = JSON.parse(text) as { records: number; seconds: number }
  return { rate: records / seconds, cpuMs: cpuMs / records, peakMb }
}

function peer(name: string): number {
  const out = join(folder, 'peer')
  const script = join(root, 'bench/pipeline_peer.py')
  const said = execFileSync(python, [script, join(folder, name), out], { encoding: 'utf8' })
  return Number(said)
}

function cells(runs: readonly Run[]): string[] {
  return [
    median(runs.map(({ rate }) => rate)).toFixed(0),
    median(runs.map(({ cpuMs }) => cpuMs)).toFixed(2),
    median(runs.map(({ peakMb }) => peakMb)).toFixed(0),
  ]
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0
}
