/** A whole ZTF packet as a record of schema 4.02; older schemas take of it the fields they know. */
import type { Exposure } from './exposure.ts'
import { forcedHistory, previousCandidates, referenceId } from './history.ts'
import type { SkyObject } from './object.ts'
import { measure } from './photometry.ts'
import { createRandom, type Random } from './random.ts'
import { float, imageName, round, sourceFields, type Values } from './source.ts'
import type { Stamps } from './stamps.ts'

/** What ZTF writes for a number it does not have. */
const missing = -999

/** An alert before it is written: everything is fixed, nothing is drawn again. */
export interface Alert {
  object: SkyObject
  exposure: Exposure
  /** Number of the source on its image. */
  source: number
  /** Earlier visits of the field in 30 days, ascending. */
  visits: readonly Exposure[]
  /** Source numbers of this object's other alerts tonight, by jd of exposure. */
  sources: ReadonlyMap<number, number>
  version: '3.2' | '3.3' | '4.02'
}

export interface Cutout {
  fileName: string
  stampData: Uint8Array
}

export interface PacketRecord {
  schemavsn: string
  publisher: string
  objectId: string
  candid: bigint
  candidate: Values
  prv_candidates: Values[] | null
  fp_hists?: Values[] | null
  cutoutScience?: Cutout
  cutoutTemplate?: Cutout
  cutoutDifference?: Cutout
}

/** Compose the record, without its cutouts. */
export function composePacket(alert: Alert): PacketRecord {
  const { object, exposure, visits, version } = alert
  const previous = previousCandidates(object, visits, alert.sources)
  const random = createRandom('packet', object.seed, exposure.jd)
  const candidate = candidateOf(alert, previous)
  // Raw packets have a history or null; an empty list comes from those who rewrite them.
  const none = random.chance(0.25) ? [] : null
  return {
    schemavsn: version,
    publisher: 'ZTF (www.ztf.caltech.edu)',
    objectId: object.objectId,
    candid: candidate['candid'] as bigint,
    candidate,
    prv_candidates: previous.length > 0 ? previous : none,
    ...(version === '4.02'
      ? { fp_hists: visits.length > 0 ? forcedHistory(object, visits) : null }
      : {}),
  }
}

/** The record with its stamps under the names that ZTF gives them. */
export function withCutouts(record: PacketRecord, stamps: Stamps): PacketRecord {
  const { candid, candidate } = record
  const start = `candid${candid}`
  const image = `${start}_pid${candidate['pid']}_targ`
  // A negative difference is cut from reference minus science, so the source is bright in it too.
  const difference = candidate['isdiffpos'] === 't' ? 'scimref' : 'refmsci'
  return {
    ...record,
    cutoutScience: { fileName: `${image}_sci.fits.gz`, stampData: stamps.science },
    cutoutTemplate: { fileName: `${start}_ref.fits.gz`, stampData: stamps.template },
    cutoutDifference: { fileName: `${image}_${difference}.fits.gz`, stampData: stamps.difference },
  }
}

function candidateOf({ object, exposure, source, visits }: Alert, previous: Values[]): Values {
  const random = createRandom('candidate', object.seed, exposure.jd)
  const measured = measure(object, exposure)
  const { rcid } = object.place
  const detections = previous.filter(({ candid }) => candid !== null)
  const firstSeen = object.firstSeen ?? (detections[0]?.['jd'] as number | undefined)
  const earlier = object.earlierDetections ?? 0
  const fields = sourceFields(object, exposure, measured, source)
  return {
    ...fields,
    isdiffpos: measured.positive ? 't' : 'f',
    pdiffimfilename: imageName(exposure, rcid, false),
    ...solarSystemFields(object, random),
    ...catalogueFields(object, exposure),
    ndethist: earlier + detections.length + 1,
    ncovhist: earlier * 2 + visits.length + 1 + random.whole(900),
    jdstarthist: firstSeen ?? exposure.jd,
    jdendhist: exposure.jd,
    tooflag: 0,
    rfid: referenceId(exposure, rcid),
    jdstartref: round(2458200 + random.between(0, 150), 6),
    jdendref: round(2458360 + random.between(0, 300), 6),
    nframesref: random.pick([15, 15, 15, 16, 30]),
    dsnrms: float(Math.abs(measured.counts) / measured.noise / 1.5),
    ssnrms: float(Math.abs(measured.counts) / measured.noise + random.exponential(30)),
    dsdiff: float(-random.exponential(25)),
    nmatches: 60 + random.whole(700),
    zpclrcov: float(-random.between(5e-6, 2e-4)),
    zpmed: float(exposure.zeroPoint - 0.05),
    clrmed: float(random.between(0.5, 1)),
    clrrms: float(random.between(0.15, 0.33)),
    exptime: 30,
    drb: float(deepRealBogus(object, random)),
    drbversion: 'd6_m7',
  }
}

function solarSystemFields({ solarSystem }: SkyObject, random: Random): Values {
  if (!solarSystem) {
    // A known asteroid within 15 arcsec can belong to something else.
    if (!random.chance(0.002)) return { ssdistnr: missing, ssmagnr: missing, ssnamenr: 'null' }
    const stray = String(1000 + random.whole(500_000))
    return { ssdistnr: 6 + random.whole(9), ssmagnr: float(19.4), ssnamenr: stray }
  }
  return {
    ssdistnr: random.chance(0.8) ? 0 : 1,
    ssmagnr: float(solarSystem.magnitude),
    ssnamenr: solarSystem.name,
  }
}

/** PS1's three nearest within 30 arcsec and Gaia's nearest within 90. */
function catalogueFields({ neighbours, seed }: SkyObject, { fid }: Exposure): Values {
  const random = createRandom('catalogues', seed, fid)
  const values: Values = { nmtchps: neighbours.length }
  for (const n of [1, 2, 3]) {
    const match = neighbours[n - 1]
    for (const [i, band] of ['g', 'r', 'i', 'z'].entries()) {
      values[`s${band}mag${n}`] = float(round(match?.mags[i] ?? missing, 4))
    }
    values[`sgscore${n}`] = float(match?.score ?? missing)
    values[`distpsnr${n}`] = float(match?.distance ?? missing)
    values[`objectidps${n}`] = match?.objectId ?? BigInt(missing)
  }
  const star = neighbours.find(({ shape, mags }) => shape === 'star' && (mags[1] ?? 99) < 20.8)
  const near = star?.distance ?? random.between(25, 85)
  const mag = star?.mags[1] ?? random.between(15, 20.5)
  const bright = mag < 14 ? near : random.chance(0.4) ? random.between(near, 89) : missing
  return {
    ...values,
    neargaia: float(near),
    maggaia: float(mag),
    neargaiabright: float(bright),
    maggaiabright: float(bright === missing ? missing : mag < 14 ? mag : random.between(10, 14)),
  }
}

/** The deep-learning score of Duev et al. (2019): close to 1 for what is real. */
function deepRealBogus({ artifact }: SkyObject, random: Random): number {
  if (artifact) return Math.min(0.99, random.exponential(0.18))
  return 1 - Math.min(0.6, random.exponential(0.012))
}
