/** The messages that VTP's peers send each other beside events (IVOA Note VTP 2.0, §3). */
import type { TransportRole } from './document.ts'

export interface TransportMessage {
  role: TransportRole
  origin: string
  /** The sender's own identifier, where it has one and the message is an answer. */
  response?: string | undefined
  /** Why, on a nak. */
  result?: string
  /** Filters, on the answer to `authenticate`; then Meta is there though it be empty. */
  filters?: readonly string[]
  at: Date
}

/** Write a message as bytes. */
export function formatTransport({
  role,
  origin,
  response,
  result,
  filters,
  at,
}: TransportMessage): Buffer {
  const time = at.toISOString().replace(/\.\d+Z$/, 'Z')
  let meta = ''
  for (const filter of filters ?? [])
    meta += `<Param name="xpath-filter" value="${escapeXml(filter)}"/>`
  if (result !== undefined) meta += `<Result>${escapeXml(result)}</Result>`
  const hasMeta = filters !== undefined || result !== undefined
  return Buffer.from(
    `<?xml version='1.0' encoding='UTF-8'?>
<trn:Transport xmlns:trn="http://www.telescope-networks.org/xml/Transport/v1.1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" version="1.0" xsi:schemaLocation="http://telescope-networks.org/schema/Transport/v1.1 http://www.telescope-networks.org/schema/Transport-v1.1.xsd" role="${role}">
<Origin>${escapeXml(origin)}</Origin>${response === undefined ? '' : `<Response>${escapeXml(response)}</Response>`}<TimeStamp>${time}</TimeStamp>${hasMeta ? `<Meta>${meta}</Meta>` : ''}
</trn:Transport>
`,
  )
}

/** A message by its first tag, for those that say all by their role. */
const counted =
  /^\s*(?:<\?xml[^>]*\?>\s*)?<(?:[\w.-]+:)?Transport(?=\s)[^<>]*\srole\s*=\s*["'](ack|iamalive)["']/

/**
 * `ack` or `iamalive`, where a message plainly begins as one; `undefined` leaves it to the parser. A broker
 * is sent a hundred of them for each event that it sends to a hundred subscribers, and only counts them.
 */
export function countedRole(bytes: Buffer): 'ack' | 'iamalive' | undefined {
  const [, role] = counted.exec(bytes.toString('latin1', 0, 1024)) ?? []
  return role === 'ack' || role === 'iamalive' ? role : undefined
}

/** Text as XML content or attribute; control characters that XML cannot hold become spaces. */
export function escapeXml(text: string): string {
  return text
    .replaceAll(/[\0-\x08\x0B\x0C\x0E-\x1F\uFFFE\uFFFF]/g, ' ')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll('\n', '&#10;')
    .replaceAll('\t', '&#9;')
    .replaceAll('\r', '&#13;')
}
