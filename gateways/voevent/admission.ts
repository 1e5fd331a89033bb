/**
 * How an event comes in, whatever its source: checked, published, remembered, in that order. It is
 * remembered only after it is durable on its topic, so that an author who got no receipt and sends again
 * is not told that it was seen before; a crash between the two has it published twice and never lost.
 */
import { sentenceOf } from '../../core/errors.ts'
import type { Document, EventRole } from './document.ts'
import { identityOf, type IdentityRule } from './identity.ts'
import { parseIvoid } from './ivoid.ts'
import type { SeenStore } from './seen.ts'

export interface AcceptedEvent {
  bytes: Uint8Array
  ivorn: string
  role: EventRole
  /**
   * `receive`: an author sent it. `subscribe`: it came from another broker. `kafka`: from a Kafka topic.
   * `author`: we made it.
   */
  source: 'receive' | 'subscribe' | 'kafka' | 'author'
  /** Where it came from, as an endpoint. */
  peer: string
  identity: string
}

/** `retry`: nothing is wrong with the event, and it may be sent again. */
export type Verdict = { ok: true } | { ok: false; reason: string; retry: boolean; seen: boolean }

export interface AdmissionOptions {
  seen: SeenStore
  rule: IdentityRule
  /** Resolves when the event is durable. */
  publish(event: AcceptedEvent): Promise<void>
  /** Beginnings of IVORNs that authors may use; none: all may. */
  allowedPrefixes?: readonly string[]
  now?: () => Date
}

export interface Admission {
  /** An author's event, which is checked whole. */
  submit(bytes: Uint8Array, document: Document, peer: string): Promise<Verdict>
  /** Another broker's event, which was checked there: only whether it was seen. */
  relay(
    bytes: Uint8Array,
    document: Document,
    peer: string,
    source?: 'subscribe' | 'kafka',
  ): Promise<Verdict>
  /** An event of our own making: there is one of each IVORN, whatever time it says it was written at. */
  author(bytes: Uint8Array, document: Document, from: string): Promise<Verdict>
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { seen, rule, publish, allowedPrefixes = [], now = () => new Date() } = options
  const underWay = new Map<string, Promise<Verdict>>()

  async function accept(event: AcceptedEvent): Promise<Verdict> {
    try {
      await publish(event)
    } catch (error) {
      return { ok: false, reason: sentenceOf(error), retry: true, seen: false }
    }
    seen.add(event.identity, now())
    return { ok: true }
  }

  /** Of the same event at the same time one is accepted, and the others are told what became of it. */
  async function once(event: AcceptedEvent): Promise<Verdict> {
    for (;;) {
      if (seen.has(event.identity)) return seenBefore
      const other = underWay.get(event.identity)
      if (other === undefined) break
      if ((await other).ok) return seenBefore
    }
    const accepting = accept(event).finally(() => underWay.delete(event.identity))
    underWay.set(event.identity, accepting)
    return accepting
  }

  function eventOf(
    bytes: Uint8Array,
    document: Document,
    source: AcceptedEvent['source'],
    peer: string,
  ): AcceptedEvent | undefined {
    const { head } = document
    if (head.kind !== 'event' || head.ivorn === undefined) return undefined
    const { role, ivorn } = head
    return { bytes, ivorn, role, source, peer, identity: identityOf(bytes, rule) }
  }

  return {
    async submit(bytes, document, peer) {
      const event = eventOf(bytes, document, 'receive', peer)
      if (event === undefined) return refuse('No ivorn')
      if (seen.has(event.identity)) return seenBefore
      const fault = document.fault() ?? faultOfIvorn(event.ivorn)
      if (fault !== undefined) return refuse(fault)
      const allowed = allowedPrefixes.some((prefix) => event.ivorn.startsWith(prefix))
      if (allowedPrefixes.length > 0 && !allowed)
        return refuse('IVORN is not one of those taken here')
      return once(event)
    },
    async relay(bytes, document, peer, source = 'subscribe') {
      const event = eventOf(bytes, document, source, peer)
      return event === undefined ? refuse('No ivorn') : once(event)
    },
    async author(bytes, document, from) {
      const event = eventOf(bytes, document, 'author', from)
      if (event === undefined) return refuse('No ivorn')
      return once({ ...event, identity: identityOf(Buffer.from(event.ivorn), 'payload') })
    },
  }
}

const refuse = (reason: string): Verdict => ({ ok: false, reason, retry: false, seen: false })

const seenBefore: Verdict = {
  ok: false,
  reason: 'Previously seen by this broker',
  retry: false,
  seen: true,
}

function faultOfIvorn(ivorn: string): string | undefined {
  try {
    return parseIvoid(ivorn).local === '' ? 'No per-event local ID' : undefined
  } catch (error) {
    return sentenceOf(error)
  }
}
