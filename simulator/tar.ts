/** Members of a tar archive as POSIX.1-2001 writes them: a PAX record for the time, then ustar. */
const block = 512

/** One file with its header, padded to whole blocks. `timestamp` is Unix milliseconds and kept whole. */
export function tarMember(name: string, data: Uint8Array, timestamp: number): Buffer {
  const record = paxRecord('mtime', (timestamp / 1000).toFixed(3))
  const seconds = Math.floor(timestamp / 1000)
  return Buffer.concat([
    header({ name: `PaxHeader/${name}`, size: record.length, seconds, type: 'x' }),
    padded(record),
    header({ name, size: data.length, seconds, type: '0' }),
    padded(data),
  ])
}

/** The end of an archive: two empty blocks. */
export const tarEnd: Uint8Array = new Uint8Array(2 * block)

function paxRecord(key: string, value: string): Buffer {
  const rest = ` ${key}=${value}\n`
  // The length counts its own digits; these records are all between 10 and 99 long.
  return Buffer.from(`${rest.length + 2}${rest}`)
}

function header(member: { name: string; size: number; seconds: number; type: 'x' | '0' }): Buffer {
  const bytes = Buffer.alloc(block)
  bytes.write(member.name, 0, 100)
  bytes.write('0000644\0', 100)
  bytes.write('0000000\0', 108)
  bytes.write('0000000\0', 116)
  bytes.write(octal(member.size, 11), 124)
  bytes.write(octal(member.seconds, 11), 136)
  bytes.write('        ', 148)
  bytes.write(member.type, 156)
  bytes.write('ustar\x0000', 257)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${octal(sum, 6)}\0 `, 148)
  return bytes
}

const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0')

function padded(data: Uint8Array): Buffer {
  return Buffer.concat([data], Math.ceil(data.length / block) * block)
}
