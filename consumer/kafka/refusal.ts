/** Why a cluster does not let us in, found in what kafkajs threw. */
import { NightjarError, sentenceOf } from '../../core/errors.ts'

/** TLS faults of Node that no second attempt mends, and what to do. */
const tlsFaults: Readonly<Record<string, string>> = {
  SELF_SIGNED_CERT_IN_CHAIN: 'nobody we trust has signed its certificate; set tls.ca',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it has signed its certificate itself; set tls.ca to it',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'nobody we trust has signed its certificate; set tls.ca',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'nobody we trust has signed its certificate; set tls.ca',
  CERT_HAS_EXPIRED: 'its certificate has expired; tell the stream, and see this clock',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; see this clock',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host; set tls.server_name',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not speak TLS on this port; leave tls out',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'it does not speak TLS on this port; leave tls out',
}

/**
 * The reason why trying again cannot help, deep in what kafkajs threw: a login refused, or a broker whose
 * certificate does not convince. Undefined where it may help.
 */
export function refusalOf(error: unknown): NightjarError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; depth++) {
    if (at instanceof NightjarError) return at.code === 'source_failed' ? undefined : at
    const code = 'code' in at ? String(at.code) : ''
    const broker = 'broker' in at ? String(at.broker) : 'the broker'
    const why = tlsFaults[code]
    if (why !== undefined) return denied(`Cannot trust ${broker}: ${why}`, at)
    // An alert: the broker does not take our certificate, or asks for one.
    if (/^ERR_SSL_.*ALERT/.test(code)) {
      const said = sentenceOf(at).split(':').at(-2) ?? code
      return denied(
        `Cannot connect to ${broker}: it refuses our TLS certificate, "${said}"; see tls.cert and tls.key`,
        at,
      )
    }
    if ('type' in at && at.type === 'UNSUPPORTED_SASL_MECHANISM') {
      return denied('Cannot log in: the broker does not know this sasl.mechanism', at)
    }
    at = at.cause
  }
  return undefined
}

/** What kafkajs throws where no broker answers: refused, unknown, silent, closed. */
const unanswered = /^KafkaJSConnection(Closed)?Error$|^KafkaJSRequestTimeoutError$/

/**
 * The one sentence where no broker of a list answers; undefined where the fault is another. Trying again may
 * help, so it is a `source_failed`.
 */
export function unreachable(error: unknown, brokers: readonly string[]): NightjarError | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 8; at = at.cause, depth++) {
    if (!unanswered.test(at.name)) continue
    const said = sentenceOf(at).replace(/^Connection error: /, '')
    return new NightjarError(
      'source_failed',
      `Cannot reach Kafka at ${brokers.join(', ')}: ${said}; check that these are its brokers, that it ` +
        'runs, and that this machine may connect to these ports',
      { cause: error },
    )
  }
  return undefined
}

const denied = (sentence: string, cause: unknown): NightjarError =>
  new NightjarError('access_denied', sentence, { cause })
