/** The schemas of VOEvent by namespace, each compiled when it is first asked for. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

import type * as libxml from 'libxml2-wasm'

import { XmlDocument, XsdValidator } from './libxml.ts'

const files: ReadonlyMap<string, string> = new Map([
  ['http://www.ivoa.net/xml/VOEvent/v2.0', 'voevent-2.0.xsd'],
  ['http://www.ivoa.net/xml/VOEvent/v2.1', 'voevent-2.1.xsd'],
])

const compiled = new Map<string, libxml.XsdValidator>()

/** The validator of a namespace; `undefined` for a version that has no schema here. */
export function validatorOf(namespace: string): libxml.XsdValidator | undefined {
  const known = compiled.get(namespace)
  const file = files.get(namespace)
  if (known !== undefined || file === undefined) return known
  using schema = XmlDocument.fromBuffer(readFileSync(join(import.meta.dirname, 'schemas', file)))
  const validator = XsdValidator.fromDoc(schema)
  compiled.set(namespace, validator)
  return validator
}
