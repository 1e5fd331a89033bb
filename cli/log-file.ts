/** A file that is written for people, and opened anew when it has been moved away. */
import { closeSync, openSync, writeSync } from 'node:fs'

import { NightjarError, sentenceOf } from '../core/errors.ts'

export interface LogFile {
  write(text: string): void
  /** Go on in a file of the same name; where it cannot be opened, in the one that is open. */
  reopen(): void
  close(): void
}

/** Append to a file, made if it is not there. Throws `config_invalid` where it cannot be written. */
export function openLogFile(path: string): LogFile {
  let file = open(path)
  return {
    write: (text) => void writeSync(file, text),
    reopen() {
      const next = open(path)
      closeSync(file)
      file = next
    },
    close: () => closeSync(file),
  }
}

function open(path: string): number {
  try {
    return openSync(path, 'a', 0o640)
  } catch (cause) {
    throw new NightjarError('config_invalid', `Cannot log to "${path}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
}
