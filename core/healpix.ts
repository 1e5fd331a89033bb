/**
 * HEALPix in the nested scheme (Górski et al. 2005, ApJ 622, 759): the pixel of a position at order 29,
 * the finest that fits into a 64-bit integer (0.4 mas). Rows sorted by it lie close to each other in
 * the table when they lie close on the sky, and a coarser pixel is a right shift by two bits an order.
 */

const order = 29
const side = 2 ** order

/**
 * The nested pixel of a position.
 *
 * @param ra right ascension, degrees, any turn
 * @param dec declination, degrees, −90 to 90
 */
export function healpix29(ra: number, dec: number): bigint {
  const z = Math.sin((dec * Math.PI) / 180)
  const zabs = Math.abs(z)
  // tt: longitude in quarter turns, [0, 4).
  const tt = (((ra / 90) % 4) + 4) % 4

  if (zabs <= 2 / 3) {
    // Equatorial belt: the pixel by its ascending and descending edge lines.
    const up = side * (0.5 + tt)
    const down = side * (z * 0.75)
    const ascending = Math.floor(up - down)
    const descending = Math.floor(up + down)
    const faceUp = Math.floor(ascending / side)
    const faceDown = Math.floor(descending / side)
    const face =
      faceUp === faceDown ? (faceUp & 3) + 4 : faceUp < faceDown ? faceUp & 3 : (faceDown & 3) + 8
    const x = descending % side
    const y = side - 1 - (ascending % side)
    return pixel(face, x, y)
  }
  // Polar caps. cos(dec) keeps the precision that 1 − |sin(dec)| loses near the poles.
  const quarter = Math.min(Math.floor(tt), 3)
  const within = tt - quarter
  const scale = side * (Math.cos((dec * Math.PI) / 180) / Math.sqrt((1 + zabs) / 3))
  const rising = Math.min(Math.floor(within * scale), side - 1)
  const falling = Math.min(Math.floor((1 - within) * scale), side - 1)
  return z >= 0
    ? pixel(quarter, side - 1 - falling, side - 1 - rising)
    : pixel(quarter + 8, rising, falling)
}

function pixel(face: number, x: number, y: number): bigint {
  return (BigInt(face) << BigInt(2 * order)) | spread(x) | (spread(y) << 1n)
}

/** Put a zero bit between the bits of a number below 2^29. */
function spread(value: number): bigint {
  // Two halves, each small enough for 32-bit arithmetic.
  return BigInt(spread16(value & 0xffff) >>> 0) | (BigInt(spread16(value >>> 16) >>> 0) << 32n)
}

function spread16(half: number): number {
  let bits = half
  bits = (bits | (bits << 8)) & 0x00ff00ff
  bits = (bits | (bits << 4)) & 0x0f0f0f0f
  bits = (bits | (bits << 2)) & 0x33333333
  return (bits | (bits << 1)) & 0x55555555
}

/**
 * The centre of a nested pixel of a coarser order, in degrees.
 *
 * @param coarse order, 0 to 15
 * @param index nested index, 0 to 12 · 4^order − 1
 */
export function healpixCentre(coarse: number, index: number): { ra: number; dec: number } {
  const across = 2 ** coarse
  const inFace = index % (across * across)
  const face = Math.floor(index / (across * across))
  const x = gather(inFace)
  const y = gather(inFace >>> 1)
  // Rings are counted from the north pole; each face's southern corner lies on the ring below.
  const row = Math.floor(face / 4)
  const ring = (row + 2) * across - x - y - 1
  const turn = row === 1 ? (face % 4) * 2 : (face % 4) * 2 + 1
  const cap = Math.min(ring, 4 * across - ring)
  const width = Math.min(cap, across)
  let z: number
  if (cap < across) {
    z = 1 - (cap * cap) / (3 * across * across)
    if (ring > 2 * across) z = -z
  } else {
    z = ((2 * across - ring) * 2) / (3 * across)
  }
  const ra = ((turn * width + x - y) * 45) / width
  return { ra: (ra + 360) % 360, dec: (Math.asin(z) * 180) / Math.PI }
}

/** Every second bit, from the lowest on. */
function gather(bits: number): number {
  let value = 0
  for (let i = 0; i < 16; i++) value |= ((bits >>> (2 * i)) & 1) << i
  return value
}
