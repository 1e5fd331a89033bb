import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { test } from 'node:test'

import { parse } from 'smol-toml'

import { checkConfig } from '../../infra/config.ts'

const example = (): Record<string, unknown> =>
  parse(readFileSync(resolve(import.meta.dirname, '../../infra/example.toml'), 'utf8'))

test('the example is a whole configuration', () => {
  const config = checkConfig(example(), {})
  assert.equal(config.project, 'my-project')
  assert.deepEqual(config.surveys, ['ztf'])
  assert.equal(config.instance, undefined)
  assert.deepEqual(config.subscribers, [])
})

test('every fault is told at once, with its path, its value and what is allowed', () => {
  const given = {
    ...example(),
    project: 'My Project',
    zone: 'europe-west4-a',
    surveys: ['ztf', 'panstarrs'],
    retention_days: 40,
    subscribers: ['allUsers'],
    max_instance: 3,
    max_instances: undefined,
    notify: undefined,
    archive: { nearline_after_days: 90, archive_after_days: 30 },
  }
  assert.throws(
    () => checkConfig(given, {}),
    (error: Error & { code?: string }) => {
      assert.equal(error.code, 'config_invalid')
      for (const told of [
        /project: "My Project" must be a project id/,
        /zone: "europe-west4-a" must be in the region "us-central1"/,
        /surveys\[1\]: "panstarrs" must be one of ztf, lsst/,
        /retention_days: 40 must be a whole number from 1 to 31/,
        /subscribers\[0\]: "allUsers" must be a principal/,
        /max_instance: is not known here: is it "max_instances"\?/,
        /max_instances: must be given/,
        /notify: is missing/,
        /archive\.archive_after_days: 30 must be more than nearline_after_days/,
      ]) {
        assert.match(error.message, told)
      }
      return true
    },
  )
})

test('both surveys may be named, none twice, and nobody is told or let in twice', () => {
  assert.deepEqual(checkConfig({ ...example(), surveys: ['ztf', 'lsst'] }, {}).surveys, [
    'ztf',
    'lsst',
  ])
  const [group, mail] = ['group:astro@example.org', 'a@example.org']
  const twice = {
    surveys: ['ztf', 'ztf'],
    subscribers: [group, group],
    analysts: [group, 'user:b@example.org', group],
    notify: [mail, mail],
  }
  assert.throws(
    () => checkConfig({ ...example(), ...twice }, {}),
    /4 faults[\s\S]*surveys\[1\]: "ztf" must be named once[\s\S]*analysts\[2\]: "group:astro@example.org" must be/,
  )
  assert.throws(
    () => checkConfig({ ...example(), surveys: [] }, {}),
    /surveys: \[\] must be a list/,
  )
})

test('nothing that costs money has a default', () => {
  assert.throws(
    () => checkConfig({}, {}),
    /project.*region.*zone.*surveys.*streams.*retention_days.*max_instances.*machine_type.*tick.*notify.*archive/s,
  )
})

test('a survey’s nights are driven by a machine, unless a function is asked for', () => {
  const driven = (conductor: unknown, env = {}) =>
    checkConfig({ ...example(), surveys: ['ztf', 'lsst'], conductor }, env).conductor
  assert.deepEqual(checkConfig(example(), {}).conductor, { ztf: 'machine', lsst: 'machine' })
  assert.deepEqual(driven({ lsst: 'function' }), { ztf: 'machine', lsst: 'function' })
  assert.deepEqual(driven(undefined, { NIGHTJAR__CONDUCTOR__ZTF: 'function' }), {
    ztf: 'function',
    lsst: 'machine',
  })
  assert.throws(
    () => checkConfig({ ...example(), conductor: { ztf: 'cron', lsst: 'function', gcn: 1 } }, {}),
    (error: Error) => {
      assert.match(error.message, /3 faults/)
      assert.match(error.message, /conductor\.ztf: "cron" must be "machine" or "function"/)
      assert.match(error.message, /conductor\.lsst: "function" must be of one of the surveys/)
      assert.match(error.message, /conductor\.gcn: is not known here/)
      return true
    },
  )
})

test('P27 project and zone may come from GOOGLE_CLOUD_PROJECT and CE_zone, as they did', () => {
  const { project: _, zone: __, ...silent } = example()
  const config = checkConfig(silent, { GOOGLE_CLOUD_PROJECT: 'ardent-1', CE_zone: 'us-central1-f' })
  assert.equal(config.project, 'ardent-1')
  assert.equal(config.zone, 'us-central1-f')
})
