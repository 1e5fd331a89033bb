/**
 * Make the tables that the repository carries, from the published model:
 *
 *     node salt2/tables/main.ts DIRECTORY     (salt2_*.dat, and P48_*.dat in a folder bandpasses near by)
 *
 * The same input makes the same bytes. What they are made of is written into the file and beside it.
 */
import { writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'

import {
  citationOf,
  modelFile,
  readBandpasses,
  readSource,
  readTexts,
  sha256,
} from '../../functions/salt2/model-files.ts'
import { sourceModel } from '../model.ts'
import { encodeTables } from '../table-codec.ts'

const bands = ['ztfg', 'ztfr', 'ztfi']

const directory = process.argv[2]
if (directory === undefined) {
  process.stderr.write('Usage: node salt2/tables/main.ts DIRECTORY\n')
  process.exit(2)
}
const name = basename(resolve(directory))
const model = sourceModel(await readSource(directory), '', await readBandpasses(directory))
const tables = bands.map((band) => {
  const table = model.table(band, 0, 0.25)
  if (table === undefined) throw new Error(`Cannot make tables of ${directory}: no ${band}`)
  return table
})
const files = await readTexts(directory, modelFile)
const provenance = {
  derivedBy: 'make tables (salt2/tables/main.ts)',
  derivedFrom: Object.fromEntries([...files].map(([file, text]) => [file, sha256(text)])),
  bandpasses: 'ZTF g, r, i (P48, without atmosphere), trimmed to 0.001 of the maximum',
  citation: citationOf(name),
}
const bytes = encodeTables(name, citationOf(name), provenance, tables)
const packed = gzipSync(bytes, { level: 9 })
const target = join(import.meta.dirname, `${name}.bin.gz`)
await writeFile(target, packed)
process.stdout.write(`${target}: ${packed.length} bytes, ${bytes.length} unpacked\n`)
