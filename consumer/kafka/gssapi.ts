/**
 * GSSAPI (RFC 4752): Kerberos for kafkajs, with tickets fetched from a keytab by the library itself.
 * `kerberos.ts` has the library; this is the exchange.
 *
 *      us                                      broker
 *      AP-REQ: our ticket for this broker  →
 *                                          ←   AP-REP: proof that it has the broker's key
 *      empty: our context is complete      →
 *                                          ←   wrapped: which security layers it offers, and a size
 *      wrapped: no layer, 0, no name       →
 *                                          ←   empty: we are in
 */
import { NightjarError } from '../../core/errors.ts'
import type { GssapiSasl } from '../config.ts'
import {
  kerberosFault,
  loadKerberos,
  prepareKerberos,
  type Kerberos,
  type KerberosClient,
  type Ticket,
} from './kerberos.ts'
import type { Exchange, Login } from './sasl.ts'

export interface GssapiWorld {
  /** Answers the library; a test may give one that is missing. */
  kerberos?: () => Kerberos
  /** The environment that the library reads, which is the process's own. */
  krb5Env?: Record<string, string | undefined>
}

/** The bit of "no security layer" in the first byte of an offer (RFC 4752 §3.3). */
const noLayer = 1

/** Kerberos needs two tokens; more than this is a broker that plays with us. */
const mostTokens = 8

/** Make the login. The module and the keytab are looked at when it is used, not before. */
export function gssapiLogin(options: GssapiSasl, world: GssapiWorld = {}): Login {
  const { kerberos = () => loadKerberos(), krb5Env = process.env } = world

  return async function login(host, exchange) {
    const library = kerberos()
    const principal = await prepareKerberos(options, krb5Env)
    // A broker's principal has the name that it tells clients, not the one it was first reached by.
    const service = `${options.service}@${options.hosts[host] ?? host}`
    const ticket: Ticket = {
      service: service.replace('@', '/'),
      ...(principal !== undefined && { principal }),
      ...(options.keytab !== undefined && { keytab: options.keytab }),
    }
    const client = await openClient(library, service, ticket)
    const wrappedOffer = await establish(client, exchange, ticket)
    await declineLayers(client, exchange, wrappedOffer, ticket)
  }
}

async function openClient(
  library: Kerberos,
  service: string,
  ticket: Ticket,
): Promise<KerberosClient> {
  // RFC 4752 §3.1 demands integrity, for the offer of layers is protected by it; mutual authentication
  // is ours: without it anybody who can answer in the broker's place is the broker. The module reads
  // `flags`; the name in its type declarations, `gssFlag`, does nothing.
  const flags =
    library.GSS_C_MUTUAL_FLAG |
    library.GSS_C_INTEG_FLAG |
    library.GSS_C_REPLAY_FLAG |
    library.GSS_C_SEQUENCE_FLAG
  return asking(ticket, () =>
    library.initializeClient(service, {
      flags,
      mechOID: library.GSS_MECH_OID_KRB5,
      ...(ticket.principal !== undefined && { principal: ticket.principal }),
    }),
  )
}

/** Make the context of both sides; answers what the broker says after it, which is its offer. */
async function establish(
  client: KerberosClient,
  exchange: Exchange,
  ticket: Ticket,
): Promise<Buffer> {
  let token = await asking(ticket, () => client.step(''))
  for (let sent = 1; !client.contextComplete; sent++) {
    if (sent > mostTokens) throw refused(ticket, `it is not done after ${mostTokens} tokens`)
    const answer = await exchange(fromBase64(token))
    if (answer.length === 0) throw refused(ticket, 'it does not prove who it is')
    token = await asking(ticket, () => client.step(answer.toString('base64')))
    // The first step cannot complete: with mutual authentication only the broker's proof does that.
    if (client.contextComplete) return exchange(fromBase64(token))
  }
  throw refused(ticket, 'the library completed without its proof of who it is')
}

/** Read the offer, and answer that Kafka's own bytes follow as they are. */
async function declineLayers(
  client: KerberosClient,
  exchange: Exchange,
  wrapped: Buffer,
  ticket: Ticket,
): Promise<void> {
  if (wrapped.length === 0) throw refused(ticket, 'it offers nothing, not even no security layer')
  const offer = fromBase64(await asking(ticket, () => client.unwrap(wrapped.toString('base64'))))
  // Whether the three bytes of the size are zero is not looked at: Java's brokers offer 01 00 ff ff.
  const [layers] = offer
  if (offer.length !== 4 || layers === undefined) {
    throw refused(ticket, `its offer has ${offer.length} bytes, not 4`)
  }
  if ((layers & noLayer) === 0) {
    throw refused(ticket, `it insists on a security layer (${layers}), which Kafka does not have`)
  }
  // No layer, and so a size of 0; and no name, which stands for the ticket's own. The four bytes more
  // are never sent: the module reads eight where four are meant.
  const choice = Buffer.from([noLayer, 0, 0, 0, 0, 0, 0, 0]).toString('base64')
  const answer = await asking(ticket, () => client.wrap(choice, { user: '' }))
  await exchange(fromBase64(answer))
}

/** Ask the library, and say its complaints in our words. */
async function asking<T>(ticket: Ticket, question: () => Promise<T>): Promise<T> {
  try {
    return await question()
  } catch (error) {
    throw kerberosFault(error, ticket)
  }
}

/** The library gives null where it has nothing to say. */
const fromBase64 = (token: string | null): Buffer => Buffer.from(token ?? '', 'base64')

const refused = ({ service }: Ticket, why: string): NightjarError =>
  new NightjarError('access_denied', `Cannot log in to ${service} by Kerberos: ${why}`)
