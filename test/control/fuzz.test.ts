import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parsePayload } from '../../control/payload.ts'
import { fuzz } from './fuzz.ts'

test('messages, payloads, selectors and dispatchers withstand what is put wrong in them', async (t) => {
  const seed = Number(process.env['NIGHTJAR_SEED'] ?? Date.now() % 1_000_000)
  const report = await fuzz({ inputs: 4000, seed })
  t.diagnostic(`seed ${seed}: ${report.taken} read, ${report.refused} refused`)
  assert.ok(report.taken > 400 && report.refused > 400)
})

test('a payload that repeats one name is read in the time of its length', () => {
  const count = 300_000
  const payload = `{${'"a":{"int":"1"},'.repeat(count)}"a":{"int":"2"}}`
  assert.equal(parsePayload(payload).get('a')?.values.length, count + 1)
})
