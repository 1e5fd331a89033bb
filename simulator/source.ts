/**
 * What the pipeline writes of one detection: the fields that a candidate and a detection in a history
 * share. Names and units are those of ZTF's schema 4.02.
 */
import { candidOf, nightNumber, processingId, type Exposure } from './exposure.ts'
import { channel, pixelScale, quadrantHeight, quadrantWidth } from './fields.ts'
import type { SkyObject } from './object.ts'
import type { Measurement } from './photometry.ts'
import { createRandom, type Random } from './random.ts'
import { unixOfJd, type Position } from './sky.ts'

export type Values = Record<string, number | bigint | string | null>

/** Round as the wire does: these fields are float32. */
export const float = Math.fround

/** What is true of a processed image whether or not anything was found on it. */
export function imageFields(exposure: Exposure, rcid: number): Values {
  const { jd, fid, field } = exposure
  const random = createRandom('image', jd, rcid)
  return {
    jd,
    fid,
    pid: processingId(jd, rcid),
    diffmaglim: float(exposure.limit),
    programpi: 'Kulkarni',
    programid: 1,
    nid: nightNumber(jd),
    rcid,
    field: field.id,
    magzpsci: float(exposure.zeroPoint),
    magzpsciunc: float(random.between(4e-6, 9e-5)),
    magzpscirms: float(random.between(0.018, 0.06)),
    clrcoeff: float((fid === 1 ? -0.06 : fid === 2 ? 0.09 : 0.01) + 0.02 * random.normal()),
    clrcounc: float(random.between(6e-6, 1.2e-4)),
    rbversion: 't17_f5_c3',
  }
}

/** The difference image's name; histories give the path in the archive. */
export function imageName(exposure: Exposure, rcid: number, archived: boolean): string {
  const { jd, fid, field } = exposure
  const date = new Date(unixOfJd(jd)).toISOString().slice(0, 10).replaceAll('-', '')
  const day = String(Math.floor((jd - 0.5 - Math.floor(jd - 0.5)) * 1e6)).padStart(6, '0')
  const { ccd, quadrant } = channel(rcid)
  const filter = `z${'gri'[fid - 1]}`
  const name = [
    `ztf_${date}${day}`,
    String(field.id).padStart(6, '0'),
    filter,
    `c${String(ccd).padStart(2, '0')}_o_q${quadrant}_scimrefdiffimg.fits`,
  ].join('_')
  const folder = `/ztf/archive/sci/${date.slice(0, 4)}/${date.slice(4)}/${day}`
  return archived ? `${folder}/${name}.fz` : name
}

/** Everything measured of a detection. `source` is its number on the image. */
export function sourceFields(
  object: SkyObject,
  exposure: Exposure,
  measured: Measurement,
  source: number,
): Values {
  const random = createRandom('source', object.seed, exposure.jd)
  const { magpsf, sigmapsf, positive } = measured
  const { rcid } = object.place
  const snr = Math.abs(measured.counts) / measured.noise
  const pid = processingId(exposure.jd, rcid)
  const xpos = object.place.xpos + 0.4 * random.normal()
  const ypos = object.place.ypos + 0.4 * random.normal()
  const at = scatter(object.position, exposure.seeing / 2.355 / snr, random)
  const sigmagap = 0.62 * sigmapsf
  const magap = magpsf + apertureLoss(object, sigmapsf, random)
  const fwhm = widthOf(object, exposure, snr, random)
  const aimage = Math.max(0.4, 0.42 * fwhm * (1 + 0.08 * random.normal()))
  const elong = 1 + Math.abs(random.normal()) * (object.artifact ? 0.25 : 0.035 + 0.6 / snr)
  return {
    ...imageFields(exposure, rcid),
    candid: candidOf(pid, positive, source),
    tblid: source,
    xpos: float(xpos),
    ypos: float(ypos),
    ra: at.ra,
    dec: at.dec,
    magpsf: float(round(magpsf, 6)),
    sigmapsf: float(round(sigmapsf, 6)),
    chipsf: float(Math.abs(1 + (snr / 40) ** 1.6 + 0.2 * random.normal()) + 0.5),
    magap: float(round(magap, 4)),
    sigmagap: float(round(sigmagap, 4)),
    ...referenceFields(object, exposure),
    sky: float(0.5 * random.normal()),
    magdiff: float(magap - magpsf),
    fwhm: float(round(fwhm, 2)),
    classtar: float(round(1 - Math.min(0.98, random.exponential(object.artifact ? 0.3 : 0.1)), 3)),
    mindtoedge: float(Math.min(xpos, ypos, quadrantWidth - xpos, quadrantHeight - ypos)),
    magfromlim: float(exposure.limit - magap),
    seeratio: float(Math.min(2, (fwhm * pixelScale) / exposure.seeing)),
    aimage: float(round(aimage, 3)),
    bimage: float(round(aimage / elong, 3)),
    aimagerat: float(aimage / fwhm),
    bimagerat: float(aimage / elong / fwhm),
    elong: float(elong),
    nneg: object.artifact === 'dipole' ? 4 + random.whole(9) : random.whole(snr > 20 ? 2 : 7),
    nbad: object.artifact === 'spike' ? random.whole(4) : random.chance(0.01) ? 1 : 0,
    rb: float(realBogus(object, snr, random)),
    sumrat: float(object.artifact ? random.between(0.4, 0.9) : 1 - random.exponential(0.02)),
    magapbig: float(round(magap - 0.02 * random.normal(), 4)),
    sigmagapbig: float(round(1.2 * sigmagap, 4)),
    scorr: round(snr * random.between(1, 1.15), 5),
  }
}

