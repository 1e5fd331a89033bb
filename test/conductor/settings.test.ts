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
  assert.deepEqual(parse(undefined), { rules: defaultRules, summary: false })
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

test('[conductor.public] is a URL that tells the nights apart', () => {
  const archive = 'https://example.org/ztf_public_{night}.tar.gz'
  assert.equal(parse({ public: { archive } }).publicArchive, archive)
  for (const wrong of ['https://example.org/ztf_public.tar.gz', 'ztf_public_{night}.tar.gz']) {
    assert.throws(
      () => parse({ public: { archive: wrong } }),
      /conductor\.public\.archive: .*\{night\}/,
    )
  }
  assert.throws(() => parse({ public: {} }), /conductor\.public\.archive/)
})

const mail = { host: 'smtp.example.org', from: 'night@example.org', to: ['all@example.org'] }

test('[conductor.mail] takes the port that its kind of TLS has, and secrets by reference', () => {
  const login = { username: 'night', password: { env: 'MAIL' } }
  const env = { MAIL: 'hush' }
  assert.deepEqual(parse({ summary: true, mail: { ...mail, ...login } }, env), {
    rules: defaultRules,
    summary: true,
    mail: {
      ...mail,
      port: 587,
      tls: 'starttls',
      login: { username: 'night', password: { from: 'env', name: 'MAIL' } },
    },
  })
  assert.equal(parse({ mail: { ...mail, tls: 'tls' } }).mail?.port, 465)
})

test('[conductor.mail] sends no password in the clear and to no half address', () => {
  const login = { username: 'night', password: { file: '/run/secrets/mail' } }
  const written = { ...mail, ...login, tls: 'none', from: 'night', to: ['a@b.c', 'x y@z'] }
  assert.throws(
    () => parse({ mail: written }),
    ({ message }: Error) => {
      assert.match(message, /conductor\.mail\.tls: "none" must be "starttls" or "tls" where a pass/)
      assert.match(message, /conductor\.mail\.from: "night" must be an address/)
      assert.match(message, /conductor\.mail\.to.*"x y@z" must be/)
      return true
    },
  )
})
