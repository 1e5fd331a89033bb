import assert from 'node:assert/strict'
import { test } from 'node:test'

import { compileSelector, type Field } from '../../control/selector/compile.ts'
import { parseSelector } from '../../control/selector/parser.ts'
import { pubsubFilter, type KnownAttribute } from '../../control/selector/pubsub.ts'
import { parseFilter } from '../../core/filter.ts'
import { createRandom } from '../../simulator/random.ts'
import { generateSelector, type KnownName } from './generate.ts'

const known: Readonly<Record<string, KnownAttribute>> = {
  objectId: { key: 'objectId', kind: 'text' },
  topic: { key: 'kafka.topic', kind: 'text' },
  fid: { key: 'fid', kind: 'integer' },
  candid: { key: 'candid', kind: 'integer' },
}

const filterOf = (text: string): string => pubsubFilter(parseSelector(text), (name) => known[name])

test('the part of a selector that Pub/Sub can do is pushed down', () => {
  const cases: [string, string][] = [
    ["objectId = 'ZTF1' AND rb > 0.5", 'attributes.objectId = "ZTF1"'],
    [
      "fid = 1 AND objectId LIKE 'ZTF18%'",
      'attributes.fid = "1" AND hasPrefix(attributes.objectId, "ZTF18")',
    ],
    [
      "objectId IN ('a', 'b') AND fid <> 2.0",
      '(attributes.objectId = "a" OR attributes.objectId = "b") AND attributes.fid != "2"',
    ],
    ["objectId = 'a' OR rb > 0.5", ''],
    ["NOT (objectId = 'a' OR rb > 0.5)", 'attributes.objectId != "a"'],
    ["NOT (objectId = 'a' AND rb > 0.5)", ''],
    ["topic LIKE 'ztf!_%x' ESCAPE '!'", 'hasPrefix(attributes."kafka.topic", "ztf_")'],
    ["topic NOT LIKE '%x'", ''],
    ['fid IS NULL', 'NOT attributes:fid'],
    ['candid = 9007199254740993.0', ''],
    ['candid = 9007199254740993', 'attributes.candid = "9007199254740993"'],
    [`objectId = 'a' AND topic = '${'x'.repeat(300)}'`, 'attributes.objectId = "a"'],
    ['', ''],
  ]
  for (const [text, filter] of cases) assert.equal(filterOf(text), filter, text)
})

test('what is pushed down never drops what the selector selects', (t) => {
  const random = createRandom('pushdown')
  const names: KnownName[] = [
    { name: 'objectId', kind: 'text', values: ['ZTF1', 'ZTF"2\\', 'ZTF', '', 'é'] },
    { name: 'topic', kind: 'text', values: ['ztf_a', 'ztf_b', '%_'] },
    { name: 'fid', kind: 'integer', values: [1, 2, 3] },
    { name: 'candid', kind: 'integer', values: [9007199254740993n, 5n, -7n] },
    { name: 'rb', kind: 'double', values: [0.5, 1] },
  ]
  const subjects = Array.from({ length: 60 }, () =>
    Object.fromEntries(
      names.flatMap(({ name, values }) =>
        random.chance(0.2) ? [] : [[name, random.pick(values)]],
      ),
    ),
  ) as Record<string, unknown>[]
  let pushed = 0
  let spared = 0
  for (let n = 0; n < 3000; n++) {
    const text = generateSelector({ random, names, depth: n % 4 })
    const selector = parseSelector(text)
    const filter = filterOf(text)
    if (filter === '') continue
    pushed++
    const passes = parseFilter(filter)
    const { selects } = compileSelector<Record<string, unknown>>(selector, (name) => {
      const kind = names.find((one) => one.name === name)?.kind
      return kind === undefined || kind === 'none'
        ? undefined
        : ({ kind, path: [name] } satisfies Field<unknown>)
    })
    for (const subject of subjects) {
      const attributes = Object.fromEntries(
        Object.entries(subject).flatMap(([name, value]) => {
          const key = known[name]?.key
          return key === undefined ? [] : [[key, String(value)]]
        }),
      )
      if (!passes(attributes)) {
        spared++
        assert.equal(
          selects(subject),
          false,
          `${text} → ${filter} on ${JSON.stringify(attributes)}`,
        )
      }
    }
  }
  t.diagnostic(`${pushed} of 3000 selectors were pushed down; ${spared} deliveries were spared`)
  assert.ok(pushed > 300)
})
