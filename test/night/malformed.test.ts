import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'

import { occurrenceOf } from '../../core/alert.ts'
import { deadLetterAttributes } from '../../core/dead-letter.ts'
import { topicName } from '../../core/names.ts'
import { stages as pipeline, stagesOf } from '../../core/pipeline.ts'
import { redeem } from '../../core/claim.ts'
import type { Message } from '../../core/ports.ts'
import { handlers } from '../../functions/handlers.ts'
import { createStage } from '../../functions/stage.ts'
import { openGround } from '../../local/broker.ts'
import { readAlert } from '../../schemas/alert.ts'
import { openContainer } from '../../schemas/container.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { bundledSchemas } from '../../schemas/registry.ts'
import { createRandom } from '../../simulator/random.ts'
import { dataDir } from '../data.ts'
import { cameFrom, delivery, exampleRecord, packetOf } from '../functions/fakes.ts'
import { fakeLog, fakeStore, fakeTable, fakeTopic, type Fields } from '../functions/fakes.ts'
import { listSamples, readSample } from '../schemas/corpus.ts'
import { cpuTime } from '../schemas/time.ts'
import { nightjar, runHere } from './harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-malformed-'))
after(() => rmSync(dir, { recursive: true }))
const home = join(dir, 'home')
const topic = 'ztf_20261121_programid1'
const stages = stagesOf('ztf')

interface Input {
  name: string
  bytes: Uint8Array
  /** Can be read, and its schema can be made legal. */
  good: boolean
  /** Can be read, whatever its schema: some of other surveys' have defaults that nothing mends. */
  readable: boolean
}

const input = (name: string, bytes: Uint8Array): Input => {
  const readable = passes(() => readAlert(bytes))
  return { name, bytes, readable, good: readable && passes(() => fixPacket(bytes)) }
}

/** What a stage must do with an input; undefined where either is right. */
function dies(stage: string, { readable, good }: Input): boolean | undefined {
  if (stage === 'archive' || readable === good) return !good
  return stage === 'warehouse' ? false : undefined
}

const record = exampleRecord()
const candidate = record['candidate'] as Fields
let serial = 0n

/** A sound packet of an alert that no other packet is about. */
function sound(fields: Fields = {}): Uint8Array {
  const candid = 3_611_000_000_000_000_000n + ++serial
  return packetOf({ ...record, candid, candidate: { ...candidate, candid }, ...fields })
}

const big = { fileName: 'big.fits', stampData: Buffer.alloc(11_000_000, 'cutout') }

