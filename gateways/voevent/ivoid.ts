/**
 * IVOA identifiers, `ivo://authority/resource#local`, by the rules that Comet checks (which are those of
 * IVOA Identifiers 1.12, less the query part). Letters are ASCII's.
 */
import { NightjarError } from '../../core/errors.ts'

export interface Ivoid {
  authority: string
  /** With its leading slash, or empty. */
  resource: string
  /** What follows the `#`; empty where there is none. */
  local: string
}

const form =
  /^ivo:\/\/(?<authority>[a-zA-Z0-9][\w\-.~*'()]{2,})(?<resource>(?:\/[\w\-.~*'()/]*)?)#?(?<local>[\w\-.~*'()+=/%!$&,;:@?]*)$/

/** Read an identifier. Throws `input_invalid`. */
export function parseIvoid(text: string): Ivoid {
  const found = form.exec(text)?.groups
  const { authority, resource = '', local = '' } = found ?? {}
  const isPath = !/\/\/|\/\.{1,2}\/|\/$/.test(resource)
  if (authority === undefined || !isPath) {
    throw new NightjarError('input_invalid', `Invalid IVOID: ${text.slice(0, 200)}`)
  }
  return { authority, resource, local }
}
