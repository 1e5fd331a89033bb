import type { CloudGround } from '../cloud/ground.ts'
import type { Environment } from '../core/environment.ts'

/**
 * What a verb may know of the process it runs in. `cli/main.ts` makes it from the real process; a test
 * makes one that collects what is printed.
 */
export interface World {
  /** Write to standard output as it is: the caller ends its lines. */
  out(text: string): void
  /** Progress, notes and errors, on standard error. */
  err(text: string): void
  /** A person looks at standard output: colour and live lines are welcome. */
  tty: boolean
  /** Width of the terminal in characters. */
  columns: number
  /** The terminal itself, where there is one: a person may make it larger or smaller. */
  terminal?: {
    size(): { columns: number; rows: number }
    /** Answers how to listen no more. */
    onResize(listener: () => void): () => void
  }
  env: Readonly<Record<string, string | undefined>>
  now(): Date
  /** Fires at the first Ctrl-C or SIGTERM: finish what is under way and return. */
  signal: AbortSignal
  /** Another ground than Google's for verbs with --cloud: tests put a double of one service into it. */
  openCloud?(environment: Environment): Promise<CloudGround>
  /** The exit status if the verb returns normally; 0 unless set. */
  exit(status: number): void
}
