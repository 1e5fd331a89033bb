/**
 * A keytab, read as far as it says whose keys it holds: its faults are told here by name, where the
 * Kerberos library says only that there are no credentials.
 *
 * The format is MIT's version 2: bytes 5 2, then entries, each a length (int32; negative for a hole)
 * and: components, realm, the components, name type, time, key version, key. All big-endian.
 */
import { readFile } from 'node:fs/promises'

import { NightjarError } from '../../core/errors.ts'

const mostBytes = 1 << 20

/** The principals of a keytab file, each once. Throws `config_invalid`. */
export async function readKeytab(path: string): Promise<string[]> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw unusable(path, whyUnreadable(cause), cause)
  }
  if (bytes.length > mostBytes) throw unusable(path, `it has ${bytes.length} bytes`)
  if (bytes.length < 2 || bytes[0] !== 5 || bytes[1] !== 2) {
    throw unusable(path, 'it is no keytab: it does not begin with the bytes 05 02')
  }
  let principals: string[]
  try {
    principals = principalsIn(bytes)
  } catch (cause) {
    throw unusable(path, 'it is cut short or damaged; fetch it again, in binary mode', cause)
  }
  if (principals.length === 0) throw unusable(path, 'it holds no key')
  return principals
}

function principalsIn(bytes: Buffer): string[] {
  const found = new Set<string>()
  for (let at = 2; at + 4 <= bytes.length;) {
    const size = bytes.readInt32BE(at)
    at += 4
    // Zeros fill the end.
    if (size === 0) break
    if (size < 0) {
      at -= size
      continue
    }
    if (at + size > bytes.length) throw new RangeError(`an entry of ${size} bytes at ${at}`)
    found.add(principalOf(bytes.subarray(at, at + size)))
    at += size
  }
  return [...found]
}

function principalOf(entry: Buffer): string {
  let at = 2
  const text = (): string => {
    const size = entry.readUInt16BE(at)
    if (at + 2 + size > entry.length) throw new RangeError(`a name of ${size} bytes`)
    at += 2 + size
    return entry.toString('utf8', at - size, at)
  }
  const realm = text()
  const parts = Array.from({ length: entry.readUInt16BE(0) }, text)
  return `${parts.join('/')}@${realm}`
}

function whyUnreadable(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  if (code === 'ENOENT') return 'there is no such file; copy the one that the stream gave you'
  if (code === 'EACCES') return 'this user may not read it; give it to the user that runs Nightjar'
  if (code === 'EISDIR') return 'it is a folder'
  return String(code ?? cause)
}

function unusable(path: string, why: string, cause?: unknown): NightjarError {
  return new NightjarError('config_invalid', `Cannot use keytab "${path}": ${why}`, { cause })
}
