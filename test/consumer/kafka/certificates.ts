/** Certificates for tests, made by openssl: an authority, brokers for localhost, clients. */
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Authority {
  /** PEM of the authority's own certificate. */
  ca: string
  /** Make a certificate and its key; both as files, and both in one for Kafka's stores. */
  issue(name: string): { cert: string; key: string; both: string }
}

/** Make an authority in a folder. */
export function makeAuthority(folder: string, name: string): Authority {
  const at = (file: string): string => join(folder, `${name}-${file}`)
  const openssl = (...words: string[]): void => {
    execFileSync('openssl', words, { stdio: ['ignore', 'ignore', 'pipe'] })
  }
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  const ca = at('ca.pem')
  openssl(
    ...['req', '-x509', ...newKey, '-keyout', at('ca.key'), '-out', ca, '-days', '2'],
    ...['-subj', `/CN=${name} authority`],
  )
  return {
    ca,
    issue(subject) {
      const [key, request, cert, both] = ['key', 'csr', 'crt', 'both'].map((end) =>
        at(`${subject}.${end}`),
      ) as [string, string, string, string]
      const names = at(`${subject}.ext`)
      writeFileSync(names, 'subjectAltName = DNS:localhost, IP:127.0.0.1\n')
      openssl('req', ...newKey, '-keyout', key, '-out', request, '-subj', `/CN=${subject}`)
      openssl(
        ...['x509', '-req', '-in', request, '-CA', ca, '-CAkey', at('ca.key'), '-CAcreateserial'],
        ...['-out', cert, '-days', '2', '-extfile', names],
      )
      writeFileSync(both, readFileSync(key, 'utf8') + readFileSync(cert, 'utf8'))
      return { cert, key, both }
    },
  }
}
