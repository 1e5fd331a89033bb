import assert from 'node:assert/strict'
import { generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import type { PasswordSasl, Sasl, Tls } from '../../../consumer/config.ts'
import { kafkaClient } from '../../../consumer/kafka/client.ts'
import { refusalOf } from '../../../consumer/kafka/refusal.ts'
import type { Log } from '../../../core/log.ts'
import { skipWithoutKafka, startKafka, type Kafka } from './broker.ts'
import { makeAuthority, type Authority } from './certificates.ts'
import { addScramUsers } from './scram-user.ts'

const topic = 'lsst-alerts-v11'

test(
  'every other way in, against a real Kafka',
  { skip: skipWithoutKafka, timeout: 120_000 },
  async (t) => {
    let kafka: Kafka
    let ours: Authority
    let theirs: Authority
    let idp: TokenServer
    before(async () => {
      idp = await startTokenServer()
      const plain =
        'org.apache.kafka.common.security.plain.PlainLoginModule required user_pgb="s3cret";'
      const scramModule = 'org.apache.kafka.common.security.scram.ScramLoginModule required;'
      const oauth = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required;'
      const properties: Record<string, string> = {
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
        'ssl.keystore.type': 'PEM',
        'ssl.truststore.type': 'PEM',
        'listener.name.mutual.ssl.client.auth': 'required',
        // Its default validator looks at no signature, as a client would.
        'sasl.oauthbearer.jwt.validator.class':
          'org.apache.kafka.common.security.oauthbearer.BrokerJwtValidator',
        'sasl.oauthbearer.jwks.endpoint.url': `${idp.url}/jwks`,
        'sasl.oauthbearer.expected.audience': 'kafka',
        'sasl.oauthbearer.expected.issuer': idp.url,
        'listener.name.short.connections.max.reauth.ms': '11500',
      }
      for (const listener of ['secure', 'short']) {
        const name = `listener.name.${listener}`
        properties[`${name}.plain.sasl.jaas.config`] = plain
        properties[`${name}.scram-sha-256.sasl.jaas.config`] = scramModule
        properties[`${name}.scram-sha-512.sasl.jaas.config`] = scramModule
        properties[`${name}.oauthbearer.sasl.jaas.config`] = oauth
        properties[`${name}.oauthbearer.sasl.server.callback.handler.class`] =
          'org.apache.kafka.common.security.oauthbearer.OAuthBearerValidatorCallbackHandler'
      }
      kafka = await startKafka({
        listeners: {
          SECURE: { protocol: 'SASL_SSL', host: 'localhost' },
          SHORT: { protocol: 'SASL_PLAINTEXT', host: 'localhost' },
          MUTUAL: { protocol: 'SSL', host: 'localhost' },
        },
        properties,
        jvm: [`-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${idp.url}/jwks`],
        prepare(folder) {
          ours = makeAuthority(folder, 'ours')
          theirs = makeAuthority(folder, 'theirs')
          properties['ssl.keystore.location'] = ours.issue('broker').both
          properties['ssl.truststore.location'] = ours.ca
        },
      })
      await kafka.hand({ do: 'create', topic, partitions: 45 })
      const stream = { brokers: [`localhost:${kafka.portOf('SECURE')}`], tls: { ca: ours.ca } }
      const users = (['scram-sha-256', 'scram-sha-512'] as const).map((mechanism) => ({
        ...stream,
        sasl: scram(mechanism),
      }))
      await addScramUsers(kafka, users, 'pässword')
    })
    after(async () => {
      await kafka?.stop()
      await idp?.stop()
    })

    const said: string[] = []
    async function topics(listener: string, sasl?: Sasl, tls: Tls | null = { ca: ours.ca }) {
      const stream = {
        brokers: [`localhost:${kafka.portOf(listener)}`],
        ...(tls !== null && { tls }),
        ...(sasl !== undefined && { sasl }),
      }
      const log: Log = (...event) => said.push(JSON.stringify(event))
      const env = { PASSWORD: 'pässword', WRONG: 'n0t-it' }
      const admin = (await kafkaClient(stream, log, { env, retries: 0 })).admin()
      try {
        await admin.connect()
        return (await admin.listTopics()).filter((name) => !name.startsWith('__'))
      } finally {
        await admin.disconnect()
      }
    }
    async function refusal(...wanted: Parameters<typeof topics>): Promise<string> {
      let thrown: unknown
      await topics(...wanted).catch((error: unknown) => (thrown = error))
      const refused = refusalOf(thrown)
      assert(refused !== undefined, `not refused, but: ${String(thrown)}`)
      return refused.message
    }
    const scram = (
      mechanism: 'scram-sha-256' | 'scram-sha-512',
      name = 'PASSWORD',
    ): PasswordSasl => ({
      mechanism,
      username: 'pgb=idf,1',
      password: { from: 'env', name },
    })
    const oauth = (clientId = 'reader'): Sasl => ({
      mechanism: 'oauthbearer',
      tokenEndpoint: `${idp.url}/token`,
      clientId,
      clientSecret: { from: 'inline', value: 'se+c/r:et' },
      scope: 'gcn',
    })

    await t.test(
      'SCRAM-SHA-256 and SCRAM-SHA-512 over TLS, whatever is in name and password',
      async () => {
        for (const mechanism of ['scram-sha-256', 'scram-sha-512'] as const) {
          assert.deepEqual(await topics('SECURE', scram(mechanism)), [topic])
          assert.match(
            await refusal('SECURE', scram(mechanism, 'WRONG')),
            new RegExp(
              `Cannot log in to localhost:\\d+ by ${mechanism}: the broker refuses, ".*"; see that`,
            ),
          )
        }
      },
    )

    await t.test('PLAIN over TLS', async () => {
      const sasl = (value: string): Sasl => ({
        mechanism: 'plain',
        username: 'pgb',
        password: { from: 'inline', value },
      })
      assert.deepEqual(await topics('SECURE', sasl('s3cret')), [topic])
      assert.match(await refusal('SECURE', sasl('n0t-it')), /by plain: the broker refuses/)
    })

    await t.test(
      'OAUTHBEARER with tokens of an endpoint that the broker checks by its keys',
      async () => {
        assert.deepEqual(await topics('SECURE', oauth()), [topic])
        assert.equal(idp.asked.at(-1)?.['scope'], 'gcn')
      },
    )

    await t.test('OAUTHBEARER with a token from a file', async () => {
      const path = join(kafka.folder, 'token')
      writeFileSync(path, `${idp.tokenFor('reader', 'kafka')}\n`)
      const sasl: Sasl = { mechanism: 'oauthbearer', token: { from: 'file', path } }
      assert.deepEqual(await topics('SECURE', sasl), [topic])
      writeFileSync(path, idp.tokenFor('reader', 'another-audience'))
      // kafkajs alone takes this refusal for success.
      assert.match(
        await refusal('SECURE', sasl),
        /by OAuth: the broker refuses our token, ".*invalid_token/,
      )
    })

    await t.test('a client that the token endpoint does not know', async () => {
      assert.match(
        await refusal('SECURE', oauth('stranger')),
        /Cannot get a token from .*\/token: it answers 401 \("invalid_client"\); see that client_id/,
      )
    })

    await t.test(
      'the broker has tokens and passwords shown again while a connection stands',
      async () => {
        for (const sasl of [oauth(), scram('scram-sha-512')]) {
          const brokers = [`localhost:${kafka.portOf('SHORT')}`]
          const env = { PASSWORD: 'pässword' }
          const admin = (await kafkaClient({ brokers, sasl }, () => {}, { env })).admin()
          let logins = 0
          admin.on('admin.network.request', ({ payload }) => {
            if (payload.apiName === 'SaslHandshake') logins++
          })
          await admin.connect()
          for (const begun = performance.now(); performance.now() - begun < 3000;) {
            await admin.listTopics()
            await new Promise((resolve) => setTimeout(resolve, 100))
          }
          await admin.disconnect()
          assert.ok(logins >= 2, `${logins} logins`)
        }
      },
    )

    await t.test('a certificate of our own, where brokers ask for one', async () => {
      const client = ours.issue('client')
      const tls = { ca: ours.ca, cert: client.cert, key: client.key }
      assert.deepEqual(await topics('MUTUAL', undefined, tls), [topic])

      const foreign = theirs.issue('client')
      const wrong = { ca: ours.ca, cert: foreign.cert, key: foreign.key }
      assert.match(await refusal('MUTUAL', undefined, wrong), /refuses our TLS certificate/)
      assert.match(await refusal('MUTUAL'), /refuses our TLS certificate/)
    })

    await t.test('a broker that nobody we trust has vouched for', async () => {
      const sasl = scram('scram-sha-512')
      assert.match(
        await refusal('SECURE', sasl, { ca: theirs.ca }),
        /Cannot trust localhost:\d+: nobody we trust has signed its certificate; set tls\.ca/,
      )
      assert.match(await refusal('SECURE', sasl, {}), /nobody we trust has signed/)
      assert.match(
        await refusal('SECURE', sasl, { ca: ours.ca, serverName: 'kafka.example.org' }),
        /its certificate is for another host; set tls\.server_name/,
      )
    })

    await t.test('files of TLS that cannot be used are named before any connection', async () => {
      const { cert, key } = ours.issue('client')
      const other = theirs.issue('client')
      const none = join(kafka.folder, 'none.pem')
      const junk = join(kafka.folder, 'junk.pem')
      writeFileSync(junk, 'no certificate')
      chmodSync(junk, 0o600)
      for (const [tls, sentence] of [
        [{ ca: none }, /Cannot use TLS authorities ".*none\.pem": ENOENT/],
        [{ ca: junk }, /Cannot use TLS authorities ".*junk\.pem": it holds no certificate/],
        [{ cert: junk, key }, /Cannot use TLS certificate ".*junk\.pem": it holds no certificate/],
        [{ cert, key: junk }, /Cannot use TLS key ".*junk\.pem": /],
        [{ cert, key: other.key }, /Cannot use TLS key ".*": it is not the key of the certificate/],
      ] as [Tls, RegExp][]) {
        await assert.rejects(topics('MUTUAL', undefined, tls), {
          code: 'config_invalid',
          message: sentence,
        })
      }
    })

    await t.test('TLS asked of a port that does not speak it', async () => {
      const failure = await topics('PLAINTEXT', undefined, { ca: ours.ca }).then(
        () => assert.fail('it connected'),
        (error: unknown) => String(error),
      )
      assert.match(failure, /Connection|TLS/)
    })

    await t.test('nothing that was said has a secret in it', () => {
      assert.ok(said.length > 0)
      assert.doesNotMatch(said.join('\n'), /s3cret|n0t-it|pässword|se\+c|se%2Bc|eyJ/)
    })
  },
)

interface TokenServer {
  url: string
  asked: Record<string, string>[]
  tokenFor(subject: string, audience: string, seconds?: number): string
  stop(): Promise<void>
}

/** An issuer of tokens: RS256, client `reader` with one secret, keys as a JWKS. */
async function startTokenServer(): Promise<TokenServer> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const asked: Record<string, string>[] = []
  const server: Server = createServer((request, response) => {
    if (request.url === '/jwks') {
      const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'k', use: 'sig', alg: 'RS256' }
      response.end(JSON.stringify({ keys: [jwk] }))
      return
    }
    let body = ''
    request.on('data', (part: Buffer) => (body += part.toString()))
    request.on('end', () => {
      asked.push(Object.fromEntries(new URLSearchParams(body)))
      const basic = Buffer.from((request.headers.authorization ?? '').slice(6), 'base64')
      if (basic.toString() !== 'reader:se%2Bc%2Fr%3Aet') {
        response.writeHead(401).end('{"error":"invalid_client"}')
        return
      }
      const token = tokenFor('reader', 'kafka')
      response.end(JSON.stringify({ access_token: token, token_type: 'Bearer', expires_in: 60 }))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://localhost:${(server.address() as AddressInfo).port}`

  function tokenFor(subject: string, audience: string, seconds = 60): string {
    const now = Math.floor(Date.now() / 1000)
    const part = (value: unknown): string =>
      Buffer.from(JSON.stringify(value)).toString('base64url')
    const claims = {
      iss: url,
      sub: subject,
      aud: audience,
      iat: now,
      exp: now + seconds,
      scope: 'gcn',
    }
    const text = `${part({ alg: 'RS256', kid: 'k' })}.${part(claims)}`
    return `${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`
  }

  return {
    url,
    asked,
    tokenFor,
    async stop() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
