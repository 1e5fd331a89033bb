/** What a home must hold of a night, checked against the simulator's truth and nothing else. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

import { auditNight, type Audit } from '../../conductor/audit.ts'
import { closeRecord, type CloseRecord } from '../../conductor/close.ts'
import { readLedgerSets, type LedgerSets } from '../../conductor/ledger-sets.ts'
import { knownNights, type KnownNight } from '../../conductor/nights.ts'
import { openHomeQueries, type HomeQueries } from '../../cli/door.ts'
import { kafkaAttributes, occurrenceOf } from '../../core/alert.ts'
import { crc32c } from '../../core/crc32c.ts'
import { deadLetterAttributes } from '../../core/dead-letter.ts'
import { outcomes, type Outcome } from '../../core/ledger.ts'
import {
  archiveName,
  bucketName,
  fitName,
  lightCurveName,
  plotName,
  topicName,
} from '../../core/names.ts'
import { stages as pipeline, stagesOf } from '../../core/pipeline.ts'
import type { Delivery } from '../../core/ports.ts'
import { openGround, type Ground } from '../../local/broker.ts'
import { openSubscription } from '../../local/subscription.ts'
import { formatHistory, mergeHistory } from '../../functions/salt2/history.ts'
import { measurementsOf } from '../../functions/salt2/measurement.ts'
import { rowText } from '../../functions/salt2/message.ts'
import { parseRecord } from '../../functions/salt2/record.ts'
import { readAlert } from '../../schemas/alert.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { trimPacket } from '../../schemas/trim.ts'
import type { Truth } from '../../simulator/truth.ts'
import type { Night } from './harness.ts'

const at = { survey: 'ztf', project: 'local' } as const
const stages = stagesOf('ztf')
/** Those that meet every packet, damaged ones among them. */
const firstStages = stages.filter((stage) => pipeline[stage].reads === 'alert_data')

export interface Found {
  deadLetters: number
  /** Occurrences beyond the first of an alert. */
  duplicates: number
  /** Messages on `ztf_exgalac_trans` beyond one an occurrence: what redelivery published again. */
  repeated: number
  record: CloseRecord
}

/** Make a home and, before anything is published in it, the subscriptions that `verifyHome` reads. */
export async function prepareHome(home: string): Promise<void> {
  const ground = await openGround(home, at)
  try {
    for (const word of watched) await watch(ground, word)
  } finally {
    await ground.close()
  }
}

const watched = ['exgalac_trans', 'alert_avro_bucket', 'salt2'] as const

async function watch(ground: Ground, word: (typeof watched)[number]) {
  const { journal, messages } = ground
  const topic = topicName(at, word)
  return openSubscription({ journal, messages, topic, name: `${topic}-verify`, filter: '' })
}

/**
 * Hold a home that no broker runs in against the truth: every alert archived once, stored as a row
 * once, judged rightly; every damaged packet in the dead letters, at each stage, and nothing else; the
 * audit complete. Throws an AssertionError that says what is wrong.
 */
export async function verifyHome(home: string, night: Night): Promise<Found> {
  const ground = await openGround(home, at)
  const queries = await openHomeQueries(ground)
  try {
    const known = (await knownNights(await ground.bucket('broker_files'))).find(
      (one) => one.night === night.night,
    )
    assert.ok(known, `the home knows night ${night.night}`)
    const truths = withinWatermarks(night.truths)
    checkWatermarks(known, truths)
    const ledger = await readLedgerSets(queries.query, night.night, known.ranges)
    const audit = auditNight({ survey: 'ztf', ...known, ledger })
    const record = closeRecord(audit, known.unfinished, new Date())
    checkAudit(audit, record)
    checkOutcomes(ledger, truths)
    await checkArchive(ground, night, truths)
    await checkWarehouse(queries, truths)
    await checkBacklogs(ground)
    const deadLetters = checkDeadLetters(ground, night, truths)
    const repeated = checkTransients(ground, night, truths)
    await checkFits(ground, queries, night, truths)
    const duplicates = truths.filter(isIntact).length - alertsOf(truths).size
    return { deadLetters, duplicates, repeated, record }
  } finally {
    await queries.close()
    await ground.close()
  }
}

const isCorrupt = ({ kind }: Truth): boolean => kind.startsWith('corrupt:')
const isIntact = (truth: Truth): boolean => truth.kind !== 'gap' && !isCorrupt(truth)
const where = ({ partition, offset }: Truth): string => `[${partition}]@${offset}`
const idOf = ({ objectId, candid }: Truth): string => `${objectId} ${candid}`