/** The nearest source of the reference image, for what it takes no object: any place has one. */
export function referenceFields(
  { position, neighbours, seed }: SkyObject,
  { fid }: Exposure,
): Values {
  const random = createRandom('reference', seed, fid)
  const nearest = neighbours[0]
  const distance = nearest?.distance ?? random.between(2, 22)
  const angle = nearest ? Math.atan2(nearest.east, nearest.north) : random.between(0, 6.28)
  const mag = Math.min(nearest?.mags[fid - 1] ?? 23, 23.4) + 0.03 * random.normal()
  const east = (distance * Math.sin(angle)) / Math.cos((position.dec * Math.PI) / 180)
  const galaxy = nearest?.shape === 'galaxy'
  return {
    distnr: float(distance),
    magnr: float(round(mag, 3)),
    sigmagnr: float(round(0.01 + 0.33 * 10 ** (0.45 * (mag - 23.3)), 3)),
    chinr: float(round(Math.abs((galaxy ? 2 : 0.6) + 0.25 * random.normal()) + 0.1, 3)),
    sharpnr: float(round((galaxy ? 0.6 : -0.03) + 0.06 * random.normal(), 3)),
    ranr: round(position.ra + east / 3600, 7),
    decnr: round(position.dec + (distance * Math.cos(angle)) / 3600, 7),
  }
}

/** Arcsec of scatter upon a position, to the seven digits of packets. */
function scatter(at: Position, arcsec: number, random: Random): Position {
  const east = (arcsec * random.normal()) / Math.cos((at.dec * Math.PI) / 180)
  return {
    ra: round((at.ra + east / 3600 + 360) % 360, 7),
    dec: round(at.dec + (arcsec * random.normal()) / 3600, 7),
  }
}

function apertureLoss({ artifact }: SkyObject, sigmapsf: number, random: Random): number {
  return artifact ? random.between(-0.4, 0.7) : 0.5 * sigmapsf * random.normal()
}

function widthOf({ artifact }: SkyObject, exposure: Exposure, snr: number, random: Random): number {
  if (artifact === 'spike') return random.between(1.1, 1.6)
  if (artifact) return random.between(1.5, 7)
  return (exposure.seeing / pixelScale) * Math.abs(1 + (1.2 / snr) * random.normal()) + 0.2
}

/** The random-forest score: most real sources between 0.5 and 0.85, most others below. */
function realBogus({ artifact }: SkyObject, snr: number, random: Random): number {
  const centre = artifact ? 0.36 : snr > 8 ? 0.72 : 0.64
  return round(Math.min(0.98, Math.max(0.02, centre + 0.1 * random.normal())), 6)
}

export function round(value: number, digits: number): number {
  return Number(value.toFixed(digits))
}
