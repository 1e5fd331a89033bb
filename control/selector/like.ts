/**
 * LIKE patterns, read once: `_` is any one character, `%` any number of them, the escape
 * character before one of these, or before itself, makes it a character like others. A character is a code point, as in Java, DuckDB and BigQuery.
 */

/** Runs of text and wildcards; neighbouring `%` are one. */
export type LikePart = { text: string } | 'one' | 'any'
export type LikePattern = readonly LikePart[]

/** Read a pattern. An escape character before any other is itself, as in ActiveMQ. */
export function parseLike(pattern: string, escape?: string): LikePattern {
  const parts: LikePart[] = []
  let text = ''
  const characters = [...pattern]
  for (let i = 0; i < characters.length; i++) {
    const character = characters[i] as string
    const next = characters[i + 1]
    if (character === escape && (next === '_' || next === '%' || next === escape)) {
      text += next
      i++
    } else if (character === '_' || character === '%') {
      if (text !== '') parts.push({ text })
      text = ''
      if (character === '_') parts.push('one')
      else if (parts.at(-1) !== 'any') parts.push('any')
    } else {
      text += character
    }
  }
  if (text !== '') parts.push({ text })
  return parts
}

type Piece = string | undefined

/**
 * Make the test of a pattern. Its time is at most the product of the lengths of text and pattern: at each
 * `%` the earliest place for what stands before the next one is as good as any, so nothing is tried twice.
 */
export function likeTest(pattern: LikePattern): (text: string) => boolean {
  const [first, second, third] = pattern
  if (pattern.length === 0) return (text) => text === ''
  if (pattern.length === 1 && typeof first === 'object') return (text) => text === first.text
  if (pattern.length === 1 && first === 'any') return () => true
  if (pattern.length === 2 && typeof first === 'object' && second === 'any') {
    return (text) => text.startsWith(first.text)
  }
  if (pattern.length === 2 && first === 'any' && typeof second === 'object') {
    return (text) => text.endsWith(second.text)
  }
  if (pattern.length === 3 && first === 'any' && typeof second === 'object' && third === 'any') {
    return (text) => text.includes(second.text)
  }
  const runs = runsOf(pattern)
  const open = runs.length > 1
  return (text) => {
    const characters = [...text]
    const head = runs[0] as Piece[]
    if (!fits(head, characters, 0)) return false
    let at = head.length
    if (!open) return at === characters.length
    for (const run of runs.slice(1, -1)) {
      while (at + run.length <= characters.length && !fits(run, characters, at)) at++
      if (at + run.length > characters.length) return false
      at += run.length
    }
    const tail = runs.at(-1) as Piece[]
    return (
      characters.length - tail.length >= at &&
      fits(tail, characters, characters.length - tail.length)
    )
  }
}

/** What stands between the `%`s, by character; undefined is any one. */
function runsOf(pattern: LikePattern): Piece[][] {
  const runs: Piece[][] = [[]]
  for (const part of pattern) {
    if (part === 'any') runs.push([])
    else runs.at(-1)?.push(...(part === 'one' ? [undefined] : part.text))
  }
  return runs
}

function fits(run: readonly Piece[], characters: readonly string[], at: number): boolean {
  if (at + run.length > characters.length) return false
  return run.every((piece, i) => piece === undefined || piece === characters[at + i])
}
