/** The sender: an author's side. One event, one receipt. */
import type { Endpoint } from '../endpoint.ts'
import { connectTo } from '../link.ts'
import { readDocuments } from './conversation.ts'
import { parseDocument, type Document } from './document.ts'
import { formatFrame } from './frame.ts'

/** `none`: the broker closed, or was silent for too long, and nobody knows whether it has the event. */
export type Receipt =
  { kind: 'ack' } | { kind: 'nak'; reason: string } | { kind: 'none'; reason: string }

/** Send an event and wait for its receipt. Rejects with `source_failed` where nobody is there. */
export async function sendEvent(
  endpoint: Endpoint,
  event: Uint8Array,
  ivorn: string,
  { timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal },
): Promise<Receipt> {
  const late = AbortSignal.timeout(timeoutMs)
  const either = AbortSignal.any([late, signal])
  const socket = await connectTo(endpoint, either)
  const stop = (): void => void socket.destroy()
  either.addEventListener('abort', stop, { once: true })
  let receipt: Receipt | undefined
  try {
    socket.on('error', () => {})
    socket.write(formatFrame(event))
    await readDocuments(socket, (bytes) => {
      receipt ??= receiptIn(bytes, ivorn)
      if (receipt !== undefined) socket.end()
    })
  } finally {
    either.removeEventListener('abort', stop)
    socket.destroy()
  }
  if (receipt !== undefined) return receipt
  const reason = late.aborted
    ? `no receipt within ${timeoutMs / 1000} s`
    : 'closed without a receipt'
  return { kind: 'none', reason }
}

/** A receipt for this event; whatever else comes is not for us. */
function receiptIn(bytes: Buffer, ivorn: string): Receipt | undefined {
  let document: Document
  try {
    document = parseDocument(bytes)
  } catch {
    return undefined
  }
  using heard = document
  const { head } = heard
  if (head.kind !== 'transport' || head.origin !== ivorn) return undefined
  if (head.role === 'ack') return { kind: 'ack' }
  if (head.role === 'nak') return { kind: 'nak', reason: head.result ?? 'no reason given' }
  return undefined
}
