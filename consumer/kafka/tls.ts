/** The files of a TLS connection, read and checked, so that a wrong one is named before any handshake. */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { ConnectionOptions } from 'node:tls'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Environment } from '../../core/settings.ts'
import type { Tls } from '../config.ts'
import { readSecret } from '../secret.ts'

/** Options for `tls.connect`. The brokers' certificates are always verified. Throws `config_invalid`. */
export async function tlsOptions(tls: Tls, env: Environment): Promise<ConnectionOptions> {
  const options: ConnectionOptions = { minVersion: 'TLSv1.2' }
  if (tls.serverName !== undefined) options.servername = tls.serverName
  if (tls.ca !== undefined) {
    const pem = await readPem('authorities', tls.ca)
    const authorities = certificatesIn(pem)
    if (authorities.length === 0) throw unusable('authorities', tls.ca, 'it holds no certificate')
    for (const one of authorities) parseCertificate('authorities', tls.ca, one)
    options.ca = pem
  }
  if (tls.cert !== undefined && tls.key !== undefined) {
    const pem = await readPem('certificate', tls.cert)
    const certificate = parseCertificate('certificate', tls.cert, certificatesIn(pem)[0])
    const passphrase =
      tls.passphrase === undefined ? undefined : await readSecret(tls.passphrase, env)
    const key = parseKey(tls.key, await readPem('key', tls.key), passphrase)
    if (!certificate.checkPrivateKey(key)) {
      throw unusable('key', tls.key, `it is not the key of the certificate "${tls.cert}"`)
    }
    options.cert = pem
    options.key = key.export({ type: 'pkcs8', format: 'pem' })
  }
  return options
}

const certificatesIn = (pem: string): string[] =>
  pem.match(/-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g) ?? []

async function readPem(what: string, path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (cause) {
    throw unusable(what, path, sentenceOf(cause), cause)
  }
}

function parseCertificate(what: string, path: string, pem: string | undefined): X509Certificate {
  if (pem === undefined) throw unusable(what, path, 'it holds no certificate')
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(pem)
  } catch (cause) {
    throw unusable(what, path, sentenceOf(cause), cause)
  }
  return certificate
}

function parseKey(path: string, pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) })
  } catch (cause) {
    const locked = /ENCRYPTED/.test(pem) && passphrase === undefined
    const why = locked ? 'it is encrypted, and tls.passphrase is not given' : sentenceOf(cause)
    throw unusable('key', path, why, cause)
  }
}

function unusable(what: string, path: string, why: string, cause?: unknown): NightjarError {
  return new NightjarError('config_invalid', `Cannot use TLS ${what} "${path}": ${why}`, { cause })
}
