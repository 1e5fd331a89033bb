/** A real SMTP server with STARTTLS and logins, which keeps what it is sent. */
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

import { makeAuthority } from '../consumer/kafka/certificates.ts'

export interface Letter {
  from: string
  to: string[]
  user: string
  /** It came over TLS. */
  secure: boolean
  /** Headers and text as they came. */
  raw: string
}

export interface MailServer {
  port: number
  /** PEM file of who vouches for it. */
  ca: string
  letters: Letter[]
  /** Logins that were refused. */
  refused: number
  close(): Promise<void>
}

export const mailLogin = { user: 'nightjar', password: 'hush & hush' }

/** Start one on a port of its own, or on one that is given. */
export async function startMailServer(
  options: { port?: number } & SMTPServerOptions = {},
): Promise<MailServer> {
  const { port = 0, ...more } = options
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-mail-'))
  const authority = makeAuthority(folder, 'mail')
  const { cert, key } = authority.issue('localhost')
  const letters: Letter[] = []
  const server = new SMTPServer({
    ...{ key: readFileSync(key), cert: readFileSync(cert), logger: false },
    // What cannot be said over TLS is not to be said.
    authOptional: false,
    onAuth({ username = '', password }, _session, done) {
      if (username === mailLogin.user && password === mailLogin.password) {
        return done(null, { user: username })
      }
      found.refused++
      done(new Error('Invalid username or password'))
    },
    onData(stream, { envelope, user, secure }, done) {
      let raw = ''
      stream.on('data', (bytes: Buffer) => (raw += bytes.toString()))
      stream.on('end', () => {
        const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address
        const to = envelope.rcptTo.map(({ address }) => address)
        letters.push({ from, to, user: String(user), secure, raw })
        done()
      })
    },
    ...more,
  })
  server.on('error', () => {})
  const listening = server.listen(port, '127.0.0.1')
  await once(listening, 'listening')
  const found: MailServer = {
    port: (listening.address() as AddressInfo).port,
    ca: authority.ca,
    letters,
    refused: 0,
    async close() {
      await new Promise<void>((resolve) => server.close(() => resolve()))
      rmSync(folder, { recursive: true })
    },
  }
  return found
}
