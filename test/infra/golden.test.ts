import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { goldenFolder, goldenText, goldenTexts } from './golden.ts'
import { skipWithoutPackages } from './stacks.ts'

const remedy = 'if it is meant, "make golden" renews it: look at its diff'

/** What is in one text and not in the other, a few lines of it. */
function difference(expected: string, found: string): string[] {
  const [before, after] = [new Set(expected.split('\n')), new Set(found.split('\n'))]
  const gone = [...before].filter((line) => !after.has(line)).map((line) => `- ${line}`)
  const come = [...after].filter((line) => !before.has(line)).map((line) => `+ ${line}`)
  const all = [...gone, ...come].map((line) => line.slice(0, 200))
  return all.length > 20 ? [...all.slice(0, 20), `… ${all.length - 20} more`] : all
}

test('the stacks are what was reviewed', { skip: skipWithoutPackages }, async () => {
  const texts = await goldenTexts()
  const standing = existsSync(goldenFolder) ? readdirSync(goldenFolder).sort() : []
  assert.deepEqual(standing, [...texts.keys()].sort(), remedy)
  for (const [name, text] of texts) {
    const expected = readFileSync(join(goldenFolder, name), 'utf8')
    const changed = difference(expected, text)
    assert.ok(expected === text, `${name} has changed; ${remedy}\n${changed.join('\n')}`)
  }
})

test('the text is sorted, opens JSON within JSON, and hides what changes with each bundle', () => {
  const hash = '0123456789ABCDEF0123456789ABCDEF'
  const stack = {
    '//': { metadata: 1 },
    resource: {
      b: { two: { schema: '[{"name":"night"}]', '//': { path: 'x' } } },
      a: { one: { source: `assets/x/${hash}/packets-0123456789abcdef.zip`, empty: {} } },
    },
  }
  assert.equal(
    goldenText(JSON.stringify(stack)),
    [
      'resource.a.one.empty = {}',
      'resource.a.one.source = "assets/x/<hash>/packets-<hash>.zip"',
      'resource.b.two.schema[0].name = "night"',
      '',
    ].join('\n'),
  )
})
