/** SCRAM (RFC 5802, RFC 7677): both sides prove that they know the password, and neither tells it. */
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

import { NightjarError } from '../../core/errors.ts'
import type { Login } from './sasl.ts'

export interface ScramOptions {
  hash: 'sha256' | 'sha512'
  username: string
  password: () => Promise<string>
  /** Printable characters without a comma; random if absent. */
  nonce?: () => string
}

/** Kafka's own least. The most keeps a hostile broker from having us compute for ever. */
const iterationBounds = { least: 4096, most: 1_000_000 }

const derive = promisify(pbkdf2)

/** Make the login. Kafka takes names and passwords as UTF-8 without SASLprep, and so do we. */
export function scramLogin({ hash, username, password, nonce = makeNonce }: ScramOptions): Login {
  const hmac = (key: Uint8Array, text: string): Buffer =>
    createHmac(hash, key).update(text).digest()

  return async function login(_, exchange) {
    const own = nonce()
    const name = username.replaceAll('=', '=3D').replaceAll(',', '=2C')
    const first = `n=${name},r=${own}`
    const offered = (await exchange(Buffer.from(`n,,${first}`))).toString()
    const { r: both = '', s: salt = '', i: count = '' } = attributesOf(offered)
    const iterations = Number(count)
    if (!both.startsWith(own) || both.length === own.length) {
      throw refused('the broker does not answer to our nonce')
    }
    const { least, most } = iterationBounds
    if (!Number.isInteger(iterations) || iterations < least || iterations > most) {
      throw refused(`it asks for ${count} iterations, allowed are ${least} to ${most}`)
    }
    if (salt === '') throw refused('it gives no salt')

    const bytes = createHash(hash).digest().length
    const salted = await derive(
      Buffer.from(await password()),
      Buffer.from(salt, 'base64'),
      iterations,
      bytes,
      hash,
    )
    // "biws" is "n,," in base64: no channel binding.
    const last = `c=biws,r=${both}`
    const signed = `${first},${offered},${last}`
    const clientKey = hmac(salted, 'Client Key')
    const storedKey = createHash(hash).update(clientKey).digest()
    const signature = hmac(storedKey, signed)
    const proof = clientKey.map((byte, index) => byte ^ (signature[index] ?? 0))
    const answer = await exchange(Buffer.from(`${last},p=${Buffer.from(proof).toString('base64')}`))

    const { v: verifier = '', e: error } = attributesOf(answer.toString())
    if (error !== undefined) throw refused(`the broker says "${error.slice(0, 200)}"`)
    const expected = hmac(hmac(salted, 'Server Key'), signed)
    const given = Buffer.from(verifier, 'base64')
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw refused('the broker does not prove that it knows the password, it may not be the one')
    }
  }
}

const makeNonce = (): string => randomBytes(24).toString('base64url')

function attributesOf(message: string): Record<string, string> {
  const found: Record<string, string> = Object.create(null)
  for (const part of message.split(',')) {
    if (part[1] === '=') found[part[0] ?? ''] = part.slice(2)
  }
  return found
}

const refused = (why: string): NightjarError =>
  new NightjarError('access_denied', `Cannot log in by SCRAM: ${why}`)
