import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'

import { darkness } from '../../conductor/darkness.ts'
import type { NightRecord } from '../../conductor/night-record.ts'
import type { NightReport } from '../../conductor/report/gather.ts'
import type { Tick } from '../../conductor/tick.ts'
import { kafkaTopicName } from '../../core/names.ts'
import { homeAt, runningBroker } from '../../local/home.ts'
import { skipWithoutKafka, startKafka, type Kafka } from '../consumer/kafka/broker.ts'
import { dataDir, skipWithout } from '../data.ts'
import { runHere } from '../night/harness.ts'

const packets = join(dataDir, 'lsst/confluent-wire-format')
const night = '20261121'
const topic = kafkaTopicName('lsst', night)
const skip =
  skipWithoutKafka || skipWithout(packets, 'set NIGHTJAR_DATA to a folder of real alerts')

test('a night of Rubin is conducted from its dusk to its proof', { skip }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-conductor-lsst-'))
  const home = join(dir, 'home')
  const config = join(dir, 'nightjar.toml')
  const dark = darkness('lsst', night)
  let kafka: Kafka
  let offset = 0
  const setClock = (to: number): void => void (offset = to - Date.now())
  const conductor = (verb: string, ...words: string[]) =>
    runHere(
      [
        ...['conductor', verb, '--survey', 'lsst', '--home', home],
        ...['--config', config, '--night', night, ...words],
      ],
      { env: { PATH: process.env['PATH'] ?? '' }, now: () => new Date(Date.now() + offset) },
    )
  const packed = readdirSync(packets)
    .filter((name) => name.endsWith('.avro'))
    .map((name) => readFileSync(join(packets, name)))
  const records = 2 * packed.length

  before(async () => {
    kafka = await startKafka()
    writeFileSync(
      config,
      `[streams.rubin]
survey = "lsst"
brokers = ${JSON.stringify(kafka.bootstrap.split(','))}
topics = ["${kafkaTopicName('lsst', '{night}')}"]
[conductor]
gate = "1s"
stable = "2s"
settle = "2s"
`,
    )
  })
  after(async () => {
    const pid = runningBroker(homeAt(home))
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
    await kafka.stop()
    rmSync(dir, { recursive: true })
  })

  await t.test('it waits for dusk on Cerro Pachón, not at Palomar', async () => {
    const palomar = darkness('ztf', night)
    assert.ok(Math.abs(dark.dusk.getTime() - palomar.dusk.getTime()) > 3_600_000)
    setClock(dark.dusk.getTime() - 3 * 3_600_000)
    assert.match((await conductor('tick', '--dry-run')).out, /^It would stay idle: dusk is far$/m)
    setClock(dark.dusk.getTime())
    const { out } = await conductor('tick', '--json')
    assert.equal((JSON.parse(out) as Tick).record.state, 'waiting')
  })

  await t.test('45 partitions are taken in, proven and reported', async () => {
    await kafka.hand({ do: 'create', topic, partitions: 45 })
    const values = [...packed, ...packed].map((value, index) => ({
      partition: (index * 7) % 45,
      base64: value.toString('base64'),
    }))
    await kafka.hand({ do: 'produce', topic, records: values, compression: 'snappy' })
    const { out } = await conductor('tick', '--json')
    assert.equal((JSON.parse(out) as Tick).record.state, 'running')
    setClock(dark.dawn.getTime() + 2000)
    const ended = await conductor('start', '--every', '0.5s')
    assert.equal(ended.status, 0, ended.out + ended.err)
    assert.equal(runningBroker(homeAt(home)), undefined)
    const history = JSON.parse((await conductor('history', '--json')).out) as NightRecord['history']
    assert.deepEqual(
      history.map(({ to }) => to),
      ['waiting', 'running', 'draining', 'auditing', 'complete'],
    )
    const report = JSON.parse((await conductor('report', '--json')).out) as NightReport
    assert.equal(report.survey, 'lsst')
    assert.equal(report.proof.partitions.length, 45)
    assert.deepEqual(
      report.proof.stages.map(({ stage, expected }) => [stage, expected]),
      [
        ['intake', records],
        ['archive', records],
        ['warehouse', records],
      ],
    )
    const seen = report.sky.pixels.reduce((sum, pixel) => sum + pixel.alerts, 0)
    assert.equal(seen, packed.length, 'each alert lies somewhere on the sky, once')
  })
})
