import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { skipWithoutKafka, startKafka, type Kafka } from '../consumer/kafka/broker.ts'
import { makeAuthority, type Authority } from '../consumer/kafka/certificates.ts'
import { addScramUsers } from '../consumer/kafka/scram-user.ts'
import { dataDir, skipWithoutData } from '../data.ts'
import { nightjar, repository } from '../night/harness.ts'

const topic = 'lsst-alerts-v11'
const packets = join(dataDir, 'lsst/confluent-wire-format')
const minis = join(packets, 'minimal-pittgoogle-client')
const skip = skipWithoutData || skipWithoutKafka

const schemaOf = (version: string): string =>
  readFileSync(join(repository, 'schemas/lsst', version, 'alert.avsc'), 'utf8')

/** 11.1 with a field more. */
function widened(): string {
  const schema = JSON.parse(schemaOf('11.1')) as { fields: unknown[] }
  schema.fields.push({ name: 'lightcurveClass', type: ['null', 'string'], default: null })
  return JSON.stringify(schema)
}

test('Rubin, from Kafka to row', { skip, timeout: 180_000 }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-lsst-'))
  const home = join(dir, 'home')
  const config = join(dir, 'nightjar.toml')
  let authority: Authority
  let kafka: Kafka
  const asked: string[] = []
  const registry: Server = createServer((request, response) => {
    asked.push(`${request.url}`)
    const basic = Buffer.from((request.headers.authorization ?? '').slice(6), 'base64')
    if (basic.toString() !== 'pgb:registry-s3cret') return void response.writeHead(401).end()
    const schema = { '/schemas/ids/1102': widened(), '/schemas/ids/12345': schemaOf('7.4') }[
      request.url ?? ''
    ]
    if (schema === undefined) response.writeHead(404).end('{"error_code":40403}')
    else response.end(JSON.stringify({ schema }))
  })

  before(async () => {
    registry.listen(0, '127.0.0.1')
    await once(registry, 'listening')
    const properties: Record<string, string> = {
      'sasl.enabled.mechanisms': 'SCRAM-SHA-512',
      'listener.name.secure.scram-sha-512.sasl.jaas.config':
        'org.apache.kafka.common.security.scram.ScramLoginModule required;',
      'ssl.keystore.type': 'PEM',
    }
    kafka = await startKafka({
      listeners: { SECURE: { protocol: 'SASL_SSL', host: 'localhost' } },
      properties,
      prepare(folder) {
        authority = makeAuthority(folder, 'rubin')
        properties['ssl.keystore.location'] = authority.issue('broker').both
      },
    })
    await kafka.hand({ do: 'create', topic, partitions: 45 })
    const password = join(dir, 'password')
    writeFileSync(password, 'kafka-s3cret\n')
    const stream = {
      brokers: [`localhost:${kafka.portOf('SECURE')}`],
      tls: { ca: authority.ca },
      sasl: {
        mechanism: 'scram-sha-512',
        username: 'pgb-idf',
        password: { from: 'file', path: password },
      },
    } as const
    await addScramUsers(kafka, [stream], 'kafka-s3cret')
    writeFileSync(
      config,
      `[streams.rubin]
survey = "lsst"
brokers = ["localhost:${kafka.portOf('SECURE')}"]
topics = ["${topic}"]
tls = { ca = "${authority.ca}" }
sasl = { mechanism = "scram-sha-512", username = "pgb-idf", password = { file = "${password}" } }
[streams.rubin.registry]
url = "http://127.0.0.1:${(registry.address() as AddressInfo).port}"
username = "pgb"
password = { env = "REGISTRY_PASSWORD" }
`,
    )
  })
  after(async () => {
    registry.closeAllConnections()
    registry.close()
    await kafka?.stop()
    rmSync(dir, { recursive: true })
  })

  const at = ['--home', home, '--survey', 'lsst']
  async function run(...words: string[]): Promise<{ out: string; err: string }> {
    process.env['REGISTRY_PASSWORD'] = 'registry-s3cret'
    const { out, err, status } = await nightjar(...words)
    assert.equal(status, 0, err)
    assert.doesNotMatch(out + err, /s3cret/)
    return { out, err }
  }
  const consume = () => run('consume', ...at, '--config', config, '--once', '--json')
  async function rows(sql: string): Promise<Record<string, string>[]> {
    const { out } = await run('query', '--json', ...at, sql)
    return out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, string>)
  }
  async function produce(values: readonly Uint8Array[]): Promise<void> {
    const records = values.map((value, index) => ({
      partition: (index * 7) % 45,
      base64: Buffer.from(value).toString('base64'),
    }))
    await kafka.hand({ do: 'produce', topic, records, compression: 'snappy' })
  }

  const real = readdirSync(packets)
    .filter((name) => name.endsWith('.avro'))
    .map((name) => readFileSync(join(packets, name)))
  const mini = (name: string): Buffer => readFileSync(join(minis, `${name}.avro`))
  /** The datum of 11.1, and null for the field more. */
  const additive = Buffer.concat([mini('lsst.v11_1'), Buffer.of(0)])
  additive.writeInt32BE(1102, 1)
  const breaking = mini('lsst.v7_4.schemaid12345')

  await t.test('real packets of several versions become rows', async () => {
    await produce(real)
    const { err } = await consume()
    assert.match(err, /intake_started .*pgb-idf-nightjar-lsst-/)
    const found = await rows('SELECT diaSourceId, candid, kafka_topic FROM alerts ORDER BY 1')
    assert.equal(found.length, real.length)
    assert.ok(found.some(({ candid }) => candid === '7912941781254298'))
    assert.deepEqual(asked, [])
  })

  await t.test(
    'a schema that adds is fetched, accepted and recorded; one that breaks is parked',
    async () => {
      await produce([additive, breaking, mini('rapid.v01_00')])
      const { err } = await consume()
      assert.match(err, /schema_accepted id=1102 against=1101 changes=.*lightcurveClass: is new/)
      assert.match(err, /error schema_parked id=12345 against=110[12] /)
      assert.match(err, /error schema_unavailable id=100 reason=.*the registry has no such schema/)
      const added = await rows(
        "SELECT candid FROM alerts WHERE kafka_offset >= 0 AND candid IN (SELECT candid FROM ledger WHERE outcome = 'stored')",
      )
      assert.equal(added.length, real.length + 1)
      const parked = await rows(
        "SELECT stage, reason FROM ledger WHERE outcome = 'dead_lettered' ORDER BY ALL",
      )
      assert.equal(parked.length, 4)
      assert.match(
        JSON.stringify(parked),
        /schema id 12345 is parked, it breaks with 110[12] \(.*; accept it/,
      )
      assert.match(JSON.stringify(parked), /schema id 100 is unknown, add the schema and replay/)
      const { out } = await run('schemas', '--home', home)
      assert.match(out, /^ *1102 +accepted +1101 /m)
      assert.match(out, /^ *12345 +parked +110[12] /m)
    },
  )

  await t.test('what was learned once needs no registry', async () => {
    registry.closeAllConnections()
    registry.close()
    const before = asked.length
    const again = Buffer.from(additive)
    await produce([again])
    const { err } = await consume()
    assert.doesNotMatch(err, /schema_/)
    assert.equal(asked.length, before)
    const [counted] = await rows(
      "SELECT COUNT(*) AS n FROM ledger WHERE stage = 'warehouse' AND outcome IN ('stored', 'duplicate')",
    )
    assert.equal(Number(counted?.['n']), real.length + 2)
  })

  await t.test('a parked schema, accepted and replayed, gives its rows', async () => {
    await run('schemas', 'accept', '12345', '--home', home)
    await run('replay', '--dead-letter', ...at)
    await run('run', '--once', ...at)
    const found = await rows(
      "SELECT stage FROM ledger WHERE outcome = 'stored' AND kafka_offset >= 0",
    )
    assert.ok(found.length > 0)
    const [counted] = await rows('SELECT COUNT(*) AS n FROM alerts')
    assert.equal(Number(counted?.['n']), real.length + 2)
  })
})
