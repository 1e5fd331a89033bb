/** Is a packet whole? Asked before bytes are kept that nobody could read again. */
import { datumOf } from './alert.ts'
import { checkEnd, compileSkipper } from './decode.ts'
import { bundledSchemas, type SchemaSource } from './registry.ts'

/**
 * Walk over every value of an alert packet, cutouts included, without making any of them. Throws what
 * `readAlert` would.
 */
export function verifyAlert(bytes: Uint8Array, schemas: SchemaSource = bundledSchemas()): void {
  const { schema, data } = datumOf(bytes, schemas)
  checkEnd(data, compileSkipper(schema)(data, 0))
}
