/** What a night is made of, and how an object that can be seen now is drawn. */
import { activeNucleus } from './classes/agn.ts'
import { bogus } from './classes/bogus.ts'
import { cataclysmicVariable } from './classes/cataclysmic.ts'
import { asteroid, unknownMover } from './classes/movers.ts'
import { eclipsingBinary, longPeriodVariable, rrLyrae } from './classes/stars.ts'
import { supernovaIa, supernovaII } from './classes/supernovae.ts'
import type { Exposure } from './exposure.ts'
import { quadrantHeight, quadrantWidth, skyOf, type CameraPlace } from './fields.ts'
import { drawNeighbours } from './neighbours.ts'
import type { Kind, Maker, SkyObject } from './object.ts'
import { measure } from './photometry.ts'
import { createRandom, type Random } from './random.ts'

const makers: Record<Kind, Maker> = {
  'rr-lyrae': rrLyrae,
  'eclipsing-binary': eclipsingBinary,
  'long-period-variable': longPeriodVariable,
  asteroid,
  'unknown-mover': unknownMover,
  bogus,
  'supernova-ia': supernovaIa,
  'supernova-ii': supernovaII,
  agn: activeNucleus,
  'cataclysmic-variable': cataclysmicVariable,
}

/** Shares of a night's alerts. Of supernovae there are several times too many, so that small nights have some. */
const shares: Readonly<Record<Kind, number>> = {
  'rr-lyrae': 0.165,
  'eclipsing-binary': 0.12,
  'long-period-variable': 0.17,
  asteroid: 0.3,
  'unknown-mover': 0.02,
  bogus: 0.155,
  'supernova-ia': 0.02,
  'supernova-ii': 0.012,
  agn: 0.022,
  'cataclysmic-variable': 0.016,
}

/** The camera keeps this far from a quadrant's edge, pixels: nearer sources are not extracted. */
const margin = 16

/** Make objects that an exposure detects, each with a name no other has. */
export function createPopulation(seed: string | number) {
  let count = 0

  return { discover, moved }

  /** An object seen for the first time tonight; of a class drawn by its share. */
  function discover(exposure: Exposure, random: Random): SkyObject {
    const kind = drawKind(random)
    const name = `${seed} object ${count}`
    const place = drawPlace(random)
    const position = skyOf(exposure.field, place)
    for (let attempt = 0; attempt < 400; attempt++) {
      const draw = createRandom(name, kind, attempt)
      const nature = makers[kind]({ exposure, position, random: draw })
      const object: SkyObject = {
        ...nature,
        objectId: '',
        seed: `${name} ${attempt}`,
        field: exposure.field,
        place,
        position,
        neighbours: [],
      }
      if (!measure(object, exposure).detected) continue
      object.neighbours = drawNeighbours(position, nature.counterpart, draw)
      object.objectId = objectIdOf(seed, count++, nature.firstSeen ?? exposure.jd)
      return object
    }
    // A cloud can hide every object of a faint class; there is always a star that varies.
    return discover(exposure, random)
  }

  /** A mover as the next visit meets it: elsewhere, and so under a new name. */
  function moved(object: SkyObject, exposure: Exposure, days: number): SkyObject | undefined {
    const { motion, place } = object
    if (motion === undefined) return object
    const xpos = place.xpos - (motion.east * days) / 1.01
    const ypos = place.ypos + (motion.north * days) / 1.01
    if (xpos < margin || xpos > quadrantWidth - margin) return undefined
    if (ypos < margin || ypos > quadrantHeight - margin) return undefined
    const next = { ...place, xpos, ypos }
    const mag = object.flux(exposure.jd - days, exposure.fid)
    const here = exposure.jd
    const name = `${object.seed} moved ${exposure.jd}`
    return {
      ...object,
      seed: name,
      objectId: objectIdOf(seed, count++, exposure.jd),
      place: next,
      position: skyOf(object.field, next),
      neighbours: drawNeighbours(object.position, undefined, createRandom(name)),
      flux: (jd) => (Math.abs(jd - here) < 0.001 ? mag : 0),
    }
  }
}

function drawKind(random: Random): Kind {
  let left = random.next()
  for (const [kind, share] of Object.entries(shares)) {
    left -= share
    if (left < 0) return kind as Kind
  }
  return 'long-period-variable'
}

function drawPlace(random: Random): CameraPlace {
  return {
    rcid: random.whole(64),
    xpos: random.between(margin, quadrantWidth - margin),
    ypos: random.between(margin, quadrantHeight - margin),
  }
}

const names = 26 ** 7

/** `ZTF`, the year of discovery, seven letters: a walk through all names that meets each once. */
function objectIdOf(seed: string | number, count: number, firstSeen: number): string {
  const start = createRandom(seed, 'names').whole(names)
  // The step has no factor 2 or 13, so the walk closes only after 26^7 names.
  let value = Number((BigInt(start) + BigInt(count) * 3_141_592_653n) % BigInt(names))
  let letters = ''
  for (let i = 0; i < 7; i++) {
    letters = String.fromCharCode(97 + (value % 26)) + letters
    value = Math.floor(value / 26)
  }
  const year = 2000 + Math.floor((firstSeen - 2451544.5) / 365.25)
  return `ZTF${String(year).slice(2)}${letters}`
}
