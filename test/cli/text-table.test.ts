import assert from 'node:assert/strict'
import { test } from 'node:test'

import {
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatTable,
} from '../../cli/text-table.ts'

test('formatTable() puts numbers to the right and words to the left', () => {
  const text = formatTable(
    ['stage', 'n'],
    [
      ['archive', '1,205'],
      ['all', '7'],
    ],
  )
  assert.equal(text, 'stage        n\n──────────────\narchive  1,205\nall          7\n')
})

test('formatTable() leaves no blank at the end of a line', () => {
  const text = formatTable(
    ['a', 'word'],
    [
      ['1', 'x'],
      ['2', ''],
    ],
  )
  assert.deepEqual(text.split('\n'), ['a  word', '───────', '1  x', '2', ''])
})

test('formatTable() without rows is heads and a rule', () => {
  assert.equal(formatTable(['one', 'two'], []), 'one  two\n────────\n')
})

test('formatCount() parts thousands', () => {
  assert.equal(formatCount(0), '0')
  assert.equal(formatCount(999), '999')
  assert.equal(formatCount(1000), '1,000')
  assert.equal(formatCount(1234567), '1,234,567')
  assert.equal(formatCount(1186453211615015021n), '1,186,453,211,615,015,021')
})

test('formatBytes() keeps three digits', () => {
  const table: [number, string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.00 kB'],
    [71600, '71.6 kB'],
    [999_400, '999 kB'],
    [999_600, '1.00 MB'],
    [1_340_000_000, '1.34 GB'],
    [2e15, '2000 TB'],
  ]
  for (const [bytes, text] of table) assert.equal(formatBytes(bytes), text)
})

test('formatDuration() speaks as a person does', () => {
  const table: [number, string][] = [
    [0.04, '0.0 s'],
    [8.25, '8.3 s'],
    [9.97, '10 s'],
    [59.4, '59 s'],
    [59.6, '1 min 0 s'],
    [200, '3 min 20 s'],
    [3599.7, '1 h 00 min'],
    [7500, '2 h 05 min'],
  ]
  for (const [seconds, text] of table) assert.equal(formatDuration(seconds), text)
})

test('formatNumber() shows a float32 by its own digits and any other number whole', () => {
  const shown = [Math.fround(16.89), Math.fround(0.1), 0.1, 2461365.9173376, 3, -999, NaN]
  assert.deepEqual(shown.map(formatNumber), [
    '16.89',
    '0.1',
    '0.1',
    '2461365.9173376',
    '3',
    '-999',
    'NaN',
  ])
})