/** Offsets before a partition's first file are unknown to whoever reads files. */
function withinWatermarks(truths: readonly Truth[]): Truth[] {
  const low = new Map<number, number>()
  for (const { kind, partition, offset } of truths) {
    if (kind !== 'gap' && !low.has(partition)) low.set(partition, offset)
  }
  return truths.filter(({ partition, offset }) => offset >= (low.get(partition) ?? Infinity))
}

/** The alerts that arrive intact at least once, each with its occurrences. */
function alertsOf(truths: readonly Truth[]): Map<string, Truth[]> {
  const intact = truths.filter(isIntact)
  return Map.groupBy(intact, idOf)
}

function checkWatermarks(known: KnownNight, truths: readonly Truth[]): void {
  const ends = new Map<number, bigint>()
  for (const { partition, offset } of truths) ends.set(partition, BigInt(offset) + 1n)
  const found = new Map(known.ranges.map(({ partition, high }) => [partition, high]))
  assert.deepEqual(found, ends, 'each partition is known to its end')
  assert.deepEqual(known.unfinished, [], 'every source was read to its end')
  for (const { partitions } of known.topics) {
    for (const { partition, next, high } of partitions) {
      assert.equal(next, high, `partition ${partition} is committed to its end`)
    }
  }
}

function checkAudit(audit: Audit, record: CloseRecord): void {
  for (const { stage, total, partitions } of audit.stages) {
    const missing = partitions.flatMap((one) => one.missing.map((run) => ({ ...one, ...run })))
    assert.deepEqual(missing, [], `nothing is missing at ${stage}`)
    assert.equal(total.unexpected, 0, `${stage} accounts for nothing that is not there`)
    const sum = Object.values(total.outcomes).reduce((all, count) => all + count, 0)
    assert.equal(sum, total.expected, `the outcomes of ${stage} sum to what it was owed`)
  }
  assert.equal(record.state, 'complete')
  const bitmaps = record.stages.map(({ stage, bitmaps: list }) => ({ stage, bitmaps: list }))
  const text = JSON.stringify({ partitions: record.partitions, bitmaps })
  assert.equal(record.digest, createHash('sha256').update(text).digest('hex'))
}

/** The best that became of each occurrence must be what the truth says of it. */
function checkOutcomes(ledger: LedgerSets, truths: readonly Truth[]): void {
  const best = (stage: string, { topic, partition, offset }: Truth): Outcome | undefined => {
    const sets = ledger.setsOf(stage, topic, partition)
    return outcomes.find((outcome) => sets.get(outcome)?.has(BigInt(offset)))
  }
  for (const truth of truths) {
    const intake = best('intake', truth)
    assert.equal(intake, truth.kind === 'gap' ? 'gap' : 'published', `intake of ${where(truth)}`)
    for (const stage of stages) {
      const found = best(stage, truth)
      const say = `${stage} of ${where(truth)}, ${truth.kind}`
      if (truth.kind === 'gap') assert.equal(found, undefined, say)
      else if (stage === 'salt2' && (isCorrupt(truth) || truth.extragalactic !== true)) {
        assert.equal(found, undefined, say)
      } else if (isCorrupt(truth)) assert.equal(found, 'dead_lettered', say)
      else if (stage === 'exgalac') {
        assert.equal(found, truth.extragalactic ? 'published' : 'filtered', say)
      } else assert.ok(found === 'stored' || found === 'duplicate', `${say}: ${found}`)
    }
  }
  for (const [id, occurrences] of alertsOf(truths)) {
    const stored = occurrences.filter((truth) => best('archive', truth) === 'stored')
    assert.equal(stored.length, 1, `one occurrence of ${id} is archived, the others are duplicates`)
    if (occurrences[0]?.extragalactic !== true) continue
    const fitted = occurrences.filter((truth) => best('salt2', truth) === 'stored')
    assert.equal(fitted.length, 1, `one occurrence of ${id} is fitted, the others are duplicates`)
  }
}

