import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'

import type { GssapiSasl } from '../../../consumer/config.ts'
import { gssapiLogin } from '../../../consumer/kafka/gssapi.ts'
import {
  loadKerberos,
  type Kerberos,
  type KerberosClient,
} from '../../../consumer/kafka/kerberos.ts'
import { createTokens, oauthLogin } from '../../../consumer/kafka/oauth.ts'
import { saslMechanism, type Exchange } from '../../../consumer/kafka/sasl.ts'
import { scramLogin } from '../../../consumer/kafka/scram.ts'

/** A broker that answers from a list, and what it was sent. */
function brokerOf(...answers: (string | Uint8Array)[]): { exchange: Exchange; sent: string[] } {
  const sent: string[] = []
  return {
    sent,
    async exchange(token) {
      sent.push(Buffer.from(token).toString())
      const answer = answers.shift()
      if (answer === undefined) throw new Error('the broker has nothing more to say')
      return Buffer.from(answer)
    },
  }
}

const nonce = 'rOprNGfwEbeRWgbNEkqO'
const scram = (password = 'pencil') =>
  scramLogin({
    hash: 'sha256',
    username: 'user',
    password: async () => password,
    nonce: () => nonce,
  })
const first = `r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`
const last = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='

test('SCRAM says what RFC 7677 §3 shows', async () => {
  const broker = brokerOf(first, last)
  await scram()('', broker.exchange)
  assert.deepEqual(broker.sent, [
    `n,,n=user,r=${nonce}`,
    `c=biws,r=${nonce}%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,` +
      'p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  ])
})

test('SCRAM believes no broker that does not know the password, and does not work for it for ever', async () => {
  for (const [answers, why] of [
    [[first, 'v=AAAA'], /does not prove that it knows the password/],
    [[first, ''], /does not prove that it knows the password/],
    [[first, 'e=invalid-proof'], /the broker says "invalid-proof"/],
    [[first.replace(nonce, 'another')], /does not answer to our nonce/],
    [[`r=${nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`], /does not answer to our nonce/],
    [[first.replace('4096', '2000000000')], /it asks for 2000000000 iterations/],
    [[first.replace('4096', '1')], /it asks for 1 iterations, allowed are 4096 to/],
    [[first.replace(/,s=[^,]*/, '')], /it gives no salt/],
    [[''], /does not answer to our nonce/],
  ] as [string[], RegExp][]) {
    await assert.rejects(scram()('', brokerOf(...answers).exchange), {
      code: 'access_denied',
      message: why,
    })
  }
  const broker = brokerOf(first, last)
  await assert.rejects(scram('pencils')('', broker.exchange), { code: 'access_denied' })
})

test('OAUTHBEARER shows the token and hears a refusal to its end', async () => {
  const good = brokerOf('')
  await oauthLogin(async () => 'abc.def')('', good.exchange)
  assert.deepEqual(good.sent, ['n,,\x01auth=Bearer abc.def\x01\x01'])

  const bad = brokerOf('{"status":"invalid_token"}', '')
  await assert.rejects(oauthLogin(async () => 'abc')('', bad.exchange), {
    code: 'access_denied',
    message: /the broker refuses our token, ".*invalid_token.*"/,
  })
  assert.equal(bad.sent[1], '\x01')
  await assert.rejects(oauthLogin(async () => 'a\x01b')('', brokerOf('').exchange), {
    code: 'config_invalid',
  })
})

test('tokens are fetched once, again at 80 % of their life, and used to their end while none come', async () => {
  let answer: { status: number; body: string } = { status: 200, body: '' }
  const asked: string[] = []
  const server = createServer((request, response) => {
    asked.push(`${request.headers.authorization}`)
    response.writeHead(answer.status).end(answer.body)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  let now = 0
  const tokens = createTokens({
    tokenEndpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`,
    clientId: 'a b',
    secret: async () => 's:t',
    now: () => new Date(now),
  })
  const give = (token: string): void => {
    answer = { status: 200, body: JSON.stringify({ access_token: token, expires_in: 100 }) }
  }
  try {
    give('one')
    assert.deepEqual(await Promise.all([tokens(), tokens(), tokens()]), ['one', 'one', 'one'])
    assert.deepEqual(asked, [`Basic ${Buffer.from('a+b:s%3At').toString('base64')}`])
    give('two')
    now = 79_000
    assert.equal(await tokens(), 'one')
    now = 81_000
    assert.equal(await tokens(), 'two')
    answer = { status: 503, body: '<html>' }
    now = 81_000 + 90_000
    assert.equal(await tokens(), 'two')
    now = 81_000 + 101_000
    await assert.rejects(tokens(), { code: 'source_failed', message: /it answers 503/ })
    answer = { status: 200, body: '{}' }
    await assert.rejects(tokens(), { code: 'source_failed', message: /it gives no token/ })
    answer = { status: 400, body: '{"error":"invalid_scope","error_description":"no such"}' }
    await assert.rejects(tokens(), {
      code: 'access_denied',
      message: /it answers 400 \("invalid_scope: no such"\); see that client_id/,
    })
    answer = { status: 200, body: 'x'.repeat(100_000) }
    await assert.rejects(tokens(), { code: 'source_failed', message: /more than 65536 bytes/ })
  } finally {
    server.closeAllConnections()
    server.close()
  }
  await assert.rejects(tokens(), {
    code: 'source_failed',
    message: /^Cannot get a token from http/,
  })
})

const gssapi: GssapiSasl = { mechanism: 'gssapi', service: 'kafka', hosts: {} }

/** A library whose tokens are their own plain text. */
function libraryOf(steps: number, said: string[] = []): Kerberos {
  return {
    GSS_C_MUTUAL_FLAG: 2,
    GSS_C_REPLAY_FLAG: 4,
    GSS_C_SEQUENCE_FLAG: 8,
    GSS_C_INTEG_FLAG: 32,
    GSS_MECH_OID_KRB5: 9,
    async initializeClient(service, { flags, mechOID }) {
      said.push(`${service} ${flags} ${mechOID}`)
      let left = steps
      const client: KerberosClient = {
        contextComplete: false,
        async step(challenge) {
          client.contextComplete = left-- <= 0
          return client.contextComplete ? null : Buffer.from(`step${challenge}`).toString('base64')
        },
        unwrap: async (challenge) => challenge,
        async wrap(challenge, { user }) {
          said.push(`wrap ${Buffer.from(challenge, 'base64').toString('hex')} "${user}"`)
          return challenge
        },
      }
      return client
    },
  }
}

const login = (library: Kerberos, broker: { exchange: Exchange }) =>
  gssapiLogin(gssapi, { kerberos: () => library, krb5Env: {} })('broker', broker.exchange)

test('GSSAPI asks for mutual authentication and integrity, and takes no layer, no size, no name', async () => {
  const said: string[] = []
  const broker = brokerOf('proof', Uint8Array.of(7, 0, 0xff, 0xff), '')
  await login(libraryOf(1, said), broker)
  assert.deepEqual(said, ['kafka@broker 46 9', 'wrap 0100000000000000 ""'])
  assert.deepEqual(broker.sent.slice(0, 2), ['step', ''])
})

test('GSSAPI refuses brokers that leave out a step, insist on a layer, or never end', async () => {
  const layer = Uint8Array.of(6, 0, 0, 0)
  for (const [library, answers, why] of [
    [libraryOf(0), [], /the library completed without its proof of who it is/],
    [libraryOf(1), [''], /it does not prove who it is/],
    [libraryOf(1), ['proof', ''], /it offers nothing/],
    [libraryOf(1), ['proof', layer], /it insists on a security layer \(6\), which Kafka does not/],
    [libraryOf(1), ['proof', 'abc'], /its offer has 3 bytes, not 4/],
    [libraryOf(1), ['proof', 'abcdefgh'], /its offer has 8 bytes, not 4/],
    [libraryOf(99), Array<string>(99).fill('more'), /it is not done after 8 tokens/],
  ] as [Kerberos, string[], RegExp][]) {
    await assert.rejects(login(library, brokerOf(...answers)), {
      code: 'access_denied',
      message: why,
    })
  }
})

test('without the optional module, the sentence says how to build it', async () => {
  const missing = (): never => {
    throw Object.assign(new Error('Cannot find module'), { code: 'MODULE_NOT_FOUND' })
  }
  const unloadable = (): never => {
    throw new Error('libgssapi_krb5.so.2: cannot open shared object file')
  }
  assert.throws(() => loadKerberos(missing), {
    code: 'config_invalid',
    message:
      'Cannot use Kerberos: the optional module "kerberos" is not built; install libkrb5-dev ' +
      '(Debian; elsewhere krb5-devel), then run: npm rebuild kerberos, or npm install',
  })
  assert.throws(() => loadKerberos(unloadable), /libgssapi_krb5\.so\.2.*install libgssapi-krb5-2/)
})

test('a broker cannot make kafkajs wait, overrun, or end without a word', async () => {
  const world = { env: { P: 'x' }, now: () => new Date(), loginMs: 50 }
  const sasl = { mechanism: 'plain', username: 'u', password: { from: 'env', name: 'P' } } as const
  const { mechanism, authenticationProvider } = saslMechanism(sasl, world)
  assert.equal(mechanism, 'plain')
  const answered = (raw: Buffer | Promise<Buffer>) =>
    authenticationProvider({
      host: 'h',
      port: 1,
      logger: {} as never,
      saslAuthenticate: async ({ response }) =>
        response?.parse(await response.decode(await raw)) as never,
    }).authenticate()

  await answered(Buffer.from([0, 0, 0, 0]))
  await answered(Buffer.from([255, 255, 255, 255]))
  for (const raw of [Buffer.from([0, 0]), Buffer.from([0, 0, 0, 9, 1]), Buffer.alloc(70_000, 0)]) {
    await assert.rejects(answered(raw), { retriable: false, message: /answers with a token of/ })
  }
  await assert.rejects(answered(new Promise(() => {})), {
    name: 'KafkaJSConnectionError',
    retriable: true,
    message: 'Cannot log in: it takes more than 50 ms',
  })
})
