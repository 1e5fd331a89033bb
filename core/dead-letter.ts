/** What cannot be handled is kept whole, with who gave up on it and why, and can be replayed. */
import { kafkaAttributes } from './alert.ts'
import { NightjarError, sentenceOf } from './errors.ts'
import { attributeValue, maxAttributeKeyBytes } from './limits.ts'
import type { Message } from './ports.ts'

export const deadLetterAttributes = {
  stage: 'dead_letter_stage',
  code: 'dead_letter_code',
  reason: 'dead_letter_reason',
  at: 'dead_letter_at',
} as const

/** A dead letter: the message as it came, and four attributes beside its own. */
export function deadLetter(
  { data, attributes }: Message,
  { stage, error, at }: { stage: string; error: unknown; at: Date },
): Message {
  // A message with too many or too long attributes is one of the things that die: keep where it is from.
  const kept = Object.keys(attributes).length > 90 ? coordinatesOf(attributes) : attributes
  const entries = Object.entries(kept).flatMap(([key, value]) => {
    const bytes = Buffer.byteLength(key)
    return bytes > 0 && bytes <= maxAttributeKeyBytes ? [[key, attributeValue(value)]] : []
  })
  return {
    data,
    attributes: {
      ...(Object.fromEntries(entries) as Record<string, string>),
      [deadLetterAttributes.stage]: stage,
      [deadLetterAttributes.code]: error instanceof NightjarError ? error.code : 'unknown',
      [deadLetterAttributes.reason]: attributeValue(sentenceOf(error)),
      [deadLetterAttributes.at]: at.toISOString(),
    },
  }
}

/** The message that a dead letter was, for sending it again. */
export function revive({ data, attributes }: Message): Message {
  const own = new Set<string>(Object.values(deadLetterAttributes))
  const entries = Object.entries(attributes).filter(([key]) => !own.has(key))
  return { data, attributes: Object.fromEntries(entries) }
}

function coordinatesOf(attributes: Readonly<Record<string, string>>): Record<string, string> {
  const names = Object.values(kafkaAttributes).filter((name) => name in attributes)
  return Object.fromEntries(names.map((name) => [name, attributes[name] as string]))
}
