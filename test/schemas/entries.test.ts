import assert from 'node:assert/strict'
import { test } from 'node:test'

import { mapsToEntries } from '../../schemas/entries.ts'
import { parseSchema } from '../../schemas/schema.ts'

test('mapsToEntries() makes lists of key and value of maps, however deep, and leaves the rest', () => {
  const schema = parseSchema(
    JSON.stringify({
      type: 'record',
      name: 'r',
      fields: [
        { name: 'plain', type: 'int' },
        { name: 'scores', type: ['null', { type: 'map', values: 'double' }] },
        {
          name: 'list',
          type: {
            type: 'array',
            items: {
              type: 'record',
              name: 'inner',
              fields: [{ name: 'm', type: { type: 'map', values: 'string' } }],
            },
          },
        },
      ],
    }),
  )
  const record = { plain: 1, scores: { a: 0.5, b: 1 }, list: [{ m: {} }, { m: { x: 'y' } }] }
  assert.deepEqual(mapsToEntries(schema, record), {
    plain: 1,
    scores: [
      { key: 'a', value: 0.5 },
      { key: 'b', value: 1 },
    ],
    list: [{ m: [] }, { m: [{ key: 'x', value: 'y' }] }],
  })
  assert.equal(mapsToEntries(schema, { ...record, scores: null })['scores'], null)
})

test('mapsToEntries() gives back the very record where the schema has no map', () => {
  const schema = parseSchema('{"type":"record","name":"r","fields":[{"name":"a","type":"int"}]}')
  const record = { a: 1 }
  assert.equal(mapsToEntries(schema, record), record)
})
