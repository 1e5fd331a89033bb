import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, afterEach, before, test } from 'node:test'

import type { GssapiSasl } from '../../../consumer/config.ts'
import { kafkaClient } from '../../../consumer/kafka/client.ts'
import { refusalOf } from '../../../consumer/kafka/refusal.ts'
import { skipWithoutKafka, startKafka, type Kafka } from './broker.ts'
import { skipWithoutKdc, startKdc, type Kdc } from './kdc.ts'

const skip = skipWithoutKafka || skipWithoutKdc

test('Kerberos against a real KDC and a real Kafka', { skip, timeout: 120_000 }, async (t) => {
  let kdc: Kdc
  let kafka: Kafka
  let keytab: string
  const topic = 'ztf_20261121_programid1'
  const principal = 'pitt-reader@KAFKA.SECURE'

  before(async () => {
    kdc = await startKdc()
    keytab = kdc.keytabOf('pitt-reader')
    const brokers = kdc.keytabOf('kafka/localhost')
    const jaas =
      'com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true ' +
      `keyTab="${brokers}" principal="kafka/localhost@KAFKA.SECURE";`
    kafka = await startKafka({
      listeners: {
        KRB: { protocol: 'SASL_PLAINTEXT', host: 'localhost' },
        NUMBER: { protocol: 'SASL_PLAINTEXT', host: '127.0.0.1' },
        SHORT: { protocol: 'SASL_PLAINTEXT', host: 'localhost' },
      },
      properties: {
        'sasl.enabled.mechanisms': 'GSSAPI',
        'sasl.kerberos.service.name': 'kafka',
        'listener.name.krb.gssapi.sasl.jaas.config': jaas,
        'listener.name.number.gssapi.sasl.jaas.config': jaas,
        'listener.name.short.gssapi.sasl.jaas.config': jaas,
        'listener.name.short.connections.max.reauth.ms': '11500',
      },
      jvm: [`-Djava.security.krb5.conf=${kdc.krb5Config}`],
    })
    await kafka.hand({ do: 'create', topic, partitions: 3 })
  })
  after(async () => {
    await kafka?.stop()
    await kdc?.stop()
  })
  // The library is told by the environment, and a process has one keytab: each test begins anew.
  afterEach(() => {
    for (const name of ['KRB5_CLIENT_KTNAME', 'KRB5CCNAME', 'KRB5_CONFIG']) delete process.env[name]
  })

  const sasl = (more: Partial<GssapiSasl> = {}): GssapiSasl => ({
    mechanism: 'gssapi',
    service: 'kafka',
    keytab,
    krb5Config: kdc.krb5Config,
    hosts: {},
    ...more,
  })

  async function topics(
    options: GssapiSasl,
    brokers = [`localhost:${kafka.portOf('KRB')}`],
  ): Promise<string[]> {
    const client = await kafkaClient({ brokers, sasl: options }, () => {}, { retries: 1 })
    const admin = client.admin()
    try {
      await admin.connect()
      return (await admin.listTopics()).filter((name) => !name.startsWith('__'))
    } finally {
      await admin.disconnect()
    }
  }

  async function refusal(options: GssapiSasl): Promise<string> {
    let thrown: unknown
    await topics(options).catch((error: unknown) => (thrown = error))
    const refused = refusalOf(thrown)
    assert(refused !== undefined, `not refused, but: ${String(thrown)}`)
    return refused.message
  }

  await t.test('a keytab is enough: no kinit, no ticket cache on disk', async () => {
    assert.deepEqual(await topics(sasl({ principal })), [topic])
    assert.equal(process.env['KRB5CCNAME'], `MEMORY:nightjar ${principal}`)
  })

  await t.test('the only principal of a keytab need not be named', async () => {
    assert.deepEqual(await topics(sasl()), [topic])
  })

  await t.test('a consumer reads through it', async () => {
    await kafka.hand({ do: 'produce', topic, records: [{ base64: 'YWxlcnQ=' }] })
    const brokers = [`localhost:${kafka.portOf('KRB')}`]
    const client = await kafkaClient({ brokers, sasl: sasl({ principal }) }, () => {})
    const consumer = client.consumer({ groupId: 'g', allowAutoTopicCreation: false })
    await consumer.connect()
    await consumer.subscribe({ topics: [topic], fromBeginning: true })
    const value = await new Promise<string | undefined>((resolve, reject) => {
      consumer.run({ eachMessage: async ({ message }) => resolve(message.value?.toString()) })
      setTimeout(() => reject(new Error('no record in 20 s')), 20_000).unref()
    })
    await consumer.disconnect()
    assert.equal(value, 'alert')
  })

  await t.test(
    'without a keytab, the tickets that kinit left are used, until they expire',
    async () => {
      process.env['KRB5_CONFIG'] = kdc.krb5Config
      const cache = kdc.kinit(keytab, principal, '3s')
      process.env['KRB5CCNAME'] = `FILE:${cache}`
      const { keytab: _, ...cached } = sasl({ principal })
      assert.deepEqual(await topics(cached), [topic])
      await new Promise((resolve) => setTimeout(resolve, 3500))
      assert.equal(
        await refusal(cached),
        'Cannot log in to kafka/localhost by Kerberos: the ticket has expired; run kinit again, or set ' +
          'keytab, from which tickets are renewed',
      )
    },
  )

  await t.test('with a keytab, a ticket that expires is replaced without a word', async () => {
    const short = sasl({ keytab: kdc.keytabOf('short-reader', ['-maxlife', '2sec']) })
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(await topics(short), [topic])
      await new Promise((resolve) => setTimeout(resolve, 1500))
    }
  })

  await t.test('the broker has us log in again while the connection stands', async () => {
    const again = sasl({ keytab: kdc.keytabOf('again-reader', ['-maxlife', '2sec']) })
    const brokers = [`localhost:${kafka.portOf('SHORT')}`]
    const client = await kafkaClient({ brokers, sasl: again }, () => {}, { retries: 0 })
    const admin = client.admin()
    await admin.connect()
    let logins = 0
    admin.on('admin.network.request', ({ payload }) => {
      if (payload.apiName === 'SaslHandshake') logins++
    })
    const ask = async (seconds: number): Promise<string[]> => {
      const faults: string[] = []
      for (const begun = performance.now(); performance.now() - begun < seconds * 1000;) {
        await admin.listTopics().catch((error: unknown) => faults.push(String(error)))
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      return faults
    }
    assert.deepEqual(await ask(3.5), [])
    assert.ok(logins >= 2, `${logins} logins`)

    // A KDC that is away when a login is due costs requests, but not the client.
    // The first requests may only meet a connection that has ended; the next login says why.
    await kdc.halt()
    try {
      const expired = /has expired, and no KDC gives a new one/
      let said = ''
      for (let round = 0; round < 6 && !expired.test(said); round++) said += (await ask(2)).join()
      assert.match(said, expired)
    } finally {
      await kdc.start()
    }
    await ask(2)
    assert.deepEqual(await ask(2), [])
    await admin.disconnect()
  })

  await t.test('no keytab: its path, and that it is not there', async () => {
    const none = join(kdc.folder, 'none.keytab')
    assert.equal(
      await refusal(sasl({ keytab: none })),
      `Cannot use keytab "${none}": there is no such file; copy the one that the stream gave you`,
    )
  })

  await t.test('a keytab of another realm', async () => {
    assert.equal(
      await refusal(sasl({ principal: 'pitt-reader@OTHER.REALM' })),
      `Cannot use keytab "${keytab}": it has the key of ${principal}, which is another realm than ` +
        'that of pitt-reader@OTHER.REALM',
    )
  })

  await t.test('a keytab whose key was renewed since', async () => {
    const stale = kdc.keytabOf('stale')
    kdc.kadmin('cpw -randkey stale')
    assert.equal(
      await refusal(sasl({ keytab: stale })),
      `Cannot log in to kafka/localhost by Kerberos: the key in keytab "${stale}" is not the one that ` +
        'the KDC has for stale@KAFKA.SECURE, it was renewed since; ask the stream for the new keytab',
    )
  })

  await t.test('a principal that the KDC does not know', async () => {
    const gone = kdc.keytabOf('gone')
    kdc.kadmin('delprinc -force gone')
    assert.match(
      await refusal(sasl({ keytab: gone })),
      /the KDC knows no principal gone@KAFKA\.SECURE; see that name and realm/,
    )
  })

  await t.test('a principal that has expired', async () => {
    const old = kdc.keytabOf('old', ['-expire', 'yesterday'])
    assert.match(
      await refusal(sasl({ keytab: old })),
      /no longer lets old@KAFKA\.SECURE in, its entry has expired or is locked/,
    )
  })

  await t.test('a broker whose principal has another host, and the map that mends it', async () => {
    const unknown = sasl({ hosts: { localhost: 'kafka-1' } })
    assert.match(
      await refusal(unknown),
      /the KDC knows no broker kafka\/kafka-1@KAFKA\.SECURE; the name is the one the broker tells/,
    )
    const elsewhere = sasl({ hosts: { localhost: 'kafka.example.org' } })
    assert.match(
      await refusal(elsewhere),
      /kafka\/kafka\.example\.org belongs to realm EXAMPLE\.ORG, .* its host belongs to KAFKA\.SECURE/,
    )
    // It advertises 127.0.0.1, and its principal is kafka/localhost.
    const numbered = [`127.0.0.1:${kafka.portOf('NUMBER')}`]
    const right = sasl({ hosts: { '127.0.0.1': 'localhost' } })
    assert.deepEqual(await topics(right, numbered), [topic])
  })

  await t.test('a realm of which nothing says where its KDC is', async () => {
    const krb5Config = join(kdc.folder, 'empty.conf')
    writeFileSync(krb5Config, '[libdefaults]\n dns_lookup_kdc = false\n')
    assert.match(
      await refusal(sasl({ krb5Config, keytab: kdc.keytabOf('lost') })),
      /nothing says where the KDC of realm KAFKA\.SECURE is; name it in krb5\.conf/,
    )
  })

  await t.test('two keytabs in one process', async () => {
    await topics(sasl())
    const second = kdc.keytabOf('second')
    assert.match(
      await refusal(sasl({ keytab: second })),
      /KRB5_CLIENT_KTNAME is "FILE:.*pitt-reader\.keytab" already, and a process has one/,
    )
  })

  await t.test('clocks that differ are set straight by the library, or said', async () => {
    await kdc.halt()
    await kdc.start('+1h')
    const strict = kdc.configWith('strict.conf', ['kdc_timesync = 0'])
    const skewed = kdc.keytabOf('skewed', ['+requires_preauth'])
    assert.match(
      await refusal(sasl({ krb5Config: strict, keytab: skewed })),
      /the clocks of this machine and of the KDC differ by more than it allows/,
    )
    await kdc.halt()
    await kdc.start()
  })

  await t.test(
    'a KDC that does not answer may answer later: no refusal, but a sentence',
    async () => {
      const late = sasl({ keytab: kdc.keytabOf('late') })
      await kdc.halt()
      const failure = await topics(late).then(
        () => assert.fail('it logged in'),
        (error: unknown) => error,
      )
      await kdc.start()
      assert.equal(refusalOf(failure), undefined)
      assert.match(
        String(failure),
        /no KDC of realm KAFKA\.SECURE answers; see that kdc in krb5\.conf is right/,
      )
      delete process.env['KRB5_CLIENT_KTNAME']
      assert.deepEqual(await topics(late), [topic])
    },
  )

  await t.test('a broker that the ticket is not for does not get away with it', async () => {
    // The KDC gives out tickets under a key that this broker does not have.
    kdc.kadmin('cpw -randkey kafka/localhost')
    assert.match(await refusal(sasl({ keytab: kdc.keytabOf('fresh') })), /the broker refuses/)
  })
})
