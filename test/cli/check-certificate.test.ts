import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer as createPlainServer, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { createServer } from 'node:tls'

import { judgeCertificate } from '../../control/certificate.ts'
import { temporaryFolder } from '../local/home.ts'
import { runHere } from '../night/harness.ts'

const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-sha256']

suite('E18: check-certificate', () => {
  const folder = temporaryFolder()
  const path = (name: string): string => join(folder.path, name)
  const servers: Server[] = []

  function openssl(...words: string[]): void {
    execFileSync('openssl', words, { cwd: folder.path, stdio: ['ignore', 'ignore', 'pipe'] })
  }

  /** A server with a certificate for so many days from now, made out to a name. */
  async function serve(days: number, name: string, selfSigned = false): Promise<string> {
    writeFileSync(path('names'), `subjectAltName=DNS:${name}`)
    const subject = `/C=US/O=Nightjar\ttests/CN=${name}`
    if (selfSigned) {
      const own = ['-x509', '-addext', `subjectAltName=DNS:${name}`, '-out', 'cert.pem']
      openssl('req', ...curve, ...own, '-days', String(days), '-keyout', 'key', '-subj', subject)
    } else {
      openssl('req', ...curve, '-keyout', 'key', '-out', 'request', '-subj', subject)
      const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
      const made = ['-in', 'request', '-out', 'cert.pem', '-extfile', 'names']
      openssl('x509', '-req', ...authority, ...made, '-days', String(days))
    }
    const pem = { key: readFileSync(path('key')), cert: readFileSync(path('cert.pem')) }
    const server = createServer(pem).listen(0, 'localhost')
    servers.push(server)
    await once(server, 'listening')
    return `localhost:${(server.address() as AddressInfo).port}`
  }

  const check = (...words: string[]) => runHere(['check-certificate', ...words])

  before(() => {
    openssl(
      ...['req', '-x509', ...curve, '-days', '400', '-subj', '/CN=Test authority'],
      ...['-keyout', 'ca.key', '-out', 'ca.pem'],
    )
  })
  after(() => {
    for (const server of servers) server.close()
    folder.remove()
  })

  test('E18: one of 90 days is good, and said with all its fields', async () => {
    const domain = await serve(90, 'localhost')
    const trusted = await check('--ca', path('ca.pem'), '--trusted', domain)
    assert.deepEqual(trusted, { out: '', err: '', status: 0 })
    const { out, status } = await check('--info', domain)
    assert.equal(status, 0)
    const time = /\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d UTC/.source
    assert.match(
      out,
      new RegExp(
        `^domain: localhost\nnot-before: ${time}\nnot-after: ${time}\ndays-left: (90.0|89.9|89.8)\n` +
          'issuer-common-name: Test authority\nsubject-country: US\n' +
          'subject-organization: Nightjar.*tests\nsubject-common-name: localhost\n$',
      ),
    )
    const facts = JSON.parse((await check('--json', domain)).out) as Record<string, unknown>
    assert.equal(facts['good'], true)
    assert.equal(facts['names'], 'DNS:localhost')
  })

  test('E18: the limit is 14 days, or what --limit says', async () => {
    const domain = await serve(10, 'localhost')
    const soon = await check(domain)
    assert.match(soon.err, /the certificate ends in (10.0|9.9) days, on 20/)
    assert.equal(soon.status, 1)
    assert.equal((await check('--limit', '9', domain)).status, 0)
    assert.equal((await check('--limit', '1w', domain)).status, 0)
    assert.equal((await check('--limit', '2w', domain)).status, 1)
    assert.equal((await check('--limit', '60', domain)).status, 1)
    for (const limit of ['0', '400', 'x', '-3', '1y2']) {
      const { err, status } = await check(`--limit=${limit}`, domain)
      assert.match(err, /it must be days from 1 to 366/)
      assert.equal(status, 2)
    }
  })

  test('E18: exactly as many days as the limit are too few', () => {
    const now = new Date('2026-11-21T00:00:00Z')
    const judge = (validToDate: string, validFromDate = '2026-01-01T00:00:00Z') =>
      judgeCertificate(
        { validFromDate: new Date(validFromDate), validToDate: new Date(validToDate) },
        { now, limitDays: 14 },
      )
    assert.equal(judge('2026-12-05T00:00:00Z').isGood, false)
    assert.equal(judge('2026-12-05T00:00:01Z').isGood, true)
    assert.equal(judge('2027-12-05T00:00:00Z', '2026-11-22T00:00:00Z').isGood, false)
  })

  test('E18: one that has ended is no good', async () => {
    const { err, status } = await check('--limit', '1', await serve(-1, 'localhost'))
    assert.match(err, /localhost: the certificate ended on 20\d\d\//)
    assert.equal(status, 1)
  })

  test('E18: another name and an unknown signature count with --trusted alone', async () => {
    const other = await serve(90, 'elsewhere.example.org')
    const named = await check('--ca', path('ca.pem'), other)
    assert.match(named.err, /a client would refuse it: it is not made out to localhost/)
    assert.equal(named.status, 0)
    assert.equal((await check('--ca', path('ca.pem'), '--trusted', other)).status, 1)
    const own = await serve(90, 'localhost', true)
    const signed = await check(own)
    assert.match(signed.err, /a client would refuse it: depth zero self signed cert/)
    assert.equal(signed.status, 0)
    assert.equal((await check('--trusted', own)).status, 1)
  })

  test('E18: where no certificate can be loaded the status is 1', async () => {
    const silent = createPlainServer((socket) =>
      socket.resume().end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    )
    silent.listen(0, 'localhost')
    await once(silent, 'listening')
    const { port } = silent.address() as AddressInfo
    const plain = await check(`localhost:${port}`)
    assert.match(plain.err, /Cannot load a certificate from "localhost:\d+"/)
    assert.equal(plain.status, 1)
    silent.close()
    await once(silent, 'close')
    const nobody = await check(`localhost:${port}`)
    assert.match(nobody.err, /Cannot load a certificate from ".*": \S/)
    assert.equal(nobody.status, 1)
    assert.equal((await check('unix:/tmp/x')).status, 2)
    assert.equal((await check('--ca', path('none'), `localhost:${port}`)).status, 2)
  })
})