/** One file and one object an alert, the bytes being what the fix makes of Kafka's, and no file more. */
async function checkArchive(ground: Ground, night: Night, truths: readonly Truth[]): Promise<void> {
  const expected = new Map<string, Truth>()
  for (const occurrences of alertsOf(truths).values()) {
    const truth = occurrences[0] as Truth
    const { topic, objectId = '', candid = '' } = truth
    expected.set(archiveName(topic, objectId, BigInt(candid)), truth)
  }
  const folder = join(ground.home.buckets, bucketName(at, 'alert_avro_bucket'))
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
  assert.deepEqual(files.sort(), [...expected.keys()].sort(), 'one archived file an alert')

  const store = await ground.bucket('alert_avro_bucket')
  const objects: string[] = []
  for await (const { name, size, crc32c: check, metadata } of store.list('')) {
    objects.push(name)
    const truth = expected.get(name)
    assert.ok(truth, `object ${name} is an alert`)
    const bytes = fixPacket(night.bytesOf(truth)).bytes
    const file = readFileSync(join(folder, name))
    assert.equal(Buffer.compare(file, bytes), 0, `${name} has the bytes of the alert`)
    assert.deepEqual({ size, check }, { size: bytes.length, check: crc32c(bytes) })
    const id = idOf(truth)
    const from = alertsOf(truths).get(id) ?? []
    const { partition, offset } = occurrenceOf(metadata)
    const own = from.some((one) => one.partition === partition && BigInt(one.offset) === offset)
    assert.ok(own, `${name} says where it is from`)
  }
  assert.deepEqual(objects.sort(), [...expected.keys()].sort(), 'one object an alert')

  const { messages } = ground
  const topic = messages.knownTopicId(topicName(at, 'alert_avro_bucket'))
  const notices = messages.after(topic, 0, { messages: Infinity, bytes: Infinity })
  const named = notices.map(({ attributes }) => attributes['objectId'] ?? '')
  assert.deepEqual(named.sort(), [...expected.keys()].sort(), 'one notice an object')
}

async function checkWarehouse({ query }: HomeQueries, truths: readonly Truth[]): Promise<void> {
  const expected = alertsOf(truths)
  const rows: string[] = []
  const sql = `SELECT objectId, candid, schemavsn, kafka_topic, kafka_partition, kafka_offset,
                 publisher, candidate.candid AS inner_candid FROM alerts`
  for await (const row of query(sql)) {
    const id = `${String(row['objectId'])} ${String(row['candid'])}`
    rows.push(id)
    const truth = expected
      .get(id)
      ?.find(
        ({ partition, offset }) =>
          partition === row['kafka_partition'] && BigInt(offset) === row['kafka_offset'],
      )
    assert.ok(truth, `the row of ${id} says where it is from`)
    assert.equal(row['schemavsn'], truth.schemavsn)
    assert.equal(row['inner_candid'], row['candid'])
  }
  assert.deepEqual(rows.sort(), [...expected.keys()].sort(), 'one row an alert in the view')
  // The view would hide a row that stands twice; the tables behind it must not need that.
  let physical = 0
  const names = `SELECT table_name FROM information_schema.tables
    WHERE table_name LIKE 'alerts\\_v%' ESCAPE '\\' AND table_type = 'BASE TABLE'`
  for await (const { table_name: table } of query(names)) {
    for await (const { n } of query(`SELECT COUNT(*) AS n FROM ${String(table)}`)) {
      physical += Number(n)
    }
  }
  assert.equal(physical, expected.size, 'no row stands twice in the tables')
}

async function checkBacklogs(ground: Ground): Promise<void> {
  const own = stagesOf('ztf').map((stage) => [pipeline[stage].reads, stage] as const)
  for (const [word, reader] of [...own, ['ledger', 'table'] as const]) {
    const subscription = await ground.subscription(word, reader)
    assert.deepEqual(await subscription.backlog(), { messages: 0, bytes: 0 }, `nothing waits`)
  }
}

/** Each damaged packet once by each stage at least, whole, with its reason; nothing else. */
function checkDeadLetters(ground: Ground, night: Night, truths: readonly Truth[]): number {
  const expected = new Map(
    truths
      .filter(isCorrupt)
      .flatMap((truth) => firstStages.map((s) => [`${s} ${where(truth)}`, truth])),
  )
  const found = new Set<string>()
  for (const { data, attributes } of read(ground, 'dead_letter')) {
    const { partition, offset } = occurrenceOf(attributes)
    const key = `${attributes[deadLetterAttributes.stage]} [${partition}]@${offset}`
    const truth = expected.get(key)
    const reason = attributes[deadLetterAttributes.reason]
    assert.ok(truth, `a dead letter of what is no damaged packet: ${key}: ${reason}`)
    found.add(key)
    assert.equal(Buffer.compare(data, night.bytesOf(truth)), 0, `${key} is kept as it came`)
    assert.match(reason ?? '', /^Cannot /)
  }
  assert.deepEqual([...found].sort(), [...expected.keys()].sort(), 'damaged packets, by stage')
  return found.size
}

