/** What is done with an event that was accepted, whatever its source. */
import { sentenceOf } from '../../../core/errors.ts'
import type { Log } from '../../../core/log.ts'

/** An event as handlers and plugins are given it. */
export interface HandledEvent {
  bytes: Uint8Array
  ivorn: string
  role: string
}

/**
 * A handler, or a plugin: a module of a search path exports one as its default. Whatever it throws is
 * logged and touches nobody else.
 */
export interface Handler {
  name: string
  handle(event: HandledEvent): void | Promise<void>
}

/** Give an event to every handler; each is tried, whatever becomes of the others. */
export async function handleByAll(
  handlers: readonly Handler[],
  event: HandledEvent,
  log: Log,
): Promise<void> {
  await Promise.all(
    handlers.map(async (handler) => {
      try {
        await handler.handle(event)
      } catch (error) {
        log('handler_failed', {
          handler: handler.name,
          ivorn: event.ivorn,
          reason: sentenceOf(error),
        })
      }
    }),
  )
}
