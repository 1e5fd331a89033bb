/** The data set of a survey: the tables that exist before the first alert, its functions, and who may ask. */
import { BigqueryDatasetIamMember } from '@cdktf/provider-google/lib/bigquery-dataset-iam-member/index.js'
import { BigqueryDataset } from '@cdktf/provider-google/lib/bigquery-dataset/index.js'
import { BigqueryRoutine } from '@cdktf/provider-google/lib/bigquery-routine/index.js'
import { BigqueryTable } from '@cdktf/provider-google/lib/bigquery-table/index.js'
import { ProjectIamMember } from '@cdktf/provider-google/lib/project-iam-member/index.js'

import { emptyQuery } from '../core/googlesql.ts'
import { ledgerShape } from '../core/ledger.ts'
import { datasetName } from '../core/names.ts'
import { stageNamed, stages } from '../core/pipeline.ts'
import { columnsRead, routineBody, routinesOf } from '../core/routines.ts'
import type { Column, ColumnType } from '../core/row.ts'
import { guarded, idOf, type SurveyContext } from './context.ts'
import { memberOf, type Accounts } from './identities.ts'

export interface Warehouse {
  dataset: BigqueryDataset
  ledger: BigqueryTable
}

export function addWarehouse(
  { stack, at, config, labels, readers }: SurveyContext,
  accounts: Accounts,
): Warehouse {
  const dataset = new BigqueryDataset(stack, `dataset-${at.survey}`, {
    datasetId: datasetName(at),
    location: config.region,
    labels,
    description: `Alerts of ${at.survey.toUpperCase()}, what was made of them, and the ledger`,
    deleteContentsOnDestroy: config.instance !== undefined,
    ...guarded(config),
  })
  const ledger = new BigqueryTable(stack, idOf('table', at.survey, 'ledger'), {
    datasetId: dataset.datasetId,
    tableId: ledgerShape.table,
    labels,
    description: 'What became of each occurrence at each stage',
    schema: JSON.stringify(ledgerShape.columns.map(fieldOf)),
    timePartitioning: { type: 'DAY', field: 'recorded_at' },
    clustering: ['night', 'stage', 'kafka_topic', 'kafka_partition'],
    deletionProtection: config.instance === undefined,
    // Columns are added by the programs, as packets bring them; the stack must not take them back.
    lifecycle: { ...guarded(config).lifecycle, ignoreChanges: ['schema'] },
  })

  // BigQuery checks a function's body when it is made, so the view that they read is born here, empty and
  // with what they name of it; the warehouse makes it show its tables as packets bring them.
  const view = new BigqueryTable(stack, idOf('table', at.survey, 'alerts'), {
    datasetId: dataset.datasetId,
    tableId: stages.warehouse.table,
    labels,
    description: 'Every alert once, of all schema versions',
    view: { query: emptyQuery(columnsRead(at.survey)), useLegacySql: false },
    deletionProtection: config.instance === undefined,
    lifecycle: { ...guarded(config).lifecycle, ignoreChanges: ['view', 'schema'] },
  })

  const path = `${at.project}.${datasetName(at)}`
  let before: BigqueryRoutine[] = []
  for (const routine of routinesOf(at.survey, 'bigquery')) {
    const isTable = routine.answers === 'TABLE'
    const made = new BigqueryRoutine(stack, `routine-${at.survey}-${routine.name}`, {
      datasetId: dataset.datasetId,
      routineId: routine.name,
      routineType: isTable ? 'TABLE_VALUED_FUNCTION' : 'SCALAR_FUNCTION',
      language: 'SQL',
      description: routine.description,
      definitionBody: routineBody(routine, 'bigquery', path),
      arguments: routine.parameters.map(({ name, type }) => ({
        name,
        dataType: JSON.stringify({ typeKind: type }),
      })),
      ...(!isTable && { returnType: JSON.stringify({ typeKind: routine.answers }) }),
      // Each may call those before it.
      dependsOn: isTable ? [view, ...before] : before,
    })
    before = [...before, made]
  }

  const grant = (who: string, member: string, role: string): void => {
    new BigqueryDatasetIamMember(stack, `${at.survey}-dataset-${who}`, {
      datasetId: dataset.datasetId,
      role,
      member,
    })
  }
  for (const { name, stages: served } of readers) {
    const account = accounts.readers.get(name)
    const writesTable = served.some((stage) => stageNamed(stage).table !== undefined)
    if (account === undefined || !writesTable) continue
    grant(`by-${name}`, memberOf(account), 'roles/bigquery.dataEditor')
  }
  const asking: [string, string][] = [['conductor', memberOf(accounts.conductor)]]
  for (const [index, member] of config.analysts.entries()) asking.push([`analyst-${index}`, member])
  for (const [who, member] of asking) {
    grant(`to-${who}`, member, 'roles/bigquery.dataViewer')
    new ProjectIamMember(stack, `${at.survey}-queries-of-${who}`, {
      project: config.project,
      role: 'roles/bigquery.jobUser',
      member,
    })
  }
  return { dataset, ledger }
}

const types: Readonly<Record<ColumnType, string>> = {
  STRING: 'STRING',
  BYTES: 'BYTES',
  BOOL: 'BOOLEAN',
  INT64: 'INTEGER',
  INT32: 'INTEGER',
  FLOAT64: 'FLOAT',
  FLOAT32: 'FLOAT',
  DATE: 'DATE',
  TIMESTAMP: 'TIMESTAMP',
  RECORD: 'RECORD',
}

/** A column as BigQuery's table schema writes it. */
function fieldOf({ name, type, mode, fields, description }: Column): Record<string, unknown> {
  return {
    name,
    type: types[type],
    mode,
    ...(description !== undefined && { description }),
    ...(fields !== undefined && { fields: fields.map(fieldOf) }),
  }
}
