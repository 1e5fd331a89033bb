/**
 * Unpack raw snappy (no frame). The promised length is checked against `limit` and against what the
 * input can hold before anything is allocated, and every step moves forward, so damaged input ends.
 * Throws `Error` with the reason.
 */
export function unsnap(input: Uint8Array, limit: number): Uint8Array {
  let p = 0
  let length = 0
  for (let shift = 0; ; shift += 7) {
    const byte = input[p++]
    if (byte === undefined || shift > 28) throw new Error('its length is damaged')
    length += (byte & 127) * 2 ** shift
    if (byte < 128) break
  }
  // Three bytes make at most 64.
  const most = Math.min(limit, input.length * 22)
  if (length > most) throw new RangeError(`it promises ${length} bytes, more than ${most}`)

  const output = new Uint8Array(length)
  let at = 0
  while (p < input.length) {
    const tag = byteAt(p++)
    const kind = tag & 3
    if (kind === 0) {
      let size = tag >>> 2
      if (size >= 60) {
        const width = size - 59
        size = wordAt(p, width)
        p += width
      }
      size++
      if (p + size > input.length) throw new Error(`a literal of ${size} bytes passes its end`)
      if (at + size > length) throw new Error(`it is longer than the ${length} bytes it promises`)
      output.set(input.subarray(p, p + size), at)
      p += size
      at += size
      continue
    }
    const size = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1
    const width = kind === 3 ? 4 : kind
    const offset = wordAt(p, width) + (kind === 1 ? (tag >>> 5) << 8 : 0)
    p += width
    if (offset === 0 || offset > at) throw new Error(`a copy reaches ${offset} back from ${at}`)
    if (at + size > length) throw new Error(`it is longer than the ${length} bytes it promises`)
    // A copy may read what it has just written, so it goes byte by byte.
    for (const end = at + size; at < end; at++) output[at] = output[at - offset] as number
  }
  if (at !== length) throw new Error(`it has ${at} bytes, not the ${length} it promises`)
  return output

  function byteAt(position: number): number {
    const byte = input[position]
    if (byte === undefined) throw new Error('it ends inside a tag')
    return byte
  }

  function wordAt(position: number, width: number): number {
    let word = 0
    for (let i = 0; i < width; i++) word += byteAt(position + i) * 2 ** (8 * i)
    return word
  }
}
