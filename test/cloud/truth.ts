/** What a night left in the emulators, held against the simulator's truth. */
import assert from 'node:assert/strict'

import { openCloudGround } from '../../cloud/ground.ts'
import { openTopics } from '../../cloud/topics.ts'
import { occurrenceOf } from '../../core/alert.ts'
import { crc32c } from '../../core/crc32c.ts'
import { parseEnvironment } from '../../core/environment.ts'
import { archiveName, subscriptionName } from '../../core/names.ts'
import type { Table } from '../../core/ports.ts'
import { fixPacket } from '../../schemas/fix.ts'
import type { Truth } from '../../simulator/truth.ts'
import type { Night } from '../night/harness.ts'

/** For how long a letter may be waited for. */
const silenceMs = 60_000

const isCorrupt = ({ kind }: Truth): boolean => kind.startsWith('corrupt:')
const idOf = ({ objectId, candid }: Truth): string => `${objectId} ${candid}`

/** Hold buckets, tables and dead letters against the truth. */
export async function verify(
  env: Record<string, string>,
  night: Night,
  table: Table,
  stages: readonly string[] = ['archive', 'warehouse', 'exgalac'],
): Promise<void> {
  const records = night.truths.filter(({ kind }) => kind !== 'gap')
  const intact = Map.groupBy(
    records.filter((truth) => !isCorrupt(truth)),
    idOf,
  )
  const ground = openCloudGround(parseEnvironment(env))
  try {
    const expected = new Map<string, Truth>()
    for (const [truth] of intact.values()) {
      if (truth === undefined) continue
      const { topic, objectId = '', candid = '' } = truth
      expected.set(archiveName(topic, objectId, BigInt(candid)), truth)
    }
    const store = await ground.bucket('alert_avro_bucket')
    const found: string[] = []
    for await (const object of store.list('')) {
      found.push(object.name)
      const truth = expected.get(object.name)
      assert.ok(truth, `${object.name} is an alert`)
      const { bytes } = fixPacket(night.bytesOf(truth))
      assert.equal(object.crc32c, crc32c(bytes), `${object.name} has the bytes of the alert`)
    }
    assert.deepEqual(found.toSorted(), [...expected.keys()].toSorted(), 'one object an alert')

    const rows: string[] = []
    for await (const row of table.query('SELECT objectId, candid FROM alerts')) {
      rows.push(`${String(row['objectId'])} ${String(row['candid'])}`)
    }
    assert.deepEqual(rows.toSorted(), [...intact.keys()].toSorted(), 'one row an alert in the view')

    const letters = new Set<string>()
    const dead = `SELECT stage, kafka_partition, kafka_offset FROM ledger
      WHERE outcome = 'dead_lettered'`
    for await (const row of table.query(dead)) {
      letters.add(
        `${String(row['stage'])} ${String(row['kafka_partition'])} ${String(row['kafka_offset'])}`,
      )
    }
    const poison = records
      .filter(isCorrupt)
      .flatMap((truth) => stages.map((stage) => `${stage} ${truth.partition} ${truth.offset}`))
    assert.deepEqual(
      [...letters].toSorted(),
      poison.toSorted(),
      'the damaged ones are dead letters',
    )
  } finally {
    await table.close()
    await ground.close()
  }
}

/** What the stages said that they did, as a line: `archive stored 20000, duplicate 1600; …`. */
export async function outcomesOf(table: Table): Promise<string> {
  const said = new Map<string, string[]>()
  const counts = `SELECT stage, outcome, count(*) AS n FROM ledger GROUP BY ALL ORDER BY ALL`
  for await (const { stage, outcome, n } of table.query(counts)) {
    const words = said.get(String(stage)) ?? []
    said.set(String(stage), [...words, `${String(outcome)} ${String(n)}`])
  }
  return [...said].map(([stage, words]) => `${stage} ${words.join(', ')}`).join('; ')
}

/** The dead letters themselves, whole. */
export async function checkLetters(env: Record<string, string>, night: Night): Promise<void> {
  const { at, emulators } = parseEnvironment(env)
  const topics = await openTopics({ project: at.project, emulator: emulators.pubsub ?? '' })
  const name = subscriptionName(at, 'dead_letter', 'replay')
  const subscription = topics.pubsub.subscription(name)
  const byOffset = new Map(
    night.truths.filter(isCorrupt).map((truth) => [`${truth.partition} ${truth.offset}`, truth]),
  )
  const seen = new Set<string>()
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${seen.size} of ${byOffset.size}`)), silenceMs)
    subscription.on('message', (message) => {
      const { partition, offset } = occurrenceOf(message.attributes)
      const truth = byOffset.get(`${partition} ${offset}`)
      message.ack()
      if (truth === undefined)
        return reject(new Error(`no damaged packet at ${partition} ${offset}`))
      if (Buffer.compare(message.data, night.bytesOf(truth)) !== 0) {
        return reject(new Error(`the letter of ${partition} ${offset} has other bytes`))
      }
      timer.refresh()
      seen.add(`${partition} ${offset}`)
      if (seen.size < byOffset.size) return
      clearTimeout(timer)
      resolve()
    })
  })
  await subscription.close()
  await topics.close()
}