/** The transients of the truth, each occurrence at least once, without cutouts; nothing else. */
function checkTransients(ground: Ground, night: Night, truths: readonly Truth[]): number {
  const expected = new Map(
    truths
      .filter((truth) => isIntact(truth) && truth.extragalactic)
      .map((truth) => [where(truth), truth]),
  )
  const found = new Set<string>()
  const published = read(ground, 'exgalac_trans')
  for (const { data, attributes } of published) {
    const { partition, offset } = occurrenceOf(attributes)
    const key = `[${partition}]@${offset}`
    const truth = expected.get(key)
    assert.ok(truth, `published is what is no transient: ${key}`)
    found.add(key)
    assert.equal(Buffer.compare(data, trimPacket(fixPacket(night.bytesOf(truth)).bytes)), 0)
    assert.equal(attributes['is_pure'], truth.pure ? '1' : '0', `purity of ${key}`)
    assert.equal(attributes[kafkaAttributes.timestamp], String(truth.timestamp))
    assert.equal(attributes['candid'], truth.candid)
  }
  assert.deepEqual([...found].sort(), [...expected.keys()].sort(), 'transients')
  return published.length - found.size
}

/**
 * The fits of the truth's transients: one row and one stored fit an alert, a plot and a message where
 * there is one to show, all of the same; and of each object the light curve that its packets tell, to the
 * byte, in whatever order they came and however often.
 */
async function checkFits(
  ground: Ground,
  { query }: HomeQueries,
  night: Night,
  truths: readonly Truth[],
): Promise<void> {
  const transients = truths.filter((truth) => isIntact(truth) && truth.extragalactic === true)
  const alerts = Map.groupBy(transients, idOf)
  const store = await ground.bucket('sncosmo')
  const rows = new Map<string, Record<string, unknown>>()
  if (alerts.size > 0) {
    let physical = 0
    for await (const row of query('SELECT * FROM salt2')) {
      physical++
      rows.set(`${String(row['objectId'])} ${String(row['candid'])}`, row)
    }
    assert.equal(physical, alerts.size, 'no fit stands twice')
  }
  assert.deepEqual([...rows.keys()].sort(), [...alerts.keys()].sort(), 'one row a transient')

  const expected = new Set<string>()
  const messages = Map.groupBy(read(ground, 'salt2'), ({ attributes }) =>
    idOf(attributes as unknown as Truth),
  )
  for (const [id, occurrences] of alerts) {
    const { objectId = '', candid = '' } = occurrences[0] as Truth
    const name = fitName(objectId, BigInt(candid))
    expected.add(name).add(lightCurveName(objectId))
    const record = parseRecord((await store.read(name))?.data ?? new Uint8Array())
    const row = rows.get(id) ?? {}
    assert.equal(row['reason'], record.analysis.reason, `the row of ${id} is of its fit`)
    assert.equal(row['t0'], record.analysis.fit?.parameters.t0 ?? null)
    const own = messages.get(id) ?? []
    assert.equal(record.analysis.fit !== null, own.length > 0, `${id} is published if fitted`)
    for (const { data } of own) assert.equal(Buffer.from(data).toString(), rowText(record))
    if (record.analysis.fit === null) continue
    for (const format of ['svg', 'png'] as const) expected.add(plotName(BigInt(candid), format))
  }
  assert.deepEqual(
    [...messages.keys()].filter((id) => !alerts.has(id)),
    [],
    'no other fit',
  )

  const objects: string[] = []
  for await (const { name } of store.list('')) objects.push(name)
  assert.deepEqual(objects.sort(), [...expected].sort(), 'light curves, fits and plots')
  const packets = Map.groupBy(transients, ({ objectId }) => objectId ?? '')
  for (const [objectId, own] of packets) {
    const told = own.map((truth) => measurementsOf(readAlert(night.bytesOf(truth)).record))
    const curve = formatHistory(told.reduce((one, other) => mergeHistory(one, other), []))
    const stored = await store.read(lightCurveName(objectId))
    assert.equal(Buffer.from(stored?.data ?? []).toString(), Buffer.from(curve).toString())
  }
}

/** All that a topic still holds, whoever has read it. */
function read(
  ground: Ground,
  word: 'dead_letter' | 'exgalac_trans' | 'salt2',
): Pick<Delivery, 'data' | 'attributes'>[] {
  const topic = ground.messages.knownTopicId(topicName(at, word))
  return ground.messages.after(topic, 0, { messages: Infinity, bytes: Infinity })
}
