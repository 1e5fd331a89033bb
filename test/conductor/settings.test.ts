import assert from 'node:assert/strict'
import { test } from 'node:test'

import { defaultRules } from '../../conductor/rules.ts'
import { parseConductor, type ConductorSettings } from '../../conductor/settings.ts'
import { parseConfig } from '../../consumer/config.ts'

function parse(conductor: unknown, env: Record<string, string> = {}): ConductorSettings {
  let found = parseConductor(undefined)
  parseConfig({ conductor }, env, { conductor: (section) => (found = parseConductor(section)) })
  return found
}

test('[conductor] sets some times and leaves the others as usual', () => {
  const { rules } = parse({ gate: '90m', retention: '3d', settle: '0s' })
  assert.deepEqual(rules, {
    ...defaultRules,
    gate: 5_400_000,
    retention: 3 * 86_400_000,
    settle: 0,
  })
  assert.deepEqual(parse(undefined), { rules: defaultRules })
})

test('the environment sets a time of the conductor', () => {
  assert.equal(parse({}, { NIGHTJAR__CONDUCTOR__STABLE: '30m' }).rules.stable, 1_800_000)
})

test('every fault of [conductor] is told at once, and no webhook is repeated', () => {
  const written = { gate: 90, stable: 'soon', drain: '1h', webhook: 5 }
  assert.throws(
    () => parse(written),
    ({ message }: Error) => {
      assert.match(message, /4 faults/)
      assert.match(message, /conductor\.gate: 90 must be a duration/)
      assert.match(message, /conductor\.stable: "soon" must be a duration/)
      assert.match(message, /conductor\.drain: is not known here/)
      assert.match(message, /conductor\.webhook: \(not shown\) must be a reference/)
      return true
    },
  )
})
