/**
 * One bundle a reader, and one of the night conductor, as Cloud Functions takes it:
 * `dist/functions/{reader}/` to look at and to run, and `dist/functions/{reader}-{hash}.zip` to deploy. The
 * name holds the hash of the content and the same sources give the same bytes, so a deployment changes when
 * the code does and never else.
 *
 *     node functions/bundle.ts [reader | conductor …]
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'

import { build, type Metafile, type Plugin } from 'esbuild'

import { NightjarError } from '../core/errors.ts'
import { surveys } from '../core/names.ts'
import {
  filterReadersOf,
  isFilterStage,
  readersOf,
  stageNamed,
  type AnyReader,
} from '../core/pipeline.ts'
import { packZip, type ZipEntry } from './zip.ts'

const root = resolve(import.meta.dirname, '..')

/** What esbuild cannot put into a file: binaries of one platform, and the framework that loads us. */
const external = [
  '@google-cloud/functions-framework',
  '@node-rs/crc32',
  '@resvg/resvg-js',
  'dejavu-fonts-ttf',
]

/** The Node that functions run on: the newest runtime of Cloud Functions that infra/ names. */
const nodeMajor = '24'

/** What is bundled: a reader's stages, or the function that conducts. */
export type Bundled = AnyReader['name'] | 'conductor'

export interface Bundle {
  reader: Bundled
  folder: string
  zip: string
  /** SHA-256 of the zip, hexadecimal. */
  sha256: string
  /** Bytes of the code and of the zip. */
  codeBytes: number
  zipBytes: number
  /** Packages that are in it, by bytes of code, largest first. */
  packages: { name: string; bytes: number }[]
}

