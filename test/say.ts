import { writeSync } from 'node:fs'

const cell = new Int32Array(new SharedArrayBuffer(4))

/**
 * Say a line on standard output before going on: what a child of a test has said is true, even if it is
 * killed next. The pipe may be one that does not block; then a reader who is behind is waited for.
 */
export function say(line: string): void {
  let rest = Buffer.from(`${line}\n`)
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest))
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error
      Atomics.wait(cell, 0, 0, 5)
    }
  }
}
