/** By what an event is known again: a hash of its bytes. Two versions of one IVORN are two events. */
import { createHash } from 'node:crypto'

/** `event`: from `<` of the root to its closing `>`, as VTP 2.0 has it. `payload`: all bytes, as Comet. */
export type IdentityRule = 'event' | 'payload'

/** The identity of a well-formed event, hexadecimal. */
export function identityOf(bytes: Uint8Array, rule: IdentityRule): string {
  const counted = rule === 'payload' ? bytes : withoutProlog(bytes)
  return createHash('sha1').update(counted).digest('hex')
}

/** The root element alone: what stands before and behind it may be declarations, comments and space. */
function withoutProlog(bytes: Uint8Array): Uint8Array {
  // One byte is one character here, so places in the text are places in the bytes.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')
  const before = /^(?:\u00EF\u00BB\u00BF)?(?:\s|<\?[\s\S]*?\?>|<!--[\s\S]*?-->)*/.exec(text)
  let end = text.length
  for (;;) {
    const rest = text.slice(0, end).trimEnd()
    end = rest.length
    if (rest.endsWith('-->')) end = rest.lastIndexOf('<!--')
    else if (rest.endsWith('?>')) end = rest.lastIndexOf('<?')
    else break
    if (end < 0) return bytes
  }
  return bytes.subarray(before?.[0].length ?? 0, end)
}
