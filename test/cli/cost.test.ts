import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { billOf, keptOf, places, type Line } from '../../cli/bill.ts'
import { prices, pricesOf } from '../../cli/prices.ts'
import { readersOf, stagesOf } from '../../core/pipeline.ts'
import { repository, runHere } from '../night/harness.ts'

const sum = (lines: readonly { dollars: number }[]): number =>
  lines.reduce((all, { dollars }) => all + dollars, 0)

test('a bill has lines for the intake, every reader and every stage', () => {
  const known = ['intake', ...readersOf('ztf').map(({ name }) => name), ...stagesOf('ztf')]
  const found = billOf('ztf', 1e6).map(({ stage }) => stage)
  assert.deepEqual(new Set(found), new Set(known))
})

test('a bill grows with the alerts, but for machine and instances that wait for the next alert', () => {
  const waits = ({ item }: Line): boolean => /machine|computing|memory/.test(item)
  const [one, two] = [billOf('ztf', 1e6), billOf('ztf', 2e6)]
  const grows = (lines: readonly Line[]): number => sum(lines.filter((line) => !waits(line)))
  assert.ok(Math.abs(grows(two) - 2 * grows(one)) < 1e-9)
  const waiting = (lines: readonly Line[]): number => sum(lines.filter(waits))
  assert.ok(waiting(two) < 1.5 * waiting(one))
  assert.ok(waiting(billOf('ztf', 1e8)) > 10 * waiting(one))
})

test('alerts that come evenly keep an instance for 1 − e^−λτ of the night', () => {
  const requestSeconds = { packets: 0.1, salt2: 1 }
  const lines = billOf('ztf', 360_000, 'functions', { hours: 10, requestSeconds })
  const paid = lines.find(({ stage, item }) => stage === 'packets' && item === 'computing')
  assert.ok(Math.abs((paid?.quantity ?? 0) - 36_000 * (1 - Math.exp(-1))) < 1)
})

test('stages on the machine pay for no requests, and for a larger machine where they need it', () => {
  const lines = billOf('ztf', 1e6, 'machine')
  assert.ok(!lines.some(({ item }) => item === 'requests' || item === 'computing'))
  assert.ok(sum(lines) < sum(billOf('ztf', 1e6)))
  const [one, large] = [lines, billOf('ztf', 5e7, 'machine')].map(
    (all) => all.find(({ item }) => item.startsWith('machine'))?.quantity ?? 0,
  )
  assert.ok(large !== undefined && one !== undefined && large >= 8 * one)
})

test('a million alerts of ZTF cost a quarter of what the original published, at most', () => {
  assert.ok(sum(billOf('ztf', 1e6)) <= 50.9 / 4)
  assert.ok(sum(billOf('ztf', 3e5, 'machine')) <= (0.3 * 50.9) / 4)
})

test('an alert that is published and delivered costs what its bytes cost, an object its write', () => {
  const lines = billOf('ztf', 1e6, 'functions', {
    alertBytes: 2 ** 40 / 1e6,
    attributeBytes: 0,
  })
  const of = (stage: string, item: string): number =>
    lines.find((line) => line.stage === stage && line.item === item)?.dollars ?? NaN
  assert.equal(of('intake', 'alert published'), 40)
  assert.equal(of('packets', 'alert delivered'), 40)
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
  const page = readFileSync(join(repository, 'docs/cost.md'), 'utf8')
  assert.ok(page.includes(out), out)
  for (const [row, words] of [
    ['300,000 of ZTF', ['--alerts', '300000']],
    ['1,000,000 of ZTF', ['--alerts', '1000000']],
    ['10,000,000 of LSST', ['--alerts', '10000000', '--survey', 'lsst']],
  ] as const) {
    const cells = []
    for (const place of places) {
      const bill = await runHere(['cost', ...words, '--stages-on', place, '--json'])
      const { total, perMillion } = JSON.parse(bill.out) as Record<string, number>
      cells.push(`${total?.toFixed(2)}`, `${perMillion?.toFixed(2)}`)
    }
    assert.ok(
      page.replaceAll(/ +/g, ' ').includes(`| ${row} | ${cells.join(' | ')} |`),
      `${row}: ${cells.join(' | ')}`,
    )
  }
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
