/** OAUTHBEARER (RFC 7628): we show a token; and where tokens come from (RFC 6749 §4.4). */
import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Login } from './sasl.ts'

/** Answers a token that is good for some time yet. */
export type Tokens = () => Promise<string>

/** Make the login. */
export function oauthLogin(tokens: Tokens): Login {
  return async function login(_, exchange) {
    const token = await tokens()
    // RFC 6750 §2.1; anything else could end the field and begin another.
    if (!/^[A-Za-z0-9._~+/-]+=*$/.test(token)) {
      throw new NightjarError('config_invalid', 'Cannot log in by OAuth: what we have is no token')
    }
    const answer = await exchange(Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`))
    if (answer.length === 0) return
    // RFC 7628 §3.2.3: a refusal comes as an answer, and is final only when we have said so.
    await exchange(Buffer.from('\x01')).catch(() => {})
    throw new NightjarError(
      'access_denied',
      `Cannot log in by OAuth: the broker refuses our token, ${quote(answer.toString())}; see that ` +
        'its issuer, audience and scope are those that the stream asks for',
    )
  }
}

export interface TokenOptions {
  tokenEndpoint: string
  clientId: string
  secret: () => Promise<string>
  scope?: string
  now: () => Date
}

const timeoutMs = 10_000
const mostAnswerBytes = 64 << 10

/** Part of a token's life after which a new one is fetched, so that what is shown has time left. */
const refreshAfter = 0.8

/** What a token lives where the endpoint does not say, in seconds. */
const usualSeconds = 300

/**
 * Tokens by client credentials. One is fetched when the first is asked for and again when 80 % of its
 * life is over; while the endpoint fails, the old one is used until it ends. Askers at one time share
 * one request. Rejects with `access_denied` where the endpoint refuses, else with `source_failed`.
 */
export function createTokens(options: TokenOptions): Tokens {
  const now = (): number => options.now().getTime()
  let held: { token: string; refreshAt: number; endsAt: number } | undefined
  let fetching: Promise<string> | undefined

  return async function tokens() {
    if (held !== undefined && now() < held.refreshAt) return held.token
    fetching ??= renew().finally(() => (fetching = undefined))
    return fetching
  }

  async function renew(): Promise<string> {
    const asked = now()
    try {
      const { token, seconds } = await fetchToken(options)
      const life = seconds * 1000
      held = { token, refreshAt: asked + life * refreshAfter, endsAt: asked + life }
      return token
    } catch (error) {
      const passing = error instanceof NightjarError && error.code === 'source_failed'
      if (passing && held !== undefined && now() < held.endsAt) return held.token
      throw error
    }
  }
}

async function fetchToken(options: TokenOptions): Promise<{ token: string; seconds: number }> {
  const { tokenEndpoint, clientId, secret, scope } = options
  const form = new URLSearchParams({ grant_type: 'client_credentials' })
  if (scope !== undefined) form.set('scope', scope)
  // RFC 6749 §2.3.1: both are encoded as in a form before they become Basic credentials.
  const credentials = `${encodeForm(clientId)}:${encodeForm(await secret())}`
  let status: number
  let text: string
  try {
    const response = await fetch(tokenEndpoint, {
      method: 'POST',
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
      headers: {
        authorization: `Basic ${Buffer.from(credentials).toString('base64')}`,
        'content-type': 'application/x-www-form-urlencoded',
        accept: 'application/json',
      },
      body: form.toString(),
    })
    status = response.status
    text = await readBounded(response)
  } catch (cause) {
    const why = cause instanceof Error && cause.cause ? sentenceOf(cause.cause) : sentenceOf(cause)
    throw failed('source_failed', tokenEndpoint, why, cause)
  }
  const answer = parseObject(text)
  const token = answer['access_token']
  if (status === 200 && typeof token === 'string' && token !== '') {
    const seconds = Number(answer['expires_in'] ?? usualSeconds)
    return { token, seconds: seconds > 0 ? seconds : usualSeconds }
  }
  const said = [answer['error'], answer['error_description']]
    .filter((part) => typeof part === 'string')
    .join(': ')
  const why = `it answers ${status}${said === '' ? '' : ` (${quote(said)})`}`
  if (status >= 400 && status < 500 && ![408, 425, 429].includes(status)) {
    const remedy = 'see that client_id and client_secret are still valid'
    throw failed('access_denied', tokenEndpoint, `${why}; ${remedy}`)
  }
  throw failed('source_failed', tokenEndpoint, status === 200 ? 'it gives no token' : why)
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

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return { ...value }
  } catch {
    // No JSON, such as a proxy's page: the status says enough.
  }
  return {}
}

const encodeForm = (text: string): string => new URLSearchParams({ '': text }).toString().slice(1)

const quote = (text: string): string => JSON.stringify(text.slice(0, 300))

function failed(
  code: 'access_denied' | 'source_failed',
  endpoint: string,
  why: string,
  cause?: unknown,
): NightjarError {
  return new NightjarError(code, `Cannot get a token from ${endpoint}: ${why}`, { cause })
}
