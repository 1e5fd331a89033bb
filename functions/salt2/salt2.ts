/**
 * Stage `salt2`: fit a SN Ia to each extragalactic transient, with all that is known of its object.
 *
 * Its effects, in this order, each durable before the next and idempotent by itself: the object's light
 * curve takes in what the packet tells; the fit is stored, and the first to store it decides; the
 * plot; the row; the message, last, so that whoever gets it finds the others. A crash anywhere leaves
 * the message unacked: it comes again, finds what was decided, and does the rest of it.
 */
import { checkObjectId, occurrenceOf, type Occurrence } from '../../core/alert.ts'
import { NightjarError } from '../../core/errors.ts'
import { noFit } from '../../core/ledger.ts'
import { fitName, lightCurveName, plotName } from '../../core/names.ts'
import type { Message, Store, Table, Topic } from '../../core/ports.ts'
import { projectAlert, readAlertWithoutCutouts } from '../../schemas/alert.ts'
import type { SchemaSource } from '../../schemas/registry.ts'
import type { StageHandler, Verdict } from '../stage.ts'
import { analyse, type Fitter, type Surroundings } from './analysis.ts'
import { mergeIntoStore } from './history.ts'
import { measurementsOf } from './measurement.ts'
import { salt2Message } from './message.ts'
import { drawPicture } from './plot/draw.ts'
import { pictureOf } from './plot/picture-of.ts'
import { codeVersion, formatRecord, parseRecord, type FitRecord } from './record.ts'
import { salt2Row } from './row.ts'
import { standard, type FitSettings } from './settings.ts'
import type { Stamps } from './stamps.ts'

export interface Salt2Options {
  /** Light curves, fits and plots. */
  store: Store
  table: Table
  fits: Topic
  schemas: SchemaSource
  /** Opened when the first light curve is worth a fit: it takes a quarter of a second. */
  openFitter: () => Promise<Fitter>
  /** What is known of a place on the sky and of the object there. */
  surroundings: (objectId: string, ra: number | null, dec: number | null) => Surroundings
  /** The cutouts of an alert, where they can be had. */
  stamps: (id: { topic: string; objectId: string; candid: bigint }) => Promise<Stamps>
  settings?: FitSettings
}

/** Make the handler. What cannot be fitted is `stored` too, as a row that says why. */
export function createSalt2(options: Salt2Options): StageHandler {
  const { store, table, fits, schemas, surroundings, stamps } = options
  const { settings = standard } = options
  let opened: Promise<Fitter> | undefined

  function fitter(): Promise<Fitter> {
    opened ??= options.openFitter().catch((error: unknown) => {
      opened = undefined
      throw error
    })
    return opened
  }

  return async function handleSalt2({ data, attributes }: Message): Promise<Verdict> {
    const { objectId, candid } = projectAlert(data, schemas)
    checkObjectId(objectId)
    const occurrence = occurrenceOf(attributes)
    const record = await decide(data, occurrence)
    const { fit, message: reason } = record.analysis
    if (fit !== null) await plot(record)
    await table.append(salt2Row(record))
    const id = { objectId, candid }

    // The occurrence that decided publishes, or is delivered again until it has.
    if (!isSame(record.occurrence, occurrence)) return { outcome: 'duplicate', ...id }
    if (fit !== null) await fits.publish(salt2Message(record, attributes))
    // Whether there is a fit depends on what came before; that the alert has its row does not, and so
    // two brokers that took in the same night have the same proof of it.
    const why = fit === null ? `${noFit}${reason}` : reason
    return { outcome: 'stored', ...(!record.analysis.success && { reason: why }), ...id }
  }

  /** What was decided of the alert, by this occurrence now or by whoever was first. */
  async function decide(data: Uint8Array, occurrence: Occurrence): Promise<FitRecord> {
    const { objectId, candid, jd, ra, dec } = projectAlert(data, schemas)
    const name = fitName(objectId, candid)
    const { record: packet } = readAlertWithoutCutouts(data, schemas)
    const measurements = measurementsOf(packet)
    const known = await mergeIntoStore(store, lightCurveName(objectId), measurements)
    const decided = await store.read(name)
    if (decided !== null) return parseRecord(decided.data)

    const place = { ra: ra ?? null, dec: dec ?? null, jd: jd ?? null }
    const around = surroundings(objectId, place.ra, place.dec)
    const analysis = await analyse(known, around, fitter, settings)
    const record = { objectId, candid, ...place, occurrence, codeVersion, analysis }
    return parseRecord(await createOrRead(name, formatRecord(record)))
  }

  /** Store the plot. The SVG decides what is in it; the PNG is made of the SVG that stands. */
  async function plot(record: FitRecord): Promise<void> {
    const { objectId, candid, occurrence } = record
    const [svgName, pngName] = [plotName(candid, 'svg'), plotName(candid, 'png')]
    let svg = (await store.read(svgName))?.data
    if (svg === undefined) {
      const pictures = await stamps({ topic: occurrence.topic, objectId, candid })
      const drawn = drawPicture(pictureOf(record, await fitter(), pictures))
      svg = await createOrRead(svgName, Buffer.from(drawn))
    }
    // What draws has fonts and a library of its own: it comes with the first plot.
    const { renderPng } = await import('./plot/render.ts')
    const png = await renderPng(Buffer.from(svg).toString())
    await store.create(pngName, png)
  }

  /** Store an object where there is none, and answer what stands there. */
  async function createOrRead(name: string, data: Uint8Array): Promise<Uint8Array> {
    const { created } = await store.create(name, data)
    if (created) return data
    const standing = await store.read(name)
    if (standing !== null) return standing.data
    throw new NightjarError('store_failed', `Cannot read "${name}" back: no such object`)
  }
}

const isSame = (one: Occurrence, other: Occurrence): boolean =>
  one.topic === other.topic && one.partition === other.partition && one.offset === other.offset
