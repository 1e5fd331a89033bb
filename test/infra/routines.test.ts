import assert from 'node:assert/strict'
import { test } from 'node:test'

import { repository, startProgram } from '../night/harness.ts'

const script = (...words: string[]) =>
  startProgram(process.execPath, ['infra/routines.ts', ...words], { cwd: repository }).ended

test('infra/routines.ts writes the statements of the routines that wait for the view, and no others', async () => {
  const { out, status } = await script('my-project', 'ztf', 'rc1')
  assert.equal(status, 0)
  const made = [...out.matchAll(/^CREATE OR REPLACE TABLE FUNCTION `([^`]+)`\.(\w+)\(/gm)]
  assert.deepEqual(
    made.map(([, dataset, name]) => `${dataset} ${name}`),
    ['cone_search', 'latest_per_object', 'light_curve'].map(
      (name) => `my-project.ztf_alerts_rc1 ${name}`,
    ),
  )
  assert.equal(out.match(/\);\n\n/g)?.length, 3)
})

test('infra/routines.ts without a project, or for an unknown survey, says how it is used', async () => {
  for (const words of [[], ['my-project', 'sdss']]) {
    const { out, err, status } = await script(...words)
    assert.equal(status, 2)
    assert.equal(out, '')
    assert.match(err, /^usage: node infra\/routines\.ts PROJECT ztf\|lsst \[INSTANCE\]\n$/)
  }
})
