/** Lines of a stream of bytes, of which none is kept beyond its limit. */
export type Line = { text: string } | { fault: string }

/** Make a reader: fed with pieces of any size, it answers the lines that are whole by then. */
export function createLineReader(maxBytes: number): (piece: Buffer) => Line[] {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
  let held: Buffer[] = []
  let bytes = 0

  function finish(): Line {
    const line = Buffer.concat(held)
    const isTooLong = bytes > maxBytes
    held = []
    bytes = 0
    if (isTooLong) return { fault: `a line is longer than ${maxBytes} bytes` }
    try {
      return { text: decoder.decode(line) }
    } catch {
      return { fault: 'a line is no UTF-8' }
    }
  }

  return function feed(piece) {
    const lines: Line[] = []
    let at = 0
    for (;;) {
      const end = piece.indexOf(10, at)
      const part = piece.subarray(at, end < 0 ? undefined : end)
      bytes += part.length
      // What is too long is counted, and kept no more.
      if (bytes > maxBytes) held = []
      else if (part.length > 0) held.push(Buffer.from(part))
      if (end < 0) return lines
      lines.push(finish())
      at = end + 1
    }
  }
}
