/**
 * The published connector speaks to Pub/Sub by TLS and with credentials only, an emulator has neither. So
 * before the emulator stands an end of TLS, and a token endpoint that gives a token to anybody.
 */
import { execFileSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'

import { makeAuthority } from '../test/consumer/kafka/certificates.ts'

export interface Front {
  endpoint: string
  /** A service account's key file, valid here alone. */
  credentials: string
  /** Arguments by which a JVM trusts the front. */
  jvm: string[]
  close(): void
}

/** Stand before an emulator at `host:port`. */
export async function startFront(folder: string, emulator: string): Promise<Front> {
  const authority = makeAuthority(folder, 'front')
  const { cert, key } = authority.issue('front')
  const trust = join(folder, 'front.p12')
  execFileSync(
    'keytool',
    [
      ...['-importcert', '-noprompt', '-alias', 'front', '-file', authority.ca],
      ...['-keystore', trust, '-storetype', 'PKCS12', '-storepass', 'nightjar'],
    ],
    { stdio: 'ignore' },
  )
  const [host = '', port = ''] = emulator.split(':')
  const tls = createTlsServer(
    { cert: readFileSync(cert), key: readFileSync(key), ALPNProtocols: ['h2'] },
    (socket) => {
      const behind = connect(Number(port), host)
      socket.pipe(behind).pipe(socket)
      socket.on('error', () => behind.destroy())
      behind.on('error', () => socket.destroy())
    },
  )
  const tokens = createServer((_, answer) => {
    answer.setHeader('content-type', 'application/json')
    answer.end(JSON.stringify({ access_token: 'bench', token_type: 'Bearer', expires_in: 3600 }))
  })
  for (const server of [tls, tokens]) {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  }
  const portOf = (server: typeof tls | typeof tokens): number =>
    (server.address() as AddressInfo).port
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const credentials = join(folder, 'credentials.json')
  writeFileSync(
    credentials,
    JSON.stringify({
      type: 'service_account',
      project_id: 'bench',
      private_key_id: '1',
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      client_email: 'bench@bench.iam.gserviceaccount.com',
      client_id: '1',
      token_uri: `http://127.0.0.1:${portOf(tokens)}/token`,
    }),
  )
  return {
    endpoint: `localhost:${portOf(tls)}`,
    credentials,
    jvm: [`-Djavax.net.ssl.trustStore=${trust}`, '-Djavax.net.ssl.trustStorePassword=nightjar'],
    close() {
      tls.close()
      tokens.close()
    },
  }
}
