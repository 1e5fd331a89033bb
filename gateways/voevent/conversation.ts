/** Reading a peer's documents off its connection, each whole, in order, and bounded. */
import type { Socket } from 'node:net'

import { createFrameReader } from '../frames.ts'
import { vtpFrames } from './frame.ts'

/**
 * Call for each document that comes, one after the other; the peer is not read while one is handled.
 * Resolves when the peer has ended; rejects with `input_invalid` for a frame that breaks the bounds, and
 * with whatever the call rejects with.
 */
export async function readDocuments(
  socket: Socket,
  handle: (document: Buffer) => void | Promise<void>,
): Promise<void> {
  const reader = createFrameReader(vtpFrames)
  try {
    for await (const chunk of socket) {
      reader.feed(chunk as Buffer)
      for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
        await handle(frame.body)
      }
    }
  } catch (error) {
    if (isGone(error)) return
    throw error
  }
}

/** A peer that went away in the middle is no fault of anybody's. */
const isGone = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  ['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE', 'ABORT_ERR', 'ETIMEDOUT'].includes(
    String(error.code),
  )