/** Packets as bad luck and bad will leave them, with sound ones between. */
function makeInputs(): Input[] {
  const packet = sound()
  const { headerBytes, sync } = openContainer(packet)
  const damaged: [string, Uint8Array][] = [
    ['empty', new Uint8Array()],
    ['one byte', packet.subarray(0, 1)],
    ['not Avro', Buffer.from('<html><title>503 Service Unavailable</title></html>')],
    ['zeros', new Uint8Array(70_000)],
    ['all ones', new Uint8Array(70_000).fill(255)],
    ['another version of the magic', with_(packet, 3, 2)],
    ['a header without schema', Buffer.from('4f626a0100' + '07'.repeat(16), 'hex')],
    ['a header of 2^40 entries', Buffer.from('4f626a01808080808080010e', 'hex')],
    ['a name of 2^31 bytes', Buffer.from('4f626a01' + '02' + 'feffffff1f' + '61', 'hex')],
    ['two records', Buffer.concat([packet, packet.subarray(headerBytes)])],
    ['no record', packet.subarray(0, headerBytes)],
    ['garbage behind', Buffer.concat([packet, Buffer.from('garbage')])],
    ['wire format of an unknown schema', Buffer.from('00000030390a0b0c', 'hex')],
    ['a big one, cut', sound({ cutoutScience: big }).subarray(0, -200)],
    ['a big one that is no alert', Buffer.alloc(11_000_000, 'noise')],
  ]
  const boundaries = {
    'in the magic': 2,
    'in the schema': headerBytes >> 1,
    'before the marker of the header': headerBytes - 16,
    'in the marker of the header': headerBytes - 7,
    'behind the header’s marker, in the count': headerBytes,
    'behind the count': headerBytes + 1,
    'in the size': headerBytes + 2,
    'behind the size': headerBytes + 4,
    'in the datum': headerBytes + 1000,
    'before the closing marker': packet.length - 16,
    'in the closing marker': packet.length - 1,
  }
  for (const [where, at] of Object.entries(boundaries)) {
    if (at !== headerBytes) damaged.push([`cut ${where}`, packet.subarray(0, at)])
  }
  const counts = {
    'of 2^53 records': '8080808080808020',
    'of 2^62 records': '808080808080808080' + '01',
    'of -1 records': '01',
    'of 10^6 records': '80897a',
  }
  for (const [what, hex] of Object.entries(counts)) {
    const rest = packet.subarray(headerBytes + 1)
    const head = packet.subarray(0, headerBytes)
    damaged.push([`a block ${what}`, Buffer.concat([head, Buffer.from(hex, 'hex'), rest])])
  }
  const random = createRandom('flips')
  for (let i = 0; i < 40; i++) {
    const flipped = Buffer.from(sound())
    for (let n = 0; n < 3; n++) {
      const at = random.whole(flipped.length)
      flipped[at] = (flipped[at] as number) ^ (1 << random.whole(8))
    }
    damaged.push([`flipped ${i}`, flipped])
  }
  assert.equal(sync.length, 16)

  const inputs: Input[] = []
  for (const [name, bytes] of damaged) {
    inputs.push(input(name, bytes))
    if (inputs.length % 3 === 0) inputs.push(input('sound', sound()))
  }
  inputs.push(input('big and sound', sound({ cutoutScience: big })))
  for (const { name, bytes } of realInputs()) inputs.push(input(name, bytes))
  return inputs
}

/** What real faults look like, where the data is there. */
function realInputs(): { name: string; bytes: Uint8Array }[] {
  if (!existsSync(resolve(dataDir, 'malformed-avro'))) return []
  return listSamples('malformed-avro')
    .filter((name) => !name.includes('good-originals'))
    .map((name) => ({ name, bytes: readSample(name) }))
}

const with_ = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const changed = Buffer.from(bytes)
  changed[at] = value
  return changed
}

/** A flip among pixels or in a number leaves an alert; anything else can be read by nobody. */
function passes(work: () => unknown): boolean {
  try {
    work()
    return true
  } catch {
    return false
  }
}

const inputs = makeInputs()

test('of the damaged packets most can be read by nobody', () => {
  const flipped = inputs.filter(({ name }) => name.startsWith('flipped'))
  const bad = inputs.filter(({ good, name }) => !good && !name.startsWith('flipped'))
  assert.ok(flipped.some(({ good }) => good) && flipped.some(({ good }) => !good))
  assert.ok(bad.length >= 25)
  assert.ok(inputs.every(({ name, good }) => good || !name.includes('sound')))
  const made = inputs.filter(({ name }) => !/^(flipped|sound|big and|malformed)/.test(name))
  assert.deepEqual(
    made.filter(({ good }) => good).map(({ name }) => name),
    [],
  )
})

/** What a stage may take, ms: a sound packet that is damaged in a number is fitted and drawn as any other. */
const allowed = (stage: string): number => (stage === 'salt2' ? 300 : 50)

