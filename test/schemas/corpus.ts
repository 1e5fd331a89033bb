import { readFileSync, readdirSync } from 'node:fs'
import { resolve } from 'node:path'

import { dataDir } from '../data.ts'

/** A real file and what independent decoders agree that it holds. */
export interface Sample {
  file: string
  records: number
  digest: string
}

/** Read a file of the real data. */
export function readSample(file: string): Uint8Array {
  const bytes = readFileSync(resolve(dataDir, file))
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** All files of the real data that can be decoded, with their digests. */
export function readSamples(): Sample[] {
  const rows = readFileSync(resolve(dataDir, 'golden/DIGESTS.tsv'), 'utf8').trim().split('\n')
  return rows.slice(1).map((row) => {
    const [file = '', records, digest = ''] = row.split('\t')
    return { file, records: Number(records), digest }
  })
}

/** The Avro files below a folder of the real data. */
export function listSamples(folder: string): string[] {
  const names = readdirSync(resolve(dataDir, folder), { recursive: true, encoding: 'utf8' })
  return names
    .filter((name) => name.endsWith('.avro'))
    .map((name) => `${folder}/${name}`)
    .sort()
}
