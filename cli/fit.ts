/** `nightjar fit`: a SALT2 fit of what packets tell, or of what a home knows of an object. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Command, Option } from 'commander'

import { NightjarError } from '../core/errors.ts'
import { lightCurveName } from '../core/names.ts'
import type { Fitter, Surroundings } from '../functions/salt2/analysis.ts'
import type { Measurement } from '../functions/salt2/measurement.ts'
import type { FitRecord } from '../functions/salt2/record.ts'
import type { Stamps } from '../functions/salt2/stamps.ts'
import { openKnownGround } from '../local/broker.ts'
import { isContainer, splitContainer } from '../schemas/container.ts'
import { projectAlert, readAlert } from '../schemas/alert.ts'
import { bundledSchemas } from '../schemas/registry.ts'
import { instanceOf, positive, withHome, type HomeOptions } from './embedded.ts'
import { formatFit } from './fit-text.ts'
import type { World } from './world.ts'

interface FitCommandOptions extends HomeOptions {
  z?: number
  mwebv?: number
  settings: 'standard' | 'plain'
  plot?: string
  dark?: boolean
  json?: boolean
}

/** All that is known of one object, from wherever. */
interface Subject {
  objectId: string
  candid: bigint
  ra: number | null
  dec: number | null
  jd: number | null
  measurements: Measurement[]
  stamps: () => Promise<Stamps>
}

/** The command. */
export function fitCommand(world: World): Command {
  const command = new Command('fit')
    .description(
      'Fit a type Ia supernova (SALT2) to a light curve: of alert packets, whose histories are ' +
        'merged, or of an object that a home has seen.',
    )
    .argument('<what...>', 'Avro files of one or more objects, or objectIds')
    .option('--z <z>', 'redshift, if it is known; else it is free, held by priors', positive('z'))
    .option('--mwebv <mag>', 'E(B-V) of the Milky Way; else by position', nonNegative)
    .addOption(
      new Option('--settings <name>', 'cuts, error floor, phases, model covariance')
        .choices(['standard', 'plain'])
        .default('standard'),
    )
    .option('--plot <file>', 'write the light curve with its fit as .png or .svg')
    .option('--dark', 'a plot for dark surroundings')
    .option('--json', 'print the row of the table salt2, one object a line')
  return withHome(command, world)
    .addHelpText(
      'after',
      `
The exit status is 0 if every object has a fit within all bounds. "plain" does as sncosmo does by
itself: no error floor, no cut of phases, no model covariance.

Examples:
  $ nightjar fit ZTF21abiuvdk/*.avro --z 0.0035 --plot rhu.png
  $ nightjar fit ZTF21abiuvdk                      what a home has stored of it
  $ nightjar fit --json *.avro | jq '{objectId, z, t0, x1, c}'`,
    )
    .action((what: string[], options: FitCommandOptions) => fit(world, what, options))
}

async function fit(world: World, what: string[], options: FitCommandOptions): Promise<void> {
  const { openFitter } = await import('../functions/salt2/fitter.ts')
  const { analyse } = await import('../functions/salt2/analysis.ts')
  const { fitSettings } = await import('../functions/salt2/settings.ts')
  const { surroundingsOf } = await import('../functions/salt2/surroundings.ts')
  const { codeVersion } = await import('../functions/salt2/record.ts')
  const { rowText } = await import('../functions/salt2/message.ts')
  const subjects = await subjectsOf(what, options)
  if (options.plot !== undefined) checkPlot(options.plot, subjects)
  const fitter = await openFitter(world.env['NIGHTJAR_SALT2_DIR'])
  const around = surroundingsOf(() => options.z)
  for (const { measurements, stamps, ...subject } of subjects) {
    const { objectId, ra, dec } = subject
    const found = around(objectId, ra, dec)
    const surroundings: Surroundings =
      options.mwebv === undefined ? found : { ...found, mwebv: options.mwebv, mwebvSource: 'given' }
    const settings = fitSettings[options.settings]
    const analysis = await analyse(measurements, surroundings, async () => fitter, settings)
    const record = { ...subject, codeVersion, analysis }
    if (!analysis.success) world.exit(1)
    world.out(options.json === true ? `${rowText(record)}\n` : `${formatFit(record)}\n`)
    if (options.plot !== undefined) {
      await writePlot(options.plot, record, fitter, await stamps(), options.dark === true)
      world.err(`${options.plot} written\n`)
    }
  }
}

