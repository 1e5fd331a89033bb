/** `--cmd`: a program that is given each document on its standard input. */
import { spawn } from 'node:child_process'
import { access, constants } from 'node:fs/promises'

import { NightjarError } from '../../../core/errors.ts'
import type { Handler } from './handler.ts'

export interface CommandOptions {
  path: string
  /** What the program says, when it says it. */
  said(text: string): void
  /** Programs at a time; further events wait their turn. */
  most?: number
  /** A program that takes longer is killed. */
  timeoutMs?: number
}

export function commandHandler(options: CommandOptions): Handler {
  const { path, most = 16 } = options
  let running = 0
  const waiting: (() => void)[] = []

  async function turn(): Promise<void> {
    if (running++ >= most) await new Promise<void>((resolve) => waiting.push(resolve))
  }
  function done(): void {
    running--
    waiting.shift()?.()
  }

  return {
    name: path,
    async handle({ bytes }) {
      try {
        await access(path, constants.X_OK)
      } catch {
        throw new NightjarError('config_invalid', `${path} is not executable`)
      }
      await turn()
      try {
        await run(bytes, options)
      } finally {
        done()
      }
    },
  }
}

/** Without a shell and without arguments; the environment is ours. */
function run(
  bytes: Uint8Array,
  { path, said, timeoutMs = 300_000 }: CommandOptions,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, [], { stdio: 'pipe', timeout: timeoutMs, killSignal: 'SIGKILL' })
    child.stdout.on('data', (chunk: Buffer) => said(chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => said(chunk.toString()))
    // A program that does not read its input has a right not to.
    child.stdin.on('error', () => {})
    child.stdin.end(bytes)
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve()
      else if (signal === null) reject(failed(`${path} returned non-zero (${code})`))
      else reject(failed(`${path} was ended by ${signal}`))
    })
  })
}

const failed = (sentence: string): NightjarError => new NightjarError('source_failed', sentence)
