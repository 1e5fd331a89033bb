/** The past 30 days of a place, as a packet tells them. */
import { fluxNoise, processingId, type Exposure } from './exposure.ts'
import { pixelScale } from './fields.ts'
import type { SkyObject } from './object.ts'
import { measure } from './photometry.ts'
import { createRandom } from './random.ts'
import {
  float,
  imageFields,
  imageName,
  referenceFields,
  sourceFields,
  type Values,
} from './source.ts'

/** Where the field stands for "no value" in forced photometry. */
const unset = -99999

/** What a non-detection leaves null. */
const unmeasured = [
  ...['candid', 'isdiffpos', 'tblid', 'xpos', 'ypos', 'ra', 'dec', 'magpsf', 'sigmapsf', 'chipsf'],
  ...['magap', 'sigmagap', 'distnr', 'magnr', 'sigmagnr', 'chinr', 'sharpnr', 'sky', 'magdiff'],
  ...['fwhm', 'classtar', 'mindtoedge', 'magfromlim', 'seeratio', 'aimage', 'bimage', 'aimagerat'],
  ...['bimagerat', 'elong', 'nneg', 'nbad', 'rb', 'ssdistnr', 'ssmagnr', 'ssnamenr', 'sumrat'],
  ...['magapbig', 'sigmagapbig', 'ranr', 'decnr', 'scorr'],
]
const nothing: Values = Object.fromEntries(unmeasured.map((name) => [name, null]))

/** `prv_candidates`: earlier visits by ascending jd, detections whole, the others only their limit. */
export function previousCandidates(
  object: SkyObject,
  visits: readonly Exposure[],
  sources: ReadonlyMap<number, number>,
): Values[] {
  return visits.map((visit) => {
    const { rcid } = object.place
    const measured = measure(object, visit)
    const pdiffimfilename = imageName(visit, rcid, true)
    if (!measured.detected) return { ...nothing, ...imageFields(visit, rcid), pdiffimfilename }

    const random = createRandom('previous', object.seed, visit.jd)
    const source = sources.get(visit.jd) ?? 30 + random.whole(60)
    const spelled = random.chance(0.03) ? ['1', '0'] : ['t', 'f']
    return {
      ...nothing,
      ...sourceFields(object, visit, measured, source),
      isdiffpos: (measured.positive ? spelled[0] : spelled[1]) as string,
      pdiffimfilename,
    }
  })
}

/** `fp_hists` of 4.02: flux at the place in each visit whether seen or not, by descending jd. */
export function forcedHistory(object: SkyObject, visits: readonly Exposure[]): Values[] {
  return visits.map((visit) => forced(object, visit)).reverse()
}

function forced(object: SkyObject, visit: Exposure): Values {
  const { rcid } = object.place
  const { jd } = visit
  const random = createRandom('forced', object.seed, jd)
  const { counts, noise } = measure(object, visit)
  const lot = random.next()
  // 61: no usable PSF fit, 55: no reference, 56: bad pixels, but a flux all the same.
  const status = lot < 0.12 ? '61' : lot < 0.14 ? '55' : lot < 0.17 ? '56' : '0'
  const failed = status === '61' || status === '55'
  const blank = failed && random.chance(0.6)
  const {
    pid: _pid,
    nid: _nid,
    programpi: _pi,
    rbversion: _rb,
    ...image
  } = imageFields(visit, rcid)
  const reference = referenceFields(object, visit)
  return {
    ...image,
    pid: processingId(jd, rcid),
    rfid: referenceId(visit, rcid),
    sciinpseeing: float(visit.seeing / pixelScale),
    scibckgnd: float(visit.background),
    scisigpix: float((fluxNoise(visit) / 3.5) * (pixelScale / visit.seeing) * 2),
    exptime: 30,
    adpctdif1: float(random.between(0.055, 0.135)),
    adpctdif2: float(random.between(0.055, 0.135)),
    forcediffimflux: float(failed ? unset : counts),
    forcediffimfluxunc: float(failed ? unset : noise),
    procstatus: status,
    ...(blank
      ? Object.fromEntries(Object.keys(reference).map((name) => [name, unset]))
      : reference),
  }
}

/** Number of a reference image: field, 12, filter, channel, such as 386120221. */
export function referenceId({ field, fid }: Exposure, rcid: number): bigint {
  return BigInt(field.id) * 1_000_000n + BigInt(120_000 + fid * 100 + rcid)
}