/** What the words of the command line mean, one object each, in their order. */
async function subjectsOf(what: string[], options: FitCommandOptions): Promise<Subject[]> {
  const files = what.filter((word) => existsSync(word))
  const names = what.filter((word) => !existsSync(word))
  const strange = names.find((name) => !/^[A-Za-z0-9_-]{1,64}$/.test(name))
  if (strange !== undefined) {
    throw new NightjarError('input_invalid', `Cannot read "${strange}": no such file`)
  }
  const subjects = await subjectsInFiles(files)
  if (names.length === 0) return subjects
  const ground = await openKnownGround(options.home, instanceOf(options))
  try {
    const { parseHistory } = await import('../functions/salt2/history.ts')
    const { parseRecord } = await import('../functions/salt2/record.ts')
    const { archivedStamps } = await import('../functions/salt2/stamps.ts')
    const store = await ground.bucket('sncosmo')
    const archive = await ground.bucket('alert_avro_bucket')
    for (const objectId of names) {
      const curve = await store.read(lightCurveName(objectId))
      let last: FitRecord | undefined
      for await (const { name } of store.list(`salt2/fit/${objectId}/`)) {
        last = parseRecord((await store.read(name))?.data ?? new Uint8Array())
      }
      if (curve === null || last === undefined) {
        throw new NightjarError(
          'input_invalid',
          `Cannot fit "${objectId}": there is no file of that name, and "${ground.home.path}" ` +
            'has seen no such object pass the extragalactic filter',
        )
      }
      const { candid, ra, dec, jd, occurrence } = last
      const id = { topic: occurrence.topic, objectId, candid }
      const stamps = await archivedStamps(archive, bundledSchemas(), id)
      subjects.push({
        ...{ objectId, candid, ra, dec, jd },
        measurements: parseHistory(curve.data),
        stamps: async () => stamps,
      })
    }
  } finally {
    await ground.close()
  }
  return subjects
}

/** The packets of files, merged by object; position and cutouts are those of its newest packet. */
async function subjectsInFiles(files: readonly string[]): Promise<Subject[]> {
  const { mergeHistory } = await import('../functions/salt2/history.ts')
  const { measurementsOf } = await import('../functions/salt2/measurement.ts')
  const { stampsIn } = await import('../functions/salt2/stamps.ts')
  const subjects = new Map<string, Subject>()
  for (const file of files) {
    const bytes = readFileSync(file)
    for (const data of isContainer(bytes) ? splitContainer(bytes) : [bytes]) {
      const { objectId, candid, ra = null, dec = null, jd = null } = projectAlert(data)
      const known = subjects.get(objectId)
      const told = measurementsOf(readAlert(data).record)
      const measurements = mergeHistory(known?.measurements ?? [], told)
      const newest = known === undefined || (jd ?? 0) >= (known.jd ?? 0)
      const stamps = async (): Promise<Stamps> => stampsIn(data, bundledSchemas())
      subjects.set(
        objectId,
        newest
          ? { objectId, candid, ra, dec, jd, measurements, stamps }
          : { ...known, measurements },
      )
    }
  }
  return [...subjects.values()]
}

function checkPlot(file: string, subjects: readonly Subject[]): void {
  if (!/\.(png|svg)$/i.test(file)) {
    throw new NightjarError(
      'config_invalid',
      `Cannot plot into "${file}": end it with .png or .svg`,
    )
  }
  if (subjects.length !== 1) {
    const names = subjects.map(({ objectId }) => objectId).join(', ')
    throw new NightjarError(
      'config_invalid',
      `Cannot plot ${subjects.length} objects into one file: ${names || 'none'}`,
    )
  }
}

async function writePlot(
  file: string,
  record: Omit<FitRecord, 'occurrence'>,
  fitter: Fitter,
  stamps: Stamps,
  dark: boolean,
): Promise<void> {
  const { pictureOf } = await import('../functions/salt2/plot/picture-of.ts')
  const { drawPicture } = await import('../functions/salt2/plot/draw.ts')
  const svg = drawPicture(pictureOf(record, fitter, stamps), dark ? 'dark' : 'light')
  if (file.toLowerCase().endsWith('.svg')) return writeFileSync(file, svg)
  const { renderPng } = await import('../functions/salt2/plot/render.ts')
  writeFileSync(file, await renderPng(svg))
}

function nonNegative(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text)
  if (value >= 0 && value < 10) return value
  throw new NightjarError('config_invalid', `Cannot take mwebv "${text}": it must be 0 to 10 mag`)
}