test('every stage is done with every input in a moment', async () => {
  const table = fakeTable()
  const store = fakeStore()
  const slow: string[] = []
  for (const stage of stages) {
    const handle = await handlers[stage]({
      at: { survey: 'ztf' },
      topic: async () => fakeTopic(),
      bucket: async () => store,
      table: async () => table,
      schemas: bundledSchemas(),
    })
    const parts = { ledger: fakeTopic(), deadLetters: fakeTopic(), claims: fakeStore() }
    const onDelivery = createStage({ stage, handle, log: fakeLog().log, ...parts })
    // A schema is compiled once for a writer, not once for a packet.
    await onDelivery(delivery(sound()))
    for (const one of inputs) {
      const { name, bytes } = one
      const start = cpuTime()
      const { outcome, reason } = await onDelivery(delivery(bytes, cameFrom(0, 1)))
      const ms = cpuTime() - start
      if (ms > allowed(stage)) slow.push(`${stage} of ${name}: ${ms.toFixed(0)} ms`)
      const died = outcome === 'dead_lettered'
      assert.equal(died, dies(stage, one) ?? died, `${stage} of ${name}: ${reason}`)
    }
  }
  assert.deepEqual(slow, [])
})

let audit: { out: string; status: number }
const letters: Message[] = []

before(async () => {
  const folder = join(dir, 'sky', topic, '0')
  mkdirSync(folder, { recursive: true })
  for (const [offset, { bytes }] of inputs.entries()) {
    writeFileSync(join(folder, `${String(offset).padStart(12, '0')}.avro`), bytes)
  }
  const run = await nightjar('run', '--once', '--home', home, '--from', join(dir, 'sky'))
  assert.equal(run.status, 0, run.err)
  audit = await runHere(['audit', '--home', home])
  const at = { survey: 'ztf', project: 'local' } as const
  const ground = await openGround(home, at)
  const dead = ground.messages.knownTopicId(topicName(at, 'dead_letter'))
  const claims = await ground.bucket('broker_files')
  for (const letter of ground.messages.after(dead, 0, { messages: Infinity, bytes: Infinity })) {
    letters.push(await redeem(letter, claims))
  }
  await ground.close()
})

test('the audit accounts for every one of them', () => {
  assert.equal(audit.status, 0)
  const expected = `each of ${inputs.length} occurrences is accounted for at every stage`
  assert.ok(audit.out.includes(expected), audit.out)
})

test('each is whole in the dead letters of each stage, with its reason and where it came from', () => {
  const found = new Set<string>()
  for (const { data, attributes } of letters) {
    const { topic: from, partition, offset } = occurrenceOf(attributes)
    const one = inputs[Number(offset)]
    const stage = attributes[deadLetterAttributes.stage] ?? ''
    const reason = attributes[deadLetterAttributes.reason] ?? ''
    assert.equal(`${from}[${partition}]`, `${topic}[0]`)
    assert.ok(one)
    assert.equal(Buffer.compare(data, one.bytes), 0, `${one.name} is kept as it came`)
    assert.match(reason, /^Cannot [a-z]+ [^:]+: .*[^.]$/s, `${stage} of ${one.name}`)
    assert.notEqual(attributes[deadLetterAttributes.code], 'unknown')
    assert.ok(Date.parse(attributes[deadLetterAttributes.at] ?? '') > 0)
    found.add(`${stage} ${offset}`)
  }
  for (const [offset, one] of inputs.entries()) {
    for (const stage of stages.filter((name) => pipeline[name].reads === 'alert_data')) {
      const died = found.has(`${stage} ${offset}`)
      assert.equal(died, dies(stage, one) ?? died, `${stage} of ${one.name}`)
    }
  }
})

test('none of them holds up or harms the sound ones, of which the big one goes by claim', async () => {
  const { out } = await runHere([
    ...['query', '--json', '--home', home],
    `SELECT objectId, CAST(candid AS VARCHAR) AS candid, kafka_offset FROM alerts`,
  ])
  const rows = new Map(
    out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, string>)
      .map((row) => [Number(row['kafka_offset']), row]),
  )
  const bucket = join(home, 'buckets/local_ztf_alert_avro_bucket', topic)
  for (const [offset, { name, bytes, good }] of inputs.entries()) {
    if (!good || !/sound/.test(name)) continue
    const row = rows.get(offset)
    assert.ok(row, `${name} at ${offset}`)
    const file = join(bucket, row['objectId'] ?? '', `${row['candid']}.avro`)
    assert.equal(Buffer.compare(readFileSync(file), bytes), 0)
  }
})
