/**
 * The command line on the emulators of Pub/Sub and Cloud Storage, with a DuckDB file in BigQuery's place:
 *
 *     node child.ts FILE WORD …
 */
import { openCloudGround } from '../../cloud/ground.ts'
import { runCommandLine } from '../../cli/main.ts'
import { datasetName } from '../../core/names.ts'
import type { Table } from '../../core/ports.ts'
import { openTable } from '../../local/table.ts'

const [file = '', ...words] = process.argv.slice(2)
const stop = new AbortController()
process.on('SIGTERM', () => stop.abort())

process.exitCode = await runCommandLine(
  {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    tty: false,
    columns: 100,
    env: process.env,
    now: () => new Date(),
    signal: stop.signal,
    exit() {},
    async openCloud(environment) {
      const ground = openCloudGround(environment)
      let table: Promise<Table> | undefined
      return {
        ...ground,
        table: () => (table ??= openTable({ file, dataset: datasetName(environment.at) })),
        async close() {
          await (await table)?.close()
          await ground.close()
        },
      }
    },
  },
  words,
)
process.exit()
