/**
 * Who pushes: Pub/Sub signs each push with a token of the service account that the subscription names
 * (docs: "Authentication for push subscriptions"). Where the platform already lets nobody else in, this is
 * the second lock; where it does not, the only one.
 */
import { OAuth2Client } from 'google-auth-library'

import { NightjarError, sentenceOf } from '../core/errors.ts'

export interface PushOptions {
  /** What the subscription's push configuration has as its audience; by default the endpoint's URL. */
  audience: string
  /** The service account that the subscription pushes as. */
  email: string
  /** Google's signing keys, by their id, as PEM. Absent: fetched from Google and kept as long as it says. */
  keys?: () => Promise<Record<string, string>>
}

const issuers = ['https://accounts.google.com', 'accounts.google.com']
/** A clock may be off by a minute; a token lives for an hour. */
const mostSeconds = 3600 + 60

/**
 * Make the check of a push's `Authorization` header. It resolves for a token that Google signed for this
 * audience and account, and rejects with `input_invalid` for any other: answer that with 401 or 403, which
 * acks nothing. It rejects with `source_failed` where the keys cannot be fetched: answer that with 503.
 */
export function createPushCheck(
  options: PushOptions,
): (header: string | undefined) => Promise<void> {
  const client = new OAuth2Client()
  const { audience, email } = options
  const keys =
    options.keys ?? (async () => (await client.getFederatedSignonCertsAsync()).certs as Keys)

  return async function checkPush(header) {
    const token = /^Bearer ([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(header ?? '')?.[1]
    if (token === undefined) throw refused('it carries no token')
    const certificates = await keys().catch((cause: unknown) => {
      throw new NightjarError(
        'source_failed',
        `Cannot check a push: Google's signing keys do not come: ${sentenceOf(cause)}`,
        { cause },
      )
    })
    const claims = await claimsOf(client, token, certificates, audience)
    if (claims?.email !== email) throw refused(`its account is "${claims?.email}", not "${email}"`)
    if (claims.email_verified !== true) throw refused(`its account "${email}" is not verified`)
  }
}

type Keys = Record<string, string>

async function claimsOf(client: OAuth2Client, token: string, keys: Keys, audience: string) {
  try {
    const ticket = await client.verifySignedJwtWithCertsAsync(
      token,
      keys,
      audience,
      issuers,
      mostSeconds,
    )
    return ticket.getPayload()
  } catch (cause) {
    // The library's sentence ends in the whole token, which is nobody's business.
    throw refused(sentenceOf(cause).split(/[:{]/)[0] ?? '', cause)
  }
}

function refused(why: string, cause?: unknown): NightjarError {
  return new NightjarError('input_invalid', `Cannot take a push: ${why}`, { cause })
}
