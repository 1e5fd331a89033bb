import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { Column } from '../../core/row.ts'
import { shapeOf } from '../../schemas/columns.ts'
import { descriptionOf } from '../../schemas/descriptions.ts'
import {
  bundledSchemas,
  bundledVersions,
  loadZtfSchema,
  schemaById,
} from '../../schemas/registry.ts'
import { parseSchema } from '../../schemas/schema.ts'

const columnsIn = (columns: readonly Column[], path = ''): (Column & { path: string })[] =>
  columns.flatMap((column) => [
    { ...column, path: `${path}${column.name}` },
    ...columnsIn(column.fields ?? [], `${path}${column.name}.`),
  ])

test('every column of every ZTF and LSST schema that comes with Nightjar is described', () => {
  const ztf = ['3.2', '3.3', '4.02'].map((version) => parseSchema(loadZtfSchema(version).text))
  const lsst = bundledVersions().map((version) => {
    const [major, minor] = version.split('.')
    return schemaById(bundledSchemas(), 100 * Number(major) + Number(minor))
  })
  let seen = 0
  for (const schema of [...ztf, ...lsst]) {
    for (const { path, description } of columnsIn(shapeOf(schema).columns)) {
      seen++
      // BigQuery takes up to 1,024 characters; a line of a terminal is better.
      assert.match(description ?? '', /^\S.{2,140}$/, path)
      assert.doesNotMatch(description ?? '', /undefined|\.$/, path)
    }
  }
  assert.ok(seen > 4000, `${seen} columns`)
})

test('descriptionOf() reads the names that a survey makes by rule', () => {
  assert.equal(
    descriptionOf('distpsnr2'),
    'Distance to the second nearest Pan-STARRS source within 30 arcsec, arcsec; -999: none',
  )
  assert.equal(descriptionOf('u_psfFluxMeanErr')?.includes('in u, nJy'), true)
  assert.equal(descriptionOf('ra_dec_Cov'), 'Covariance of ra and dec')
  assert.equal(descriptionOf('apFlux_flag'), 'The measurement of apFlux failed')
  assert.equal(descriptionOf('somebodyElses'), undefined)
  assert.equal(descriptionOf('constructor'), undefined)
})

test('a schema of another survey is not described by our words', () => {
  const text = '{"type":"record","name":"elsewhere.alert","fields":[{"name":"a","type":"int"}]}'
  assert.equal(shapeOf(parseSchema(text)).columns[0]?.description, undefined)
})
