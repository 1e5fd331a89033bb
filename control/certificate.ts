/** The certificate that a server shows, and how long it is good for. */
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { connect } from 'node:tls'

import { NightjarError, sentenceOf } from '../core/errors.ts'

export interface ShownCertificate {
  certificate: X509Certificate
  /** Why a client would not believe it; undefined where it would. */
  distrusted: string | undefined
}

export interface FetchOptions {
  host: string
  port: number
  /** Authorities in PEM that are believed beside the usual ones. */
  authorities?: readonly string[]
  timeoutMs: number
}

/** Ask a server for its certificate, by its name (SNI). Rejects with `source_failed`. */
export function fetchCertificate(options: FetchOptions): Promise<ShownCertificate> {
  const { host, port, authorities, timeoutMs } = options
  return new Promise((resolve, reject) => {
    const socket = connect({
      ...{ host, port },
      // Even one that nobody would believe has a date.
      rejectUnauthorized: false,
      ...(isIP(host) === 0 && { servername: host }),
      ...(authorities !== undefined && { ca: [...authorities] }),
    })
    const timer = setTimeout(() => fail(new Error(`no answer in ${timeoutMs / 1000} s`)), timeoutMs)
    function fail(cause: unknown): void {
      clearTimeout(timer)
      socket.destroy()
      const where = `${host.includes(':') ? `[${host}]` : host}:${port}`
      const why = sentenceOf(cause) || 'refused'
      reject(
        new NightjarError('source_failed', `Cannot load a certificate from "${where}": ${why}`, {
          cause,
        }),
      )
    }
    socket.once('error', fail)
    socket.once('secureConnect', () => {
      clearTimeout(timer)
      const certificate = socket.getPeerX509Certificate()
      if (certificate === undefined) return fail(new Error('it shows none'))
      // Where several things are wrong, the connection tells of one, and not always of the name.
      const isOfHost =
        (isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host)) !== undefined
      const { authorized, authorizationError } = socket
      const distrusted = !isOfHost
        ? `it is not made out to ${host}`
        : authorized
          ? undefined
          : wordsOf(authorizationError)
      socket.destroy()
      resolve({ certificate, distrusted })
    })
  })
}

/** What OpenSSL says, DEPTH_ZERO_SELF_SIGNED_CERT, in words. */
const wordsOf = (fault: unknown): string => sentenceOf(fault).toLowerCase().replaceAll('_', ' ')

export interface CertificateVerdict {
  notBefore: Date
  notAfter: Date
  /** Until it ends; negative where it has ended. */
  daysLeft: number
  /** More days are left than the limit, and it has begun. */
  isGood: boolean
}

const dayMs = 86_400_000

/** Judge a certificate by its dates: exactly so many days as the limit are too few. */
export function judgeCertificate(
  { validFromDate, validToDate }: Pick<X509Certificate, 'validFromDate' | 'validToDate'>,
  { now, limitDays }: { now: Date; limitDays: number },
): CertificateVerdict {
  const daysLeft = (validToDate.getTime() - now.getTime()) / dayMs
  const isGood = daysLeft > limitDays && validFromDate <= now
  return { notBefore: validFromDate, notAfter: validToDate, daysLeft, isGood }
}

const fieldNames: Readonly<Record<string, string>> = {
  CN: 'common-name',
  O: 'organization',
  OU: 'organizational-unit',
  C: 'country',
  ST: 'state',
  L: 'locality',
  emailAddress: 'email-address',
}

/** The fields of a subject or an issuer, by names in full. */
export function nameFields(text: string): [name: string, value: string][] {
  return text.split('\n').flatMap((line): [string, string][] => {
    const equals = line.indexOf('=')
    const key = line.slice(0, equals)
    return equals < 1 ? [] : [[fieldNames[key] ?? key, line.slice(equals + 1)]]
  })
}
