import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatJudged, parseJudged } from '../../../functions/filter/judged.ts'
import { mostFilters, type LiveFilter } from '../../../functions/filter/registry.ts'
import { createRandom } from '../../../simulator/random.ts'

const bankOf = (count: number): { bank: string; filters: LiveFilter[] } => ({
  bank: '4f1c0b7e9a2d',
  filters: Array.from({ length: count }, (_, n) => ({
    name: `filter_${n}`,
    version: (n % 7) + 1,
    selector: 'rb > 0.5',
  })),
})

test('what a bank judged can be read again, however many filters it has', () => {
  const random = createRandom('judged')
  for (const count of [0, 1, 3, 4, 5, 40, 1000, mostFilters]) {
    for (const share of [0, 0.01, 0.5, 1]) {
      const bank = bankOf(count)
      const selected = bank.filters.map(() => random.next() < share)
      const text = formatJudged(bank, selected)
      assert.ok(text.length <= 1000, `${count} filters make ${text.length} characters`)
      const judged = parseJudged(text)
      assert.equal(judged?.bank, bank.bank)
      const read = bank.filters.map((filter, i) => judged?.selected(filter, i))
      assert.deepEqual(read, selected)
    }
  }
})

test('few are named, so that a person can read them', () => {
  const { filters } = bankOf(3)
  const said = formatJudged({ bank: 'ab12', filters }, [true, false, true])
  assert.equal(said, 'bank ab12: filter_0@1, filter_2@3')
  assert.equal(formatJudged({ bank: 'ab12', filters }, [false, false, false]), 'bank ab12')
})

test('what was not judged is not read as if it were', () => {
  for (const reason of ['', 'Cannot read alert: no', 'bank', 'bank ab12:', 'bank xyz: a@1']) {
    assert.equal(parseJudged(reason), undefined, reason)
  }
})
