import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { billOf, keptOf } from '../../cli/bill.ts'
import { prices, pricesOf } from '../../cli/prices.ts'
import { stagesOf } from '../../core/pipeline.ts'
import { repository, runHere } from '../night/harness.ts'

const sum = (lines: readonly { dollars: number }[]): number =>
  lines.reduce((all, { dollars }) => all + dollars, 0)

test('a bill has lines for the intake and every stage, and grows with the alerts but for the machine', () => {
  const one = billOf('ztf', 1e6)
  const two = billOf('ztf', 2e6)
  assert.deepEqual([...new Set(one.map(({ stage }) => stage))], ['intake', ...stagesOf('ztf')])
  const machine = one.find(({ item }) => item === 'machine')?.dollars ?? 0
  assert.ok(Math.abs(sum(two) - machine - 2 * (sum(one) - machine)) < 1e-9)
})

test('an alert that is published and delivered costs what its bytes cost, an object its write', () => {
  const lines = billOf('ztf', 1e6, { alertBytes: 2 ** 40 / 1e6 })
  const of = (stage: string, item: string): number =>
    lines.find((line) => line.stage === stage && line.item === item)?.dollars ?? NaN
  assert.equal(of('intake', 'alert published'), 40)
  assert.equal(of('archive', 'alert delivered'), 40)
  assert.equal(of('archive', 'objects written'), 5)
  assert.ok(sum(keptOf('ztf', 1e6)) > 1)
})

test('nightjar cost prints the sum beside the original’s, and JSON with prices, sources and their day', async () => {
  const { out, status } = await runHere(['cost', '--alerts', '300000', '--json'])
  assert.equal(status, 0)
  const bill = JSON.parse(out) as Record<string, unknown>
  const { total, perMillion, originalPerMillion, share } = bill as Record<string, number>
  assert.equal(originalPerMillion, 50.9)
  assert.ok(Math.abs((perMillion ?? 0) - (total ?? 0) / 0.3) < 1e-9)
  assert.ok(Math.abs((share ?? 0) - (perMillion ?? 0) / 50.9) < 1e-9)
  assert.equal(bill['pricesOf'], pricesOf)
  for (const { source, unit } of Object.values(prices)) assert.ok(source !== '' && unit !== '')
  const text = await runHere(['cost'])
  assert.match(text.out, /^300,000 alerts of ztf, list prices of 2026-09-20\n/)
  assert.match(text.out, /The original published 50\.9 US\$ a million for ZTF: this is \d+ % of it/)
})

test('docs/cost.md shows what nightjar cost prints', async () => {
  const { out } = await runHere(['cost', '--alerts', '1000000'])
  assert.ok(readFileSync(join(repository, 'docs/cost.md'), 'utf8').includes(out))
})

test('nightjar cost refuses what is no number of alerts', async () => {
  for (const words of [
    ['--alerts', '0'],
    ['--alerts', 'many'],
    ['--alerts', '1e12'],
  ]) {
    assert.equal((await runHere(['cost', ...words])).status, 2)
  }
})
