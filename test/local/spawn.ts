/** Starts `child.ts` and reads what it says. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface Child {
  process: ChildProcess
  lines: string[]
  /** Resolves when it has said `count` lines that begin so, or has ended. */
  said(start: string, count?: number): Promise<string[]>
  /** kill -9, and wait until it is gone. */
  kill(): Promise<void>
  ended: Promise<unknown>
}

/** Start a child on a home; `shell` is what its command line begins with. */
export function startChild(
  args: readonly (string | number)[],
  shell: readonly string[] = [],
): Child {
  const [command = '', ...rest] = [
    ...shell,
    process.execPath,
    join(import.meta.dirname, 'child.ts'),
    ...args.map(String),
  ]
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = once(child, 'close')
  const lines: string[] = []
  let heard = (): void => {}
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line)
    heard()
  })
  let over = false
  void ended.then(() => {
    over = true
    heard()
  })
  return {
    process: child,
    lines,
    async said(start, count = 1) {
      for (;;) {
        const found = lines.filter((line) => line.startsWith(start))
        if (found.length >= count || over) return found
        await new Promise<void>((resolve) => (heard = resolve))
      }
    },
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
    ended,
  }
}
