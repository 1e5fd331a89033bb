/**
 * A process that appends alerts until it is killed or the disk is full. It prints a line per append
 * that resolved, so that the test knows what was promised. Arguments: the
 * file, how many rows, and a file that is removed after a failure, to have room again.
 */
import { rmSync } from 'node:fs'

import { openTable } from '../../local/table.ts'
import { column } from '../contract/table.ts'
import { say } from '../say.ts'

const [file = '', rows = '0', ballast] = process.argv.slice(2)
const shape = {
  table: 'alerts_v1',
  view: 'alerts',
  key: ['candid'],
  columns: [column('candid', 'INT64'), column('text', 'STRING')],
}

const table = await openTable({ file, dataset: 'ztf_alerts', batchRows: 64, lingerMs: 1 })
let next = 0

async function append(): Promise<void> {
  while (next < Number(rows)) {
    const candid = next++
    const text = `${candid} `.repeat(200)
    try {
      await table.append({ shape, values: { candid, text } })
      say(`${candid}`)
    } catch (error) {
      say(`${error instanceof Error && 'code' in error ? error.code : ''} ${error}`)
      return
    }
  }
}

await Promise.all(Array.from({ length: 128 }, append))
if (ballast !== undefined) {
  rmSync(ballast)
  const again = table.append({ shape, values: { candid: -1 } })
  say(`with room again: ${await again.catch((error: unknown) => error)}`)
}
await table.close().catch((error: unknown) => say(`close ${error}`))
