/**
 * Filters of subscribers: XPath 1.0 expressions, of which one must match. What counts as a match is what
 * does in Comet: true, a number other than zero (NaN is one), a text or a set of nodes that is not empty.
 * An expression that cannot be evaluated does not match.
 */
import type * as libxml from 'libxml2-wasm'

import { NightjarError } from '../../core/errors.ts'
import type { Document } from './document.ts'
import { XmlXPath } from './libxml.ts'

/** More than these is no filter but a load. */
const mostFilters = 32
const mostBytes = 4096

export interface Filters extends Disposable {
  readonly expressions: readonly string[]
  /** True where there is no filter, too. `seen` shares verdicts among the filters of one document. */
  match(document: Document, seen?: Map<string, boolean>): boolean
}

/** Everything. */
export const noFilters: Filters = {
  expressions: [],
  match: () => true,
  [Symbol.dispose]() {},
}

/** Compile an expression. Throws `input_invalid` where its syntax is wrong. */
export function compileFilter(expression: string): libxml.XmlXPath {
  if (Buffer.byteLength(expression) > mostBytes) {
    throw new NightjarError('input_invalid', `Cannot take a filter of more than ${mostBytes} bytes`)
  }
  try {
    return XmlXPath.compile(expression)
  } catch (cause) {
    throw new NightjarError(
      'input_invalid',
      `Cannot take filter "${expression}": it is no XPath 1.0`,
      {
        cause,
      },
    )
  }
}

/**
 * Take the filters that a peer asks for. Those of wrong syntax are left out and named in `refused`; where
 * none is left, everything matches, as the peers of Comet are used to.
 */
export function createFilters(expressions: readonly string[]): {
  filters: Filters
  refused: string[]
} {
  const compiled: { text: string; xpath: libxml.XmlXPath }[] = []
  const refused: string[] = expressions.slice(mostFilters)
  for (const text of expressions.slice(0, mostFilters)) {
    try {
      compiled.push({ text, xpath: compileFilter(text) })
    } catch {
      refused.push(text)
    }
  }
  if (compiled.length === 0) return { filters: noFilters, refused }
  const filters: Filters = {
    expressions: compiled.map(({ text }) => text),
    match: (document, seen) =>
      compiled.some(({ text, xpath }) => {
        const known = seen?.get(text)
        if (known !== undefined) return known
        const verdict = isMatch(document.evaluate(xpath))
        seen?.set(text, verdict)
        return verdict
      }),
    [Symbol.dispose]() {
      for (const { xpath } of compiled) xpath.dispose()
    },
  }
  return { filters, refused }
}

function isMatch(value: unknown): boolean {
  // In JavaScript NaN is false; in Comet it matches, since it is not zero.
  if (typeof value === 'number') return value !== 0
  if (Array.isArray(value)) return value.length > 0
  return Boolean(value)
}
