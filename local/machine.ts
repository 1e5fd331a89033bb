/**
 * The answer of one machine to the Machine port: a process of its own, that outlives whoever started it.
 * It is the broker of a home, and the home's mark says whether it runs: so a conductor that dies
 * between starting it and writing that down starts no second one.
 */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Machine } from '../core/ports.ts'
import { isAlive, markOfProcess, pidOf } from './alive.ts'
import { runningBroker, type Home } from './home.ts'

export interface MachineOptions {
  home: Home
  /** Program and words that become the broker of the home. */
  command: readonly [string, ...string[]]
  env: Readonly<Record<string, string | undefined>>
  /** How long it may take until the broker has taken the home, and until it has ended, milliseconds. */
  startMs?: number
  stopMs?: number
  /** How to speak to the broker; without it signals have to do. */
  control?: MachineControl
  /** One that we started and that has not answered for so long is killed: it hangs. Milliseconds. */
  silentMs?: number
  /** Told of one that is killed. */
  onKilled?(pid: number): void
}

export interface MachineControl {
  /** Ask the broker to finish what is under way and end; false where it cannot be asked. */
  stop(): Promise<boolean>
  /** Whether it answers; undefined where there is nobody to ask. */
  alive(): Promise<boolean | undefined>
}

export interface LocalMachine extends Machine {
  /** What it was last started with, while it runs; undefined where somebody else started the broker. */
  metadata(): Readonly<Record<string, string>> | undefined
}

/** What is remembered of the process, in the home. */
interface Kept {
  mark: number
  metadata: Record<string, string>
  stopping: boolean
  /** Since when it has not answered, milliseconds since 1970. */
  silentSince?: number
}

const mostLogBytes = 16 << 20

/** The machine that runs a home's broker; what it says goes to `machine.log` in the home. */
export function openMachine(options: MachineOptions): LocalMachine {
  const { home, command, env, startMs = 60_000, stopMs = 120_000, control } = options
  const { silentMs = 300_000, onKilled } = options
  const file = join(home.path, 'machine.json')
  const logFile = join(home.path, 'machine.log')

  function kept(): Kept | undefined {
    try {
      const found = JSON.parse(readFileSync(file, 'utf8')) as Kept
      return isAlive(found.mark) ? found : undefined
    } catch {
      return undefined
    }
  }

  function keep(next: Kept): void {
    writeFileSync(`${file}.new`, JSON.stringify(next))
    renameSync(`${file}.new`, file)
  }

  async function until(ended: () => boolean, ms: number, what: string): Promise<void> {
    for (const end = performance.now() + ms; !ended();) {
      if (performance.now() > end) throw failure(what, `it took more than ${ms / 1000} s`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  function failure(what: string, why: string): NightjarError {
    return new NightjarError('source_failed', `Cannot ${what} the broker of "${home.path}": ${why}`)
  }

  async function state(): ReturnType<Machine['state']> {
    const own = kept()
    const running = runningBroker(home) !== undefined
    if (own?.stopping === true) return 'stopping'
    if (running) return own !== undefined && (await hangs(own)) ? 'stopped' : 'running'
    return own === undefined ? 'stopped' : 'starting'
  }

  /** Ask what we started whether it lives, and kill it where it has said nothing for too long. */
  async function hangs(own: Kept): Promise<boolean> {
    const answers = await control?.alive()
    const { silentSince, ...rest } = own
    if (answers !== false) {
      if (silentSince !== undefined) keep(rest)
      return false
    }
    if (silentSince === undefined) keep({ ...own, silentSince: Date.now() })
    if (silentSince === undefined || Date.now() - silentSince < silentMs) return false
    const pid = pidOf(own.mark)
    // It may have ended by itself since it was asked.
    if (isAlive(own.mark)) process.kill(pid, 'SIGKILL')
    onKilled?.(pid)
    await until(() => !isAlive(own.mark), stopMs, 'kill')
    return true
  }

  /** To be asked is better than to be told: what cannot be asked, or goes on, gets SIGTERM. */
  async function end(pid: number, mark: number): Promise<void> {
    if ((await control?.stop()) === true) {
      try {
        return await until(() => !isAlive(mark), stopMs, 'stop')
      } catch {
        // Told below.
      }
    }
    try {
      process.kill(pid, 'SIGTERM')
    } catch (cause) {
      if (isAlive(mark)) throw failure('stop', sentenceOf(cause))
    }
    await until(() => !isAlive(mark), stopMs, 'stop')
  }

  return {
    state,
    metadata: () => kept()?.metadata,
    async start(metadata) {
      const now = await state()
      if (now === 'running') return
      if (now === 'stopping') throw failure('start', 'it is still ending')
      let pid = pidOf(kept()?.mark ?? 0)
      if (now === 'stopped') pid = await launch({ ...metadata })
      const mark = markOfProcess(pid)
      await until(() => runningBroker(home) === pid || !isAlive(mark), startMs, 'start')
      if (runningBroker(home) === undefined) throw failure('start', lastWords(logFile))
    },
    async stop() {
      const pid = runningBroker(home) ?? pidOf(kept()?.mark ?? 0)
      if (pid === 0) return
      const mark = markOfProcess(pid)
      const own = kept()
      if (own !== undefined) keep({ ...own, stopping: true })
      await end(pid, mark)
    },
  }

  async function launch(metadata: Record<string, string>): Promise<number> {
    const out = openSync(logFile, sizeOf(logFile) > mostLogBytes ? 'w' : 'a')
    try {
      const [program, ...words] = command
      const child = spawn(program, words, {
        detached: true,
        stdio: ['ignore', out, out],
        env: { ...env, ...metadata },
      })
      const { pid } = child
      if (pid === undefined) {
        const error = await new Promise<Error>((resolve) => child.once('error', resolve))
        throw failure('start', sentenceOf(error))
      }
      child.on('error', () => {})
      child.unref()
      keep({ mark: markOfProcess(pid), metadata, stopping: false })
      return pid
    } finally {
      closeSync(out)
    }
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function lastWords(logFile: string): string {
  const lines = readFileSync(logFile, 'utf8').trim().split('\n')
  return `it ended with "${(lines.at(-1) ?? '').slice(-500)}"`
}
