/** What DuckDB's errors say, in our codes. */
import { NightjarError, sentenceOf } from '../../core/errors.ts'

/**
 * Errors that say nothing about a row or a statement. A FATAL or INTERNAL one leaves the instance
 * unusable until the file is opened anew.
 */
const ofTheEngine =
  /^(IO|Out of Memory|FATAL|INTERNAL|INTERRUPT|Connection|Permission|TransactionContext|Transaction) Error|No space left|Read-only file system|has been invalidated/i

/** True where the fault is the disk's or the engine's, so that the same row may be stored later. */
export function isEngineFault(error: unknown): boolean {
  return !(error instanceof NightjarError) && ofTheEngine.test(sentenceOf(error))
}

/** True where the instance takes no more statements. */
export function isFatal(error: unknown): boolean {
  return /^(FATAL|INTERNAL) Error|has been invalidated/i.test(sentenceOf(error))
}

/** True where the engine came to the end of the memory it is allowed. */
export function isOutOfMemory(error: unknown): boolean {
  return /^Out of Memory Error/.test(sentenceOf(error))
}

/** The engine's sentence on one line, without its excerpt of the statement and its full stop. */
export function engineSentence(error: unknown): string {
  const [said = ''] = sentenceOf(error).split('\n\nLINE ')
  return said
    .replace('Failed to extract statements: ', '')
    .replaceAll(/\s*\n\s*/g, ' ')
    .replace(/[.!]$/, '')
}
