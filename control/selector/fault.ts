/** What is wrong with a selector, pointed at: a sentence with the column, the line, and a caret below it. */
import { NightjarError } from '../../core/errors.ts'

/** How much of a long line is shown around the column. */
const shownBefore = 60
const shownAfter = 20
/** How much of a word is said again; it may be as long as the selector. */
const maxCited = 80

/** An `input_invalid` for the character at `at`, counted from 0; columns are told from 1, by line. */
export function selectorFault(text: string, at: number, why: string): NightjarError {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1
  const lineEnd = text.indexOf('\n', at)
  const from = Math.max(lineStart, at - shownBefore)
  const to = Math.min(lineEnd === -1 ? text.length : lineEnd, at + shownAfter)
  const line = text.slice(0, lineStart).split('\n').length
  const where = text.includes('\n') ? `line ${line}, column` : 'column'
  // Control characters would tear the line that the caret stands under.
  const shown = text.slice(from, to).replaceAll(/[\p{Cc}\p{Cs}]/gu, ' ')
  const caret = ' '.repeat([...shown.slice(0, at - from)].length) + '^'
  return new NightjarError(
    'input_invalid',
    `Cannot use the selector: ${where} ${at - lineStart + 1} ${why}\n  ${shown}\n  ${caret}`,
  )
}

/** A word of the selector in quotes, a long one cut. */
export const cited = (word: string): string =>
  `"${word.length > maxCited ? `${word.slice(0, maxCited)}…` : word}"`
