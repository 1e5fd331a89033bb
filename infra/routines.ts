/**
 * The routines that read the view `alerts`, as one script for BigQuery. BigQuery looks at a body when its routine is
 * made, and the view comes with the first alert: so the stack cannot make them, and this is run once after it,
 * and again where a table gets new columns:
 *
 *     node infra/routines.ts my-project ztf [instance] | bq query --nouse_legacy_sql
 */
import { datasetName, surveys, type Survey } from '../core/names.ts'
import { routinesOf, routineStatement } from '../core/routines.ts'

const [project = '', word = 'ztf', instance] = process.argv.slice(2)
const survey = surveys.find((name: Survey) => name === word)
if (project === '' || survey === undefined) {
  process.stderr.write(`usage: node infra/routines.ts PROJECT ${surveys.join('|')} [INSTANCE]\n`)
  process.exit(2)
}
const dataset = `${project}.${datasetName({ project, survey, ...(instance !== undefined && { instance }) })}`
for (const routine of routinesOf(survey, 'bigquery')) {
  if (!/\balerts\b/.test(routine.body)) continue
  process.stdout.write(`${routineStatement(routine, 'bigquery', dataset)};\n\n`)
}
