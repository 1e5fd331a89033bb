/** What an object may be called, alike in a bucket and in a folder. */
import { NightjarError } from './errors.ts'

/**
 * Check a name: 1 to 1,024 bytes of UTF-8 (Cloud Storage docs: "About objects"), and no part of it that
 * would leave the folder it stands in. Throws `input_invalid`.
 */
export function checkObjectName(name: string): string {
  const long = name.length * 3 > 1024 && Buffer.byteLength(name) > 1024
  if (name === '' || long || /(^|\/)(\.{0,2})(\/|$)|[\0\\\r\n]/.test(name)) {
    throw new NightjarError('input_invalid', `Cannot name an object ${JSON.stringify(name)}`)
  }
  return name
}
