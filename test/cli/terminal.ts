/** A program on a real terminal, and what a person sees on it. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { skipWithout } from '../data.ts'

const python = '/usr/bin/python3'

/** The `skip` option of a test that needs a terminal. */
export const skipWithoutPty = skipWithout(python, 'install python3')

export interface Terminal {
  /** All that was written, control sequences and all. */
  raw(): string
  /** The screen after the last full drawing: lines without what ends them. */
  frame(): string[]
  /** Resolves with the first frame that fits; rejects where the program ends before, or after a minute. */
  until(fits: (frame: string[]) => boolean): Promise<string[]>
  resize(rows: number, columns: number): void
  press(keys: string): void
  /** The exit status; negative: the signal it died of. */
  ended: Promise<number>
}

const longestMs = 60_000

/** Start a program on a terminal of this size. */
export function startOnTerminal(
  words: readonly string[],
  size: { rows: number; columns: number },
  options: { env: Record<string, string>; cwd: string },
): Terminal {
  const child = spawn(
    python,
    [
      join(import.meta.dirname, 'terminal_host.py'),
      String(size.rows),
      String(size.columns),
      ...words,
    ],
    { ...options, stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const kill = (): void => void child.kill('SIGKILL')
  process.once('exit', kill)
  child.stdin.on('error', () => {})
  let raw = ''
  let over = false
  const watchers = new Set<() => void>()
  const ended = new Promise<number>((resolve) => {
    let status = NaN
    createInterface({ input: child.stdout })
      .on('line', (line) => {
        const said = JSON.parse(line) as { data?: string; status?: number }
        if (said.data !== undefined) raw += Buffer.from(said.data, 'base64').toString('latin1')
        status = said.status ?? status
        watchers.forEach((watcher) => watcher())
      })
      .on('close', () => {
        over = true
        process.removeListener('exit', kill)
        watchers.forEach((watcher) => watcher())
        resolve(status)
      })
  })
  const text = (): string => Buffer.from(raw, 'latin1').toString()
  const frame = (): string[] => {
    const [, drawn = ''] = /.*\x1b\[H([^]*?)\x1b\[J/s.exec(text()) ?? []
    return drawn.split('\r\n').map((line) => line.replaceAll('\x1b[K', ''))
  }
  const tell = (what: object): void => void child.stdin.write(`${JSON.stringify(what)}\n`)
  return {
    raw: text,
    frame,
    until(fits) {
      return new Promise((resolve, reject) => {
        const give = (): void => done(() => reject(new Error(`Not seen in time: ${text()}`)))
        const timer = setTimeout(give, longestMs)
        const done = (settle: () => void): void => {
          clearTimeout(timer)
          watchers.delete(watcher)
          settle()
        }
        const watcher = (): void => {
          const seen = frame()
          if (fits(seen)) done(() => resolve(seen))
          else if (over) done(() => reject(new Error(`It ended before: ${text()}`)))
        }
        watchers.add(watcher)
        watcher()
      })
    },
    resize: (rows, columns) => tell({ resize: [rows, columns] }),
    press: (keys) => tell({ press: keys }),
    ended,
  }
}
