import assert from 'node:assert/strict'
import { test } from 'node:test'

import { NightjarError } from '../../core/errors.ts'
import { openContainer } from '../../schemas/container.ts'
import { readRecords } from '../../schemas/decode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import { skipWithoutData } from '../data.ts'
import { listSamples, readSample } from './corpus.ts'
import { cpuTime } from './time.ts'

const skip = skipWithoutData
const folder = 'malformed-avro'

// Faults of the schema that do not touch reading: they are for fixPacket() to refuse.
const readable = /\/good-originals\/|\/null-default-/

function codeOf(read: () => unknown): string {
  const began = cpuTime()
  try {
    read()
    return 'read'
  } catch (error) {
    assert(error instanceof NightjarError, String(error))
    assert.match(error.message, /^Cannot \w+ .+: .+[^.]$/)
    return error.code
  } finally {
    assert(cpuTime() - began < 50)
  }
}

function read(file: string): unknown[] {
  return [...readRecords(openContainer(readSample(file)))]
}

test('readRecords() refuses every malformed file with a sentence, within 50 ms', { skip }, () => {
  const files = listSamples(folder).filter((file) => !readable.test(file))
  for (const file of files) {
    const expected = file.includes('duplicate-field-name') ? 'schema_illegal' : 'packet_undecodable'
    assert.equal(
      codeOf(() => read(file)),
      expected,
      file,
    )
  }
  assert.equal(files.length, 18)
})

test('readRecords() reads the intact originals of damaged files', { skip }, () => {
  const files = listSamples(folder).filter((file) => file.includes('/good-originals/'))
  for (const file of files) assert(read(file).length > 0, file)
  assert.equal(files.length, 12)
})

test('readRecords() hands out no record of a damaged block', { skip }, () => {
  for (const file of listSamples(`${folder}/crlf-to-lf-damage-ampel`)) {
    if (readable.test(file)) continue
    const records: unknown[] = []
    assert.throws(() => {
      for (const record of readRecords(openContainer(readSample(file)))) records.push(record)
    }, NightjarError)
    assert.deepEqual(records, [], file)
  }
})

test(
  'fixPacket() refuses what no order of types can mend, and reading it goes on',
  { skip },
  () => {
    const files = listSamples(folder).filter((file) => file.includes('/null-default-'))
    for (const file of files) {
      assert(read(file).length > 0, file)
      const code = codeOf(() => fixPacket(readSample(file)))
      assert.equal(code, 'schema_illegal', file)
    }
    assert.equal(files.length, 8)
  },
)
