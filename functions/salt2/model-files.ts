/** Models from files: the tables of the repository, and directories of a full model. */
import { createHash } from 'node:crypto'
import { readFile, readdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'

import { NightjarError } from '../../core/errors.ts'
import { parseBandpass, type Bandpass } from '../../salt2/bandpass.ts'
import { sourceModel, type Model } from '../../salt2/model.ts'
import { parseSource, type Source } from '../../salt2/source.ts'
import { decodeTables } from '../../salt2/table-codec.ts'
import { ownTables } from '../../salt2/tables/files.ts'

/** A file larger than this, unpacked, is no model's. */
const mostBytes = 256 * 1024 * 1024

/** What is written beside an installed model: the SHA-256 of each file's text, by name. */
export const manifestName = 'manifest.json'

const gunzipped = promisify(gunzip)

/** The files of a model, and those of bandpasses, by name. */
export const modelFile = /^salt[23]_.*\.dat$/
export const bandFile = /^(?!salt[23]_).*\.dat$/

/**
 * The model to fit with: that of a directory, if one is named, else the repository's own tables. Fails
 * with `config_invalid` where the directory holds no model.
 */
export async function loadModel(directory?: string): Promise<Model> {
  if (directory === undefined || directory === '') {
    return decodeTables(await unpack(await readFile(ownTables)))
  }
  const source = await readSource(directory)
  const bands = await readBandpasses(directory)
  return sourceModel(source, citationOf(source.name), bands)
}

/** Read the full model of a directory; its files may be packed as `.gz`. */
export async function readSource(directory: string): Promise<Source> {
  const files = await readTexts(directory, modelFile)
  if (files.size === 0) {
    throw new NightjarError(
      'config_invalid',
      `Cannot load a SALT model from ${directory}: it holds no salt2_*.dat or salt3_*.dat`,
    )
  }
  await verify(directory, files)
  return parseSource(resolve(directory).split('/').at(-1) ?? directory, files)
}

/** The bandpasses that go with a model: see `readBandTexts`. */
export async function readBandpasses(directory: string): Promise<Bandpass[]> {
  const texts = await readBandTexts(directory)
  if (texts.size > 0) {
    return [...texts].map(([file, text]) => parseBandpass(bandOf(file), text))
  }
  throw new NightjarError(
    'config_invalid',
    `Cannot find bandpasses for ${directory}: put P48_g.dat, P48_R.dat, P48_I.dat into ` +
      `${join(directory, 'bandpasses')}`,
  )
}

/**
 * The texts of the bandpasses near a model: of the nearest folder `bandpasses` in it or above it, at most
 * two steps; or of the directory itself. None where there are none.
 */
export async function readBandTexts(directory: string): Promise<Map<string, string>> {
  const path = resolve(directory)
  const near = [path, dirname(path), dirname(dirname(path))].map((at) => join(at, 'bandpasses'))
  for (const folder of [...near, path]) {
    const texts = await readTexts(folder, bandFile).catch(() => undefined)
    if (texts !== undefined && texts.size > 0) return texts
  }
  return new Map()
}

const publishedNames: Readonly<Record<string, string>> = {
  P48_g: 'ztfg',
  P48_R: 'ztfr',
  P48_I: 'ztfi',
}

/** A band by its file: `P48_g.dat` as ZTF's are published, else `sdss_g.dat` is `sdssg`. */
export function bandOf(file: string): string {
  const name = file.replace(/\.dat$/, '')
  return publishedNames[name] ?? name.replaceAll('_', '')
}

/** The texts of a directory's files whose names (without `.gz`) match, by name. */
export async function readTexts(directory: string, names: RegExp): Promise<Map<string, string>> {
  const texts = new Map<string, string>()
  for (const file of (await readdir(directory)).toSorted()) {
    const name = file.replace(/\.gz$/, '')
    const path = join(directory, file)
    if (!names.test(name) || !(await stat(path)).isFile()) continue
    texts.set(name, (await unpack(await readFile(path))).toString('utf8'))
  }
  return texts
}

/** Unpack bytes if they are gzip. */
export async function unpack(bytes: Buffer): Promise<Buffer> {
  const packed = bytes[0] === 0x1f && bytes[1] === 0x8b
  return packed ? gunzipped(bytes, { maxOutputLength: mostBytes }) : bytes
}

export const sha256 = (text: string | Uint8Array): string =>
  createHash('sha256').update(text).digest('hex')

/** What was installed: the SHA-256 of the text of each file. */
export interface Manifest {
  readonly source: string
  readonly installed: string
  readonly files: Readonly<Record<string, string>>
}

/** Where a manifest lies beside the files, they must be what it says. */
async function verify(directory: string, files: ReadonlyMap<string, string>): Promise<void> {
  const text = await readFile(join(directory, manifestName), 'utf8').catch(() => undefined)
  if (text === undefined) return
  const manifest = JSON.parse(text) as Manifest
  for (const [name, content] of files) {
    if (manifest.files[name] === sha256(content)) continue
    throw new NightjarError(
      'config_invalid',
      `Cannot load ${join(directory, name)}: it is not what was installed; install the model again`,
    )
  }
}

const citations: Readonly<Record<string, string>> = {
  'salt2-4': 'SALT2: Guy et al. 2007, 2010; training: Betoule et al. 2014, A&A 568, A22',
  'salt2-b21-pantheonplus': 'SALT2: Guy et al. 2007, 2010; training: Brout et al. 2022',
  'salt3-f22': 'SALT3: Kenworthy et al. 2021, ApJ 923, 265; training: Taylor et al. 2023',
}

/** What to cite for a model, as far as it is known here. */
export const citationOf = (name: string): string => citations[name] ?? 'SALT: Guy et al. 2007, 2010'
