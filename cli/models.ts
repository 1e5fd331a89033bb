/** `nightjar models`: the SALT models that light curves can be fitted with. */
import { createReadStream } from 'node:fs'
import {
  chmod,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { Readable } from 'node:stream'

import { Command } from 'commander'
import { extract } from 'tar-stream'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import {
  bandFile,
  bandOf,
  citationOf,
  loadModel,
  manifestName,
  modelFile,
  readBandTexts,
  readTexts,
  sha256,
  unpack,
  type Manifest,
} from '../functions/salt2/model-files.ts'
import { homeAt } from '../local/home.ts'
import { parseBandpass } from '../salt2/bandpass.ts'
import { parseSource } from '../salt2/source.ts'
import { withHome, type HomeOptions } from './embedded.ts'
import { formatTable } from './text-table.ts'
import type { World } from './world.ts'

interface InstallOptions extends HomeOptions {
  name?: string
  bandpasses?: string
  sha256?: string
}

/** An archive larger than this is no model's. */
const mostBytes = 256 * 1024 * 1024

/** The command, with its own verbs below it. */
export function modelsCommand(world: World): Command {
  const command = new Command('models')
    .description('List the SALT models that light curves can be fitted with, or install one.')
    .addHelpText(
      'after',
      `
Tables of SALT2-4 for ZTF g, r, i and redshifts to 0.25 come with the program. A full model is needed
for other bands, higher redshifts, or SALT3. NIGHTJAR_SALT2_DIR names the directory to fit with.

Examples:
  $ nightjar models list
  $ nightjar models install salt3-f22/ --bandpasses bandpasses/
  $ NIGHTJAR_SALT2_DIR=.nightjar/models/salt3-f22 nightjar run --from night --once`,
    )
  command.addCommand(
    withHome(new Command('list'), world)
      .description('Show the models that are there; each is read and its checksums are compared.')
      .option('--json', 'print as JSON')
      .action((options: HomeOptions & { json?: boolean }) => list(world, options)),
  )
  command.addCommand(
    withHome(new Command('install'), world)
      .description(
        'Take a model into the home: its files are read, and their checksums kept beside them.',
      )
      .argument('<source>', 'a directory, or a .tar or .tar.gz: a file or a URL')
      .option('--name <name>', 'what to call it (default: as the source)')
      .option('--bandpasses <dir>', 'bandpasses to go with it (default: those near the source)')
      .option('--sha256 <hex>', 'refuse an archive that has another checksum')
      .action((source: string, options: InstallOptions) => install(world, source, options)),
  )
  return command
}

const folderOf = ({ home }: HomeOptions): string => join(homeAt(home).path, 'models')

async function list(world: World, options: HomeOptions & { json?: boolean }): Promise<void> {
  const folder = folderOf(options)
  const names = await readdir(folder).catch(() => [])
  const found = [{ from: 'the program', directory: undefined as string | undefined }]
  for (const name of names.toSorted()) {
    if (!name.startsWith('.'))
      found.push({ from: join(folder, name), directory: join(folder, name) })
  }
  const own = world.env['NIGHTJAR_SALT2_DIR']
  if (
    own !== undefined &&
    own !== '' &&
    !found.some(({ directory }) => directory === resolve(own))
  ) {
    found.push({ from: own, directory: own })
  }
  const reports = []
  for (const { from, directory } of found) {
    try {
      const { name, bands, redshiftRange, citation } = await loadModel(directory)
      reports.push({ name, from, bands, redshifts: redshiftRange, citation })
    } catch (error) {
      world.exit(1)
      reports.push({ name: basename(from), from, fault: sentenceOf(error) })
    }
  }
  if (options.json === true) {
    world.out(`${JSON.stringify(reports, null, 2)}\n`)
    return
  }
  const rows = reports.map((report) =>
    'fault' in report
      ? [report.name, report.from, report.fault, '']
      : [report.name, report.from, report.bands.join(' '), `to ${report.redshifts[1]}`],
  )
  world.out(formatTable(['model', 'from', 'bands', 'z'], rows))
}

async function install(world: World, source: string, options: InstallOptions): Promise<void> {
  const files = await gather(source, options, world.signal)
  const name = options.name ?? nameOf(source)
  if (!/^[\w][\w.-]*$/.test(name)) {
    throw new NightjarError(
      'config_invalid',
      `Cannot call a model "${name}": use letters, digits, - and .`,
    )
  }
  // Whatever is wrong with it shows before anything is written.
  const model = parseSource(name, new Map([...files].filter(([file]) => modelFile.test(file))))
  const bands = [...files].flatMap(([file, text]) =>
    bandFile.test(file) ? [parseBandpass(bandOf(file), text)] : [],
  )
  if (bands.length === 0) {
    throw new NightjarError(
      'config_invalid',
      `Cannot install ${name}: there are no bandpasses near ${source}; name their folder with --bandpasses`,
    )
  }

  const folder = folderOf(options)
  const target = join(folder, name)
  const sums = Object.fromEntries([...files].map(([file, text]) => [file, sha256(text)]))
  const known = await readFile(join(target, manifestName), 'utf8').catch(() => undefined)
  if (known !== undefined) {
    const same = JSON.stringify((JSON.parse(known) as Manifest).files) === JSON.stringify(sums)
    if (!same) {
      throw new NightjarError(
        'config_invalid',
        `Cannot install ${name}: another model has that name; give one with --name, or remove ${target}`,
      )
    }
    world.out(`${name} is there already: ${target}\n`)
    return
  }
  await mkdir(folder, { recursive: true })
  const aside = await mkdtemp(join(folder, '.new-'))
  try {
    await chmod(aside, 0o755)
    await mkdir(join(aside, 'bandpasses'))
    for (const [file, text] of files) {
      await writeFile(join(aside, modelFile.test(file) ? file : join('bandpasses', file)), text)
    }
    const manifest: Manifest = { source, installed: world.now().toISOString(), files: sums }
    await writeFile(join(aside, manifestName), `${JSON.stringify(manifest, null, 2)}\n`)
    await rename(aside, target)
  } catch (error) {
    await rm(aside, { recursive: true, force: true })
    throw error
  }
  world.out(
    `${name}: ${model.family}, ${files.size} files, bands ${bands.map((band) => band.name).join(' ')}\n` +
      `Fit with it: NIGHTJAR_SALT2_DIR=${target}\n` +
      `Cite: ${citationOf(name)}\n`,
  )
}

const nameOf = (source: string): string =>
  basename(/^https?:/.test(source) ? new URL(source).pathname : resolve(source)).replace(
    /\.(tar|tgz|tar\.gz)$/,
    '',
  )

/** The texts of the model's files and of bandpasses, by name. */
async function gather(
  source: string,
  options: InstallOptions,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const isFolder =
    !/^https?:/.test(source) && (await stat(source).catch(() => undefined))?.isDirectory()
  if (isFolder && options.sha256 !== undefined) {
    throw new NightjarError(
      'config_invalid',
      'Cannot compare --sha256 with a directory: it is for archives',
    )
  }
  const files = isFolder
    ? await readTexts(source, modelFile)
    : await readArchive(source, options.sha256, signal)
  const bands =
    options.bandpasses !== undefined
      ? await readTexts(options.bandpasses, bandFile)
      : isFolder
        ? await readBandTexts(source)
        : new Map<string, string>()
  return new Map([...files, ...bands])
}

/** The model files and bandpasses of an archive. */
async function readArchive(
  source: string,
  wanted: string | undefined,
  signal: AbortSignal,
): Promise<Map<string, string>> {
  const packed = await readAll(source, signal)
  const sum = sha256(packed)
  if (wanted !== undefined && wanted.toLowerCase() !== sum) {
    throw new NightjarError(
      'config_invalid',
      `Cannot install ${source}: its SHA-256 is ${sum}, not ${wanted}`,
    )
  }
  const files = new Map<string, string>()
  try {
    const entries = extract()
    Readable.from([await unpack(packed)]).pipe(entries)
    for await (const entry of entries) {
      const name = basename(entry.header.name).replace(/\.gz$/, '')
      const wantedFile = modelFile.test(name) || bandFile.test(name)
      if (entry.header.type !== 'file' || !wantedFile) {
        entry.resume()
        continue
      }
      const chunks: Uint8Array[] = []
      for await (const chunk of entry as AsyncIterable<Uint8Array>) chunks.push(chunk)
      files.set(name, (await unpack(Buffer.concat(chunks))).toString('utf8'))
    }
  } catch (cause) {
    throw new NightjarError(
      'input_invalid',
      `Cannot read archive ${source}: ${sentenceOf(cause)}`,
      { cause },
    )
  }
  return files
}

async function readAll(source: string, signal: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for await (const chunk of await openSource(source, signal)) {
      chunks.push(chunk)
      size += chunk.length
      if (size > mostBytes) throw new Error(`it is larger than ${mostBytes} bytes`)
    }
  } catch (cause) {
    throw new NightjarError('source_failed', `Cannot read ${source}: ${sentenceOf(cause)}`, {
      cause,
    })
  }
  return Buffer.concat(chunks)
}

async function openSource(source: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  if (!/^https?:/.test(source)) return createReadStream(source)
  const response = await fetch(source, { signal })
  if (!response.ok || response.body === null) throw new Error(`HTTP ${response.status}`)
  return Readable.fromWeb(response.body)
}
