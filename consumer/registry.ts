/**
 * A Confluent schema registry, asked for the schemas of wire format that are not known yet. What it
 * gives goes through the schema gate onto the shelf, and from there on the registry is not needed.
 */
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Environment } from '../core/settings.ts'
import { isWire, parseWire } from '../schemas/confluent.ts'
import type { Shelf } from '../schemas/shelf.ts'
import type { Registry } from './config.ts'
import { readSecret } from './secret.ts'

export interface LearnOptions {
  registry: Registry
  shelf: Shelf
  env: Environment
  log: Log
  now?: () => Date
  /** How long a packet waits for a registry that does not answer. */
  patienceMs?: number
  /** For so long an id that could not be had is not asked for again. */
  forgetMs?: number
}

/**
 * See that the schema of a packet is known, if it can be. Resolves in any case: a packet whose schema
 * cannot be had goes on, and is parked whole by the stages, which is said here once.
 */
export type Learn = (packet: Uint8Array) => Promise<void>

const timeoutMs = 10_000
const pauseMs = 500
const mostAnswerBytes = 4 << 20
const mostRemembered = 1000

/** Make the learner of a registry. Packets that wait for one id share one request. */
export function createLearner(options: LearnOptions): Learn {
  const { registry, shelf, env, log } = options
  const { now = () => new Date(), patienceMs = 30_000, forgetMs = 60_000 } = options
  const asking = new Map<number, Promise<void>>()
  /** Ids that could not be had, and until when that is believed. */
  const failed = new Map<number, number>()

  return async function learn(packet) {
    if (!isWire(packet)) return
    const { id } = parseWire(packet)
    if (id < 0 || shelf.byId(id) !== undefined || now().getTime() < (failed.get(id) ?? 0)) return
    let asked = asking.get(id)
    if (asked === undefined) {
      asked = ask(id).finally(() => asking.delete(id))
      asking.set(id, asked)
    }
    await asked
  }

  async function ask(id: number): Promise<void> {
    const known = shelf.verdictOf(id)
    if (known?.state === 'parked') return forget(id)
    try {
      const text = await untilAnswered(id)
      const { state, changes, against } = shelf.add(id, text, registry.url, now())
      const shown = changes.slice(0, 10)
      if (state === 'accepted') return log('schema_accepted', { id, against, changes: shown })
      forget(id)
      log('schema_parked', { id, against, changes: shown })
    } catch (error) {
      forget(id)
      log('schema_unavailable', { id, reason: sentenceOf(error) })
    }
  }

  function forget(id: number): void {
    // Ids come from packets: a flood of them must not fill the memory.
    if (failed.size >= mostRemembered) failed.clear()
    failed.set(id, now().getTime() + forgetMs)
  }

  /** Ask until there is an answer, or patience ends; a refusal is an answer. */
  async function untilAnswered(id: number): Promise<string> {
    for (const begun = performance.now(); ;) {
      try {
        return await fetchSchema(registry, id, env)
      } catch (error) {
        const passing = error instanceof NightjarError && error.code === 'source_failed'
        if (!passing || performance.now() - begun + pauseMs > patienceMs) throw error
        await new Promise((resolve) => setTimeout(resolve, pauseMs))
      }
    }
  }
}

/**
 * The text of a schema by its id. Throws `schema_unknown` where the registry has none, `access_denied`
 * where it does not let us, and `source_failed` for what may pass.
 */
export async function fetchSchema(
  registry: Registry,
  id: number,
  env: Environment,
): Promise<string> {
  const url = `${registry.url}/schemas/ids/${id}`
  const headers: Record<string, string> = {
    accept: 'application/vnd.schemaregistry.v1+json, application/json',
  }
  if (registry.username !== undefined && registry.password !== undefined) {
    const password = await readSecret(registry.password, env)
    const credentials = Buffer.from(`${registry.username}:${password}`).toString('base64')
    headers['authorization'] = `Basic ${credentials}`
  }
  let status: number
  let body: string
  try {
    const response = await fetch(url, {
      headers,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    status = response.status
    body = await readBounded(response)
  } catch (cause) {
    const why = cause instanceof Error && cause.cause ? sentenceOf(cause.cause) : sentenceOf(cause)
    throw failure('source_failed', url, why, cause)
  }
  if (status === 404) throw failure('schema_unknown', url, 'the registry has no such schema')
  if (status === 401 || status === 403) {
    throw failure('access_denied', url, `it answers ${status}; see registry.username and password`)
  }
  if (status !== 200) throw failure('source_failed', url, `it answers ${status}`)
  return schemaIn(url, body)
}

function schemaIn(url: string, body: string): string {
  let answer: unknown
  try {
    answer = JSON.parse(body)
  } catch (cause) {
    throw failure('schema_illegal', url, 'it answers with something else than JSON', cause)
  }
  const { schema, schemaType, references }: Record<string, unknown> =
    typeof answer === 'object' && answer !== null ? { ...answer } : {}
  if (typeof schema !== 'string')
    throw failure('schema_illegal', url, 'it answers without a schema')
  if (schemaType !== undefined && schemaType !== 'AVRO') {
    throw failure('schema_illegal', url, `the schema is of type ${JSON.stringify(schemaType)}`)
  }
  if (Array.isArray(references) && references.length > 0) {
    throw failure('schema_illegal', url, 'the schema refers to others, which is not read')
  }
  return schema
}

async function readBounded(response: Response): Promise<string> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of response.body ?? []) {
    size += part.length
    if (size > mostAnswerBytes)
      throw new Error(`it answers with more than ${mostAnswerBytes} bytes`)
    parts.push(part)
  }
  return Buffer.concat(parts).toString()
}

function failure(
  code: 'source_failed' | 'schema_unknown' | 'access_denied' | 'schema_illegal',
  url: string,
  why: string,
  cause?: unknown,
): NightjarError {
  return new NightjarError(code, `Cannot get a schema from ${url}: ${why}`, { cause })
}
