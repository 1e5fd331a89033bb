import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'

import { parseBandpass, type Bandpass } from '../../salt2/bandpass.ts'
import { parseSource, type Source } from '../../salt2/source.ts'
import { dataDir, skipWithout } from '../data.ts'

/** Model files, bandpasses and reference results, which are not part of the repository. */
export const salt2Dir = join(dataDir, 'salt2')
export const skipWithoutSalt2 = skipWithout(salt2Dir, 'set NIGHTJAR_DATA to a folder with salt2/')

const textOf = (path: string): string => {
  const bytes = readFileSync(path)
  return (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString()
}

export function readSource(name: string): Source {
  const folder = join(salt2Dir, 'models', name)
  const files = readdirSync(folder).map(
    (file) => [file.replace(/\.gz$/, ''), textOf(join(folder, file))] as const,
  )
  return parseSource(name, new Map(files))
}

const bandFiles: Readonly<Record<string, string>> = {
  ztfg: 'P48_g',
  ztfr: 'P48_R',
  ztfi: 'P48_I',
  bessellb: 'bessell_b',
  bessellv: 'bessell_v',
  sdssu: 'sdss_u',
  sdssg: 'sdss_g',
  sdssr: 'sdss_r',
  sdssi: 'sdss_i',
  sdssz: 'sdss_z',
}

export const readBand = (name: string): Bandpass =>
  parseBandpass(name, textOf(join(salt2Dir, 'bandpasses', `${bandFiles[name] ?? name}.dat`)))

/** A reference file: one JSON value, or one a line. */
export const readReference = <T>(name: string): T =>
  JSON.parse(textOf(join(salt2Dir, 'reference', name))) as T
export const readReferences = <T>(name: string): T[] =>
  textOf(join(salt2Dir, 'reference', name))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as T)
export const readReferenceText = (name: string): string => textOf(join(salt2Dir, 'reference', name))
