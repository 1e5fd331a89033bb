/** The JSON form of a control message, which is read and never written: the original's is broken. */
import { NightjarError } from '../core/errors.ts'
import type { Address, ControlMessage } from './message.ts'

/**
 * Read the JSON form. Numbers keep their digits as they stand, so that 64 bits stay exact; booleans and
 * null become their words; unknown keys are passed over. Names are for the caller to check.
 */
export function parseJsonMessage(text: string): ControlMessage {
  const top = tableOf(parse(text), 'message')
  return {
    from: addressOf(top, 'sent-from-server', 'sent-from-service'),
    to: addressOf(top, 'server', 'service'),
    command: textAt(top, 'command'),
    parameters: new Map(
      [...tableOf(top.get('parameters') ?? {}, 'parameters')].map(([name, value]) => [
        name,
        textOf(name, value),
      ]),
    ),
  }
}

const addressOf = (
  top: ReadonlyMap<string, unknown>,
  server: string,
  service: string,
): Address => ({ server: textAt(top, server), service: textAt(top, service) })

function parse(text: string): unknown {
  try {
    return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) =>
      typeof value === 'number' ? (context?.source ?? String(value)) : value,
    ) as unknown
  } catch (cause) {
    throw fault(text, 'it is no JSON', cause)
  }
}

/** An object as a map, so that no key of a peer's is one of ours. */
function tableOf(value: unknown, what: string): Map<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return new Map(Object.entries(value))
  }
  throw fault(String(value), `its ${what} is no object`)
}

const textAt = (top: ReadonlyMap<string, unknown>, key: string): string =>
  textOf(key, top.get(key) ?? '')

function textOf(name: string, value: unknown): string {
  if (typeof value === 'object' && value !== null) throw fault(name, 'its value is no plain one')
  return String(value)
}

function fault(text: string, why: string, cause?: unknown): NightjarError {
  const shown = text.slice(0, 80)
  return new NightjarError('input_invalid', `Cannot take JSON message "${shown}": ${why}`, {
    cause,
  })
}
