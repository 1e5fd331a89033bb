/**
 * What the gateways' benchmarks have in common: a broker in a process of its own, its clients in
 * another, the same four questions to each broker, and the table of the answers.
 */
import { fork, spawn, type ChildProcess } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'

import { formatTable } from '../cli/text-table.ts'

/** What the clients saw. */
export interface Figures {
  eventsPerSecond: number
  p50Ms: number
  p99Ms: number
}

export interface Broker {
  child: ChildProcess
  ports: number[]
  startMs: number
}

/** One task a question; connections are kept by the clients until they are killed. */
export interface Questions<Task> {
  /** Connections that stand before memory is looked at first. */
  warm: Task
  idle: Task
  /** How many connections `idle` makes. */
  connections: number
  throughput: Task
  latency: Task
}

export interface Measured extends Figures {
  startMs: number
  kbAConnection: number
}

/** Ask one broker all questions; `clients` is the script, beside this one, that carries them out. */
export async function measure<Task extends object>(
  broker: Broker,
  clients: string,
  questions: Questions<Task>,
): Promise<Measured> {
  const { connections } = questions
  const ask = (task: Task): Promise<Answer> => carryOut(clients, task)
  try {
    const early = await ask(questions.warm)
    const before = memoryOf(broker.child)
    const crowd = await ask(questions.idle)
    const kbAConnection = (memoryOf(broker.child) - before) / connections
    for (const { child } of [early, crowd]) child.kill('SIGKILL')
    await new Promise((done) => setTimeout(done, 1000))
    const first = await ask(questions.throughput)
    first.child.kill('SIGKILL')
    const second = await ask(questions.latency)
    second.child.kill('SIGKILL')
    return {
      startMs: broker.startMs,
      kbAConnection,
      eventsPerSecond: first.figures.eventsPerSecond,
      p50Ms: second.figures.p50Ms,
      p99Ms: second.figures.p99Ms,
    }
  } finally {
    broker.child.kill('SIGKILL')
  }
}

interface Answer {
  child: ChildProcess
  figures: Figures
}

function carryOut(clients: string, task: object): Promise<Answer> {
  const child = fork(join(import.meta.dirname, clients))
  return new Promise((done, fail) => {
    child.once('message', (figures: Figures) => done({ child, figures }))
    child.once('exit', () => fail(new Error('The clients ended early')))
    child.send(task)
  })
}

/** Start a broker on free ports and wait for the first word at the last of them. */
export async function startBroker(
  file: string,
  words: (...ports: number[]) => string[],
  options: { cwd: string; env?: NodeJS.ProcessEnv },
): Promise<Broker> {
  const ports = await Promise.all(Array.from({ length: words.length }, freePort))
  const began = performance.now()
  const child = spawn(file, words(...ports), { ...options, stdio: 'ignore' })
  while (!(await greets(ports.at(-1) ?? 0))) {
    if (child.exitCode !== null) throw new Error(`${file} ended with ${child.exitCode}`)
    await new Promise((done) => setTimeout(done, 5))
  }
  return { child, ports, startMs: performance.now() - began }
}

function greets(port: number): Promise<boolean> {
  return new Promise((done) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.once('error', () => done(false))
    socket.once('data', () => {
      socket.destroy()
      done(true)
    })
  })
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as AddressInfo
  await new Promise((done) => server.close(done))
  return port
}

/** Resident memory in kB. */
function memoryOf({ pid }: ChildProcess): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
}

/** The best of each figure over the runs, ours above theirs, and the ratio where there are theirs. */
export function formatMeasured(
  [ourName, ours]: [string, readonly Measured[]],
  [theirName, theirs]: [string, readonly Measured[]],
): string {
  const heads = ['', 'events/s', 'p50 ms', 'p99 ms', 'kB a connection', 'start-up ms']
  const rows = [[ourName, ...cells(ours)]]
  if (theirs.length > 0) {
    rows.push([theirName, ...cells(theirs)])
    rows.push(['ratio', ...ratios(ours, theirs)])
  }
  return formatTable(heads, rows)
}

function values(runs: readonly Measured[]): number[] {
  const least = (of: keyof Measured): number => Math.min(...runs.map((run) => run[of]))
  return [
    Math.max(...runs.map((run) => run.eventsPerSecond)),
    least('p50Ms'),
    least('p99Ms'),
    least('kbAConnection'),
    least('startMs'),
  ]
}

function cells(runs: readonly Measured[]): string[] {
  return values(runs).map((value) => value.toFixed(value < 100 ? 1 : 0))
}

function ratios(ours: readonly Measured[], theirs: readonly Measured[]): string[] {
  const other = values(theirs)
  return values(ours).map((value, i) => (value / (other[i] ?? NaN)).toFixed(2))
}

/** The clients' side: carry out each task that the benchmark sends, and answer with its figures. */
export function answerTasks<Task>(run: (task: Task) => Promise<Figures>): void {
  process.on('message', (task: Task) => {
    run(task).then(
      (figures) => process.send?.(figures),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`)
        process.exit(1)
      },
    )
  })
}

/** Sum up what was sent since `began` (ms) and the latencies (ms) that were seen. */
export function figuresOf(count: number, began: number, latencies: readonly number[]): Figures {
  const seconds = (performance.now() - began) / 1000
  const sorted = latencies.toSorted((a, b) => a - b)
  return {
    eventsPerSecond: count / seconds,
    p50Ms: sorted[Math.floor(sorted.length * 0.5)] ?? 0,
    p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
  }
}
