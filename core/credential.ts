/**
 * Who may speak to a gateway, and where to: one record for hpfeeds, and for whatever else asks for a
 * name and a secret. The secret is kept as it is, because hpfeeds proves it by a digest over a nonce.
 */
import { NightjarError } from './errors.ts'

export interface Credential {
  /** The person or project that answers for it. */
  owner: string
  ident: string
  secret: string
  /** Channels that it may publish to; names are exact, there are no wildcards. */
  publish: readonly string[]
  subscribe: readonly string[]
}

/** Somewhere that credentials are kept. It is asked at each connection, so changes count at once. */
export interface CredentialSource {
  /** What is known of an ident; `undefined` if nothing is. Rejects where that cannot be told. */
  find(ident: string): Promise<Credential | undefined>
  close(): void
}

/** Ask several sources in their order: the first that knows the ident is believed. */
export async function findCredential(
  sources: readonly CredentialSource[],
  ident: string,
): Promise<Credential | undefined> {
  for (const source of sources) {
    const found = await source.find(ident)
    if (found !== undefined) return found
  }
  return undefined
}

/** What hpfeeds takes for the name of an ident or a channel: 1 to 255 bytes of UTF-8. */
export function checkFeedName(what: 'ident' | 'channel', name: string): string {
  const bytes = Buffer.byteLength(name)
  if (bytes >= 1 && bytes <= 255 && name.isWellFormed()) return name
  throw new NightjarError(
    'input_invalid',
    `Cannot take ${what} "${name.slice(0, 80)}": it has ${bytes} bytes, 1 to 255 are allowed`,
  )
}
