import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'

import { readAlert, readAlertWithoutCutouts } from '../../schemas/alert.ts'
import { isContainer, openContainer, splitContainer } from '../../schemas/container.ts'
import { readRecords } from '../../schemas/decode.ts'
import { trimPacket } from '../../schemas/trim.ts'
import { dataDir, skipWithoutData } from '../data.ts'
import { readSample, readSamples } from './corpus.ts'
import { digestOf } from './digest.ts'

const skip = skipWithoutData

function recordsOf(bytes: Uint8Array): unknown[] {
  return isContainer(bytes) ? [...readRecords(openContainer(bytes))] : [readAlert(bytes).record]
}

test(
  'readRecords() agrees with independent decoders on every value of every file',
  { skip },
  () => {
    const samples = readSamples()
    for (const { file, records, digest } of samples) {
      const values = recordsOf(readSample(file))
      assert.equal(values.length, records, file)
      assert.equal(digestOf(values), digest, file)
    }
    assert.equal(samples.length, 1880)
  },
)

test('readAlert() gives the values written down in the golden files', { skip }, () => {
  const names = readdirSync(resolve(dataDir, 'golden')).filter((name) => name.endsWith('.json'))
  for (const name of names) {
    const golden: unknown = JSON.parse(readFileSync(resolve(dataDir, 'golden', name), 'utf8'))
    const file = name.replaceAll('__', '/').replace(/json$/, 'avro')
    assert.deepEqual([goldenOf(readAlert(readSample(file)).record)], golden, name)
  }
  assert.equal(names.length, 14)
})

test('splitContainer() gives each record of every container, in order', { skip }, () => {
  for (const { file, records, digest } of readSamples()) {
    const bytes = readSample(file)
    if (!isContainer(bytes) || records === 1) continue
    const parts = splitContainer(bytes)
    assert.equal(parts.length, records, file)
    assert.equal(digestOf(parts.flatMap(recordsOf)), digest, file)
  }
})

test('trimPacket() keeps every value but the cutouts of every file', { skip }, () => {
  for (const { file } of readSamples()) {
    const bytes = readSample(file)
    const expected = recordsOf(bytes).map(withoutCutouts)
    const trimmed = trimPacket(bytes)
    assert.equal(digestOf(recordsOf(trimmed)), digestOf(expected), file)
    assert.deepEqual(trimPacket(bytes), trimmed, file)
    assert.equal(trimPacket(trimmed), trimmed, file)
  }
})

test('readAlertWithoutCutouts() reads what readAlert() reads but the cutouts', { skip }, () => {
  for (const { file, records } of readSamples()) {
    if (records !== 1 || file.startsWith('avro-interop')) continue
    const bytes = readSample(file)
    const { record } = readAlert(bytes)
    const brief = readAlertWithoutCutouts(bytes).record
    assert.equal(digestOf([brief]), digestOf([withoutCutouts(record)]), file)
  }
})

function withoutCutouts(record: unknown): unknown {
  if (typeof record !== 'object' || record === null || Array.isArray(record)) return record
  if (record instanceof Uint8Array) return record
  return Object.fromEntries(Object.entries(record).filter(([name]) => !name.startsWith('cutout')))
}

/** A decoded value as the golden files write it. */
function goldenOf(value: unknown): unknown {
  if (typeof value === 'bigint') {
    const isSafe = BigInt.asIntN(54, value) === value
    return isSafe ? Number(value) : { $long: String(value) }
  }
  if (Number.isNaN(value)) return { $float: 'NaN' }
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) {
    return { $bytes: value.length, sha256: createHash('sha256').update(value).digest('hex') }
  }
  if (Array.isArray(value)) return value.map(goldenOf)
  return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, goldenOf(entry)]))
}
