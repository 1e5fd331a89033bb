/**
 * The receiver: an author connects, sends an event, gets a receipt, and the connection is closed. An ack
 * says that the event is durable on its topic.
 */
import type { Socket } from 'node:net'

import { sentenceOf } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { Admission, Verdict } from './admission.ts'
import { readDocuments } from './conversation.ts'
import { parseDocument, type Document } from './document.ts'
import { formatFrame } from './frame.ts'
import { formatTransport } from './transport.ts'

export interface ReceiverOptions {
  admission: Admission
  /** Our own identifier. */
  localIvo: string
  /** What an author is told of an event that was seen before: `nak` as Comet, `ack` as VTP 2.0 asks. */
  onDuplicate: 'nak' | 'ack'
  log: Log
  /** From the connection on, and not prolonged by what comes. */
  timeoutMs?: number
}

export interface Receiver {
  accept(socket: Socket, peer: string): void
  /** Let go of everybody. */
  close(): Promise<void>
}

export function createReceiver(options: ReceiverOptions): Receiver {
  const { admission, localIvo, onDuplicate, log, timeoutMs = 20_000 } = options
  const sockets = new Set<Socket>()

  function receiptOf(document: Document, verdict: Verdict): Buffer {
    const { head } = document
    const origin = (head.kind === 'event' && head.ivorn) || localIvo
    const good = verdict.ok || (verdict.seen && onDuplicate === 'ack')
    return formatTransport({
      role: good ? 'ack' : 'nak',
      origin,
      response: localIvo,
      at: new Date(),
      ...(!verdict.ok && !good && { result: `Event rejected: ${verdict.reason}` }),
    })
  }

  /** The receipt, or nothing where VTP says nothing: then the author may try again. */
  async function answer(bytes: Buffer, peer: string): Promise<Buffer | undefined> {
    using document = parseDocument(bytes)
    if (document.head.kind !== 'event') {
      log('voevent_refused', {
        peer,
        reason: `a message "${document.head.role}" is for no receiver`,
      })
      return undefined
    }
    const verdict = await admission.submit(bytes, document, peer)
    if (!verdict.ok) log('voevent_refused', { peer, reason: verdict.reason })
    if (!verdict.ok && verdict.retry) return undefined
    return receiptOf(document, verdict)
  }

  async function converse(socket: Socket, peer: string): Promise<void> {
    const answering: Promise<void>[] = []
    let ended = false
    await readDocuments(socket, (bytes) => {
      // What comes in one piece is answered whole; the connection ends after the first receipt.
      if (ended) return
      const answered = answer(bytes, peer).then(
        (receipt) => {
          if (receipt !== undefined && !socket.destroyed) socket.write(formatFrame(receipt))
        },
        (error: unknown) => log('voevent_refused', { peer, reason: sentenceOf(error) }),
      )
      answering.push(answered)
      if (answering.length === 1) {
        setImmediate(() => {
          ended = true
          void Promise.all(answering).then(() => socket.end())
        })
      }
    })
    await Promise.all(answering)
  }

  return {
    accept(socket, peer) {
      sockets.add(socket)
      const timer = setTimeout(() => {
        log('voevent_refused', { peer, reason: `no event within ${timeoutMs / 1000} s` })
        socket.destroy()
      }, timeoutMs)
      socket.on('error', () => socket.destroy())
      converse(socket, peer)
        .catch((error: unknown) => log('voevent_refused', { peer, reason: sentenceOf(error) }))
        .finally(() => {
          clearTimeout(timer)
          sockets.delete(socket)
          socket.destroySoon()
        })
    },
    async close() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
