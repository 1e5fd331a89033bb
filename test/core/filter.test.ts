import assert from 'node:assert/strict'
import { test } from 'node:test'

import { parseFilter } from '../../core/filter.ts'

const sample: Record<string, string> = {
  kind: 'sn',
  empty: '',
  'kafka.topic': 'ztf_20261121_programid1',
  'iana.org/lang': 'en"us"',
  Δ: 'ж',
  AND: 'and',
}

test('parseFilter() passes what Pub/Sub would pass', () => {
  const table: [string, boolean][] = [
    ['', true],
    ['  ', true],
    ['attributes:kind', true],
    ['attributes:none', false],
    ['attributes:empty', true],
    ['attributes:constructor', false],
    ['attributes : kind', true],
    ['attributes.kind = "sn"', true],
    ['attributes.kind="agn"', false],
    ['attributes.kind != "agn"', true],
    ['attributes.kind != "sn"', false],
    ['attributes.none != "sn"', true],
    ['attributes.none = ""', false],
    ['attributes.empty = ""', true],
    ['attributes."kafka.topic" = "ztf_20261121_programid1"', true],
    ['attributes:"kafka.topic"', true],
    ['attributes."iana.org/lang" = "en\\"us\\""', true],
    ['attributes."Δ" = "ж"', true],
    ['attributes.AND = "and"', true],
    ['hasPrefix(attributes.kind, "s")', true],
    ['hasPrefix(attributes.kind, "")', true],
    ['hasPrefix(attributes.kind, "sna")', false],
    ['hasPrefix(attributes.none, "")', false],
    ['hasPrefix ( attributes . "kafka.topic" , "ztf_" )', true],
    ['NOT attributes:kind', false],
    ['-attributes:none', true],
    ['NOT NOT attributes:kind', true],
    ['NOT -attributes:kind', true],
    ['attributes:kind AND attributes:empty AND attributes:none', false],
    ['attributes:kind AND attributes:empty', true],
    ['attributes:none OR attributes:nothing', false],
    ['attributes:none OR attributes:nothing OR attributes:kind', true],
    ['NOT attributes:kind OR attributes:empty', true],
    ['NOT (attributes:kind OR attributes:none)', false],
    ['attributes:none AND (attributes:kind OR attributes:empty)', false],
    ['(attributes:none AND attributes:kind) OR attributes:empty', true],
    ['((((attributes:kind))))', true],
    ['\n\tattributes:kind\n', true],
  ]
  for (const [filter, expected] of table) {
    assert.equal(parseFilter(filter)(sample), expected, filter)
  }
})

test('parseFilter() points at the column of what is wrong', () => {
  const table: [string, number][] = [
    ['attribute:kind', 1],
    ['kind = "sn"', 1],
    ['attributes', 11],
    ['attributes:', 12],
    ['attributes.kind', 16],
    ['attributes.kind = sn', 19],
    ['attributes.kind == "sn"', 18],
    ['attributes.kind > "sn"', 17],
    ['attributes.kind = "sn', 19],
    ["attributes.kind = 'sn'", 19],
    ['attributes kind = "sn"', 12],
    ['attributes.kafka.topic = "x"', 17],
    ['attributes:kind attributes:empty', 17],
    ['attributes:kind and attributes:empty', 17],
    ['attributes:a AND', 17],
    ['attributes:a AND attributes:b OR attributes:c', 31],
    ['attributes:a OR attributes:b AND attributes:c', 30],
    ['(attributes:a', 14],
    ['attributes:a)', 13],
    ['()', 2],
    ['NOT', 4],
    ['hasPrefix(attributes.kind "s")', 27],
    ['hasPrefix(attributes:kind, "s")', 21],
    ['hasPrefix(attributes.kind, s)', 28],
    ['  %', 3],
  ]
  for (const [filter, column] of table) {
    assert.throws(
      () => parseFilter(filter),
      (error: { code?: string; message: string }) => {
        assert.equal(error.code, 'input_invalid', filter)
        assert.ok(error.message.startsWith(`Cannot use filter ${JSON.stringify(filter)}: `), filter)
        assert.match(error.message, new RegExp(`: column ${column} (should be|has) `), filter)
        return true
      },
    )
  }
})

test('parseFilter() takes 256 bytes, as Pub/Sub does, and no more', () => {
  const filter = (length: number): string => `attributes:${'k'.repeat(length - 11)}`
  assert.equal(parseFilter(filter(256))({}), false)
  assert.throws(() => parseFilter(filter(257)), {
    code: 'input_invalid',
    message: 'Cannot use a filter of 257 bytes: at most 256 are allowed',
  })
  assert.throws(() => parseFilter(`attributes."${'Δ'.repeat(122)}" = ""`), {
    code: 'input_invalid',
  })
})