/** Make the bundle of a reader below a folder. */
export async function bundleReader(reader: Bundled, out: string): Promise<Bundle> {
  const data: ZipEntry[] = []
  const result = await build({
    entryPoints: [join(root, 'functions/main.ts')],
    bundle: true,
    write: false,
    metafile: true,
    outfile: 'index.js',
    absWorkingDir: root,
    platform: 'node',
    target: `node${nodeMajor}`,
    format: 'cjs',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
    external,
    define: { 'process.env.NIGHTJAR_READER': JSON.stringify(reader) },
    plugins: [oneReader(reader), dataBeside(data, fromBundle)],
  })
  const [code] = result.outputFiles
  if (code === undefined) throw new Error('esbuild wrote nothing')
  const inputs = result.metafile.outputs['index.js']?.inputs ?? {}
  const outside = new Set(
    (result.metafile.outputs['index.js']?.imports ?? []).map(({ path }) => packageOf(path)),
  )
  const manifest = {
    name: `nightjar-${reader}`,
    private: true,
    main: 'index.js',
    engines: { node: nodeMajor },
    // Fonts are no code: what brings them is their path.
    dependencies: await versionsOf(
      external.filter((name) => outside.has(name) || code.text.includes(`${name}/`)),
    ),
  }
  const files: ZipEntry[] = [
    { name: 'index.js', data: code.contents },
    { name: 'package.json', data: Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`) },
    ...data,
  ]
  const packed = packZip(files)
  const sha256 = createHash('sha256').update(packed).digest('hex')
  const folder = join(out, reader)
  await rm(folder, { recursive: true, force: true })
  for (const { name, data: bytes } of files) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), bytes)
  }
  const old = new RegExp(`^${reader}-[0-9a-f]{16}\\.zip$`)
  for (const name of await readdir(out)) if (old.test(name)) await rm(join(out, name))
  const zip = join(out, `${reader}-${sha256.slice(0, 16)}.zip`)
  await writeFile(zip, packed)
  const sizes = { codeBytes: code.contents.length, zipBytes: packed.length }
  return { reader, folder, zip, sha256, ...sizes, packages: packagesOf(inputs) }
}

/** What only the conductor asks of the cloud's ground. */
const conductorsOwn = /^\.\/(subscription|pausing|machine)\.ts$/
const tables = /^\.\/(table|datasets)\.ts$/

/** Leave out what belongs to others: code that only a dynamic import of theirs leads to. */
function oneReader(reader: Bundled): Plugin {
  const conducts = reader === 'conductor'
  const own = everyReader()
    .filter(({ name }) => name === reader)
    .flatMap(({ stages }) => stages)
  const folders = own.map((stage) => (isFilterStage(stage) ? 'filter' : stage))
  const asksTables = conducts || own.some((stage) => stageNamed(stage).table !== undefined)
  return {
    name: 'one-reader',
    setup(setup) {
      setup.onResolve({ filter: /^\.\.?\// }, ({ kind, importer, path }) => {
        if (kind !== 'dynamic-import') return null
        const from = relative(root, importer)
        const foreign =
          (from === 'functions/handlers.ts' &&
            !folders.some((folder) => path.startsWith(`./${folder}/`))) ||
          (from === 'functions/main.ts' && !conducts) ||
          (from === 'cloud/ground.ts' && conductorsOwn.test(path) && !conducts) ||
          (from === 'cloud/ground.ts' && tables.test(path) && !asksTables) ||
          // What an operator alone does.
          path === './filter-topics.ts' ||
          // A function has no home directory.
          path === './night-home.ts'
        return foreign ? { path, external: true } : null
      })
    },
  }
}

/** The bundle is one file, with the folders that hold what it reads beside it. */
function fromBundle(text: string, folder: string): string {
  const here = `require('node:path').join(__dirname, ${JSON.stringify(folder)})`
  const contents = text
    .replaceAll('import.meta.dirname', here)
    .replaceAll('import.meta.url', "require('node:url').pathToFileURL(__filename).href")
  if (!contents.includes('import.meta')) return contents
  throw new Error(`Cannot bundle ${folder}: of import.meta only dirname and url are understood`)
}

/**
 * A module of ours that reads files from its own folder finds them beside the bundle, in a folder of the
 * same name: they are taken along, and the module is told where by `rewrite`.
 */
export function dataBeside(
  data: ZipEntry[],
  rewrite: (text: string, folder: string) => string,
): Plugin {
  return {
    name: 'data-beside',
    setup(setup) {
      setup.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
        if (path.includes('node_modules')) return null
        const text = await readFile(path, 'utf8')
        if (!text.includes('import.meta')) return null
        const folder = relative(root, dirname(path))
        for (const entry of await readdir(dirname(path), {
          recursive: true,
          withFileTypes: true,
        })) {
          const file = join(entry.parentPath, entry.name)
          const name = relative(root, file)
          if (!entry.isFile() || /\.(ts|md)$/.test(name)) continue
          const bytes = await readFile(file)
          // Modules are loaded at the same time, and two may lie in one folder.
          if (!data.some((known) => known.name === name)) data.push({ name, data: bytes })
        }
        return { contents: rewrite(text, folder), loader: 'ts' }
      })
    },
  }
}

/** The exact versions that are installed here. */
async function versionsOf(names: readonly string[]): Promise<Record<string, string>> {
  const { dependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>
  }
  const versions = names.map((name) => {
    const version = dependencies[name]
    if (version === undefined) throw new Error(`package.json has no ${name}`)
    return [name, version]
  })
  return Object.fromEntries(versions) as Record<string, string>
}

const packageOf = (path: string): string => /^(@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? path

function packagesOf(inputs: Metafile['outputs'][string]['inputs']): Bundle['packages'] {
  const sizes = new Map<string, number>()
  for (const [path, { bytesInOutput }] of Object.entries(inputs)) {
    const inside = path.split('node_modules/').at(-1) ?? path
    const name = path.includes('node_modules/') ? packageOf(inside) : 'nightjar'
    sizes.set(name, (sizes.get(name) ?? 0) + bytesInOutput)
  }
  const packages = [...sizes].map(([name, bytes]) => ({ name, bytes }))
  return packages.sort((a, b) => b.bytes - a.bytes)
}

const everyReader = (): AnyReader[] =>
  surveys.flatMap((survey) => [...readersOf(survey), ...filterReadersOf(survey)])

/** Check the readers that are asked for. */
function parseReaders(words: readonly string[]): Bundled[] {
  const readers = everyReader().map(({ name }) => name)
  const known: Bundled[] = [...new Set(readers), 'conductor']
  if (words.length === 0) return known
  return words.map((word) => {
    const reader = known.find((name) => name === word)
    if (reader !== undefined) return reader
    throw new NightjarError(
      'config_invalid',
      `Cannot bundle reader "${word}": known are ${known.join(', ')}`,
    )
  })
}

if (import.meta.main) {
  const out = join(root, 'dist/functions')
  await mkdir(out, { recursive: true })
  for (const reader of parseReaders(process.argv.slice(2))) {
    const { zip, codeBytes, zipBytes, packages } = await bundleReader(reader, out)
    const sdks = packages.filter(({ name }) => name.startsWith('@google-cloud/'))
    process.stdout.write(
      `${relative(root, zip)}  ${(codeBytes / 1e6).toFixed(1)} MB of code, ` +
        `${(zipBytes / 1e6).toFixed(1)} MB packed: ${sdks.map(({ name }) => name).join(', ')}\n`,
    )
  }
}
