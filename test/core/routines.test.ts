import assert from 'node:assert/strict'
import { test } from 'node:test'

import { emptyQuery, sqlType } from '../../core/googlesql.ts'
import { surveys, type Survey } from '../../core/names.ts'
import { columnsRead, routineBody, routinesOf } from '../../core/routines.ts'
import type { Column } from '../../core/row.ts'
import { createShapes } from '../../functions/warehouse/shape.ts'
import { bundledIds, bundledSchemas, loadZtfSchema, schemaById } from '../../schemas/registry.ts'
import { parseSchema, type Schema } from '../../schemas/schema.ts'

/** Every column with its path and type: `candidate.jd FLOAT64`. */
function paths(columns: readonly Column[], above = ''): string[] {
  return columns.flatMap((column) => [
    ...(column.fields === undefined ? [`${above}${column.name} ${sqlType(column)}`] : []),
    ...paths(
      column.fields ?? [],
      `${above}${column.name}${column.mode === 'REPEATED' ? '[]' : ''}.`,
    ),
  ])
}

test('the view at its birth has columns of the names and types that alerts bring', () => {
  const newest: Record<Survey, Schema> = {
    ztf: parseSchema(loadZtfSchema('4.02').text),
    lsst: schemaById(bundledSchemas(), Math.max(...bundledIds())),
  }
  for (const survey of surveys) {
    const real = new Set(paths(createShapes()(newest[survey], undefined).columns))
    const lacking = paths(columnsRead(survey)).filter((path) => !real.has(path))
    assert.deepEqual(lacking, [], survey)
  }
})

test('a routine names tables and functions with their project, and nothing bare', () => {
  for (const survey of surveys) {
    for (const routine of routinesOf(survey, 'bigquery')) {
      const body = routineBody(routine, 'bigquery', 'my-project.sky')
      assert.doesNotMatch(body, /(?<!`my-project\.sky`\.)\b(healpix|separation)\(/, routine.name)
      assert.doesNotMatch(body, /FROM alerts\b/, routine.name)
    }
  }
})

test('a query of nothing says the type of each column', () => {
  assert.equal(
    emptyQuery([
      { name: 'a', type: 'INT32', mode: 'NULLABLE' },
      {
        ...{ name: 'b', type: 'RECORD', mode: 'REPEATED' },
        fields: [{ name: 'c', type: 'FLOAT32', mode: 'NULLABLE' }],
      },
    ]),
    'SELECT CAST(NULL AS INT64) AS `a`, CAST([] AS ARRAY<STRUCT<`c` FLOAT64>>) AS `b`\nLIMIT 0',
  )
})
