import assert from 'node:assert/strict'
import { test } from 'node:test'

import { formatStack } from '../../infra/summary.ts'
import { production, skipWithoutPackages, synthesised } from './stacks.ts'

test(
  'the summary tells every resource, the named ones by name',
  { skip: skipWithoutPackages },
  async () => {
    const { text, all } = await synthesised(production)
    const summary = formatStack({ name: 'nightjar-stack', text })
    assert.match(summary, new RegExp(`^nightjar-stack makes ${all.length} resources$`, 'm'))
    assert.match(summary, /^ +\d+ topics: .*\bztf_alert_data\b/m)
    assert.match(summary, /^ +\d+ functions: .*\bztf-packets\b/m)
    const counted = [...summary.matchAll(/(?:^ +|and |, )(\d+) (?=[a-z])/gm)]
    const sum = counted.reduce((sofar, [, number]) => sofar + Number(number), 0)
    assert.equal(sum, all.length, 'nothing is left out of the count')
  },
)

test('a stack of one thing reads well', () => {
  const stack = { resource: { google_storage_bucket: { one: { name: 'a-bucket' } } } }
  assert.equal(
    formatStack({ name: 'small', text: JSON.stringify(stack) }),
    'small makes 1 resource\n    1 buckets: a-bucket\n',
  )
})
