import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import { openChannels } from '../../cli/notify.ts'
import type { Channel, Notice } from '../../conductor/notices.ts'
import { defaultRules } from '../../conductor/rules.ts'
import type { MailSettings } from '../../conductor/settings.ts'
import { freePorts } from '../consumer/kafka/broker.ts'
import { mailLogin, startMailServer, type MailServer } from './smtp-server.ts'

const notice: Notice = {
  survey: 'ztf',
  night: '20261121',
  key: 'incomplete',
  at: '2026-11-21T16:00:00.000Z',
  subject: 'Nightjar: ztf 20261121: incomplete',
  text: 'archive lacks ztf_20261121_programid1[3]@12–15, χ² and all\n.\na dot alone ends no letter',
}
const id = 'conductor/notices/ztf_20261121/1-incomplete.json'

const settings = { rules: defaultRules, summary: false }

function mailTo({ port, ca }: MailServer, more: Partial<MailSettings> = {}): Channel {
  const mail: MailSettings = {
    ...{ host: '127.0.0.1', port, ca, tls: 'starttls' },
    from: 'night@example.org',
    to: ['one@example.org', 'two@example.org'],
    login: { username: mailLogin.user, password: { from: 'env', name: 'MAIL' } },
    ...more,
  }
  const [channel] = openChannels({ ...settings, mail }, { MAIL: mailLogin.password, WRONG: 'no' })
  assert.ok(channel)
  return channel
}

test('a notice goes by STARTTLS, with a login, to each address, whole', async () => {
  const server = await startMailServer()
  try {
    const channel = mailTo(server)
    await channel.send(notice, id)
    await channel.send(notice, id)
    const [letter, again] = server.letters
    assert.ok(letter && again)
    const { raw, ...envelope } = letter
    assert.deepEqual(envelope, {
      from: 'night@example.org',
      to: ['one@example.org', 'two@example.org'],
      user: 'nightjar',
      secure: true,
    })
    assert.match(raw, /^Subject: Nightjar: ztf 20261121: incomplete\r$/m)
    assert.match(raw, /^Auto-Submitted: auto-generated\r$/m)
    assert.match(raw, /^Date: Sat, 21 Nov 2026 16:00:00 \+0000\r$/m)
    const body = raw.slice(raw.indexOf('\r\n\r\n') + 4)
    const text = /^content-transfer-encoding: base64/im.test(raw)
      ? Buffer.from(body, 'base64').toString()
      : decodeQuoted(body)
    assert.equal(text.replaceAll('\r\n', '\n').trimEnd(), notice.text)
    const named = ({ raw: one }: { raw: string }) =>
      /^Message-ID: (<[0-9a-f]{32}@nightjar>)/im.exec(one)?.[1]
    assert.ok(named(letter))
    assert.equal(named(letter), named(again), 'a repetition can be told')
  } finally {
    await server.close()
  }
})

test('no password goes to a server that offers no TLS or shows another certificate', async () => {
  const plain = await startMailServer({ disabledCommands: ['STARTTLS'], allowInsecureAuth: true })
  const other = await startMailServer()
  try {
    await assert.rejects(
      mailTo(plain).send(notice, id),
      /^NightjarError: Cannot mail a notice: 127\.0\.0\.1:\d+: .*STARTTLS/,
    )
    await assert.rejects(mailTo(other, { ca: plain.ca }).send(notice, id), /certificate/)
    assert.equal(plain.letters.length + other.letters.length + plain.refused + other.refused, 0)
  } finally {
    await plain.close()
    await other.close()
  }
})

test('a wrong password, a refused address and a server that is down are said without the secret', async () => {
  const server = await startMailServer({
    onRcptTo({ address }, _session, done) {
      done(address.startsWith('two@') ? new Error('no such user') : null)
    },
  })
  const [port = 0] = await freePorts(1)
  try {
    const login = { username: mailLogin.user, password: { from: 'env', name: 'WRONG' } } as const
    await assert.rejects(mailTo(server, { login }).send(notice, id), /Invalid username or password/)
    assert.equal(server.refused, 1)
    await assert.rejects(
      mailTo(server, { to: ['two@example.org'] }).send(notice, id),
      /no such user/,
    )
    await assert.rejects(mailTo(server, { port }).send(notice, id), /ECONNREFUSED/)
    assert.equal(server.letters.length, 0)
  } finally {
    await server.close()
  }
})

test('a webhook is posted JSON with text; its address stands in no sentence', async () => {
  const bodies: unknown[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (text: string) => (body += text))
    request.on('end', () => {
      bodies.push(JSON.parse(body))
      response.writeHead(request.url === '/moved' ? 302 : request.url === '/hush' ? 200 : 503, {
        location: '/hush',
      })
      response.end('ok')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const hook = (url: string): Channel => {
    const [channel] = openChannels({ ...settings, webhook: { from: 'inline', value: url } }, {})
    assert.ok(channel)
    return channel
  }
  try {
    await hook(`http://127.0.0.1:${port}/hush`).send(notice, id)
    const { text, survey, night, key } = notice
    assert.deepEqual(bodies, [{ text, survey, night, key }])
    for (const url of [
      `http://127.0.0.1:${port}/secret`,
      `http://127.0.0.1:${port}/moved`,
      'http://127.0.0.1:1/secret',
      'secret',
    ]) {
      await assert.rejects(hook(url).send(notice, id), ({ message }: Error) => {
        assert.doesNotMatch(message, /secret|hush/)
        return true
      })
    }
  } finally {
    server.closeAllConnections()
    server.close()
  }
})

/** Quoted-printable (RFC 2045, 6.7) as text. */
function decodeQuoted(text: string): string {
  const bytes = text
    .replaceAll('=\r\n', '')
    .replaceAll(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
