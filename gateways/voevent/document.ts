/**
 * A document as it came over the wire: what it is, who it is, and what can be asked of it. Parsing is
 * libxml2's; the memory it takes is outside of JavaScript's, so a document is used and disposed of.
 */
import type * as libxml from 'libxml2-wasm'

import { NightjarError, sentenceOf } from '../../core/errors.ts'
import { ParseOption, XmlDocument, XmlElement, XmlValidateError } from './libxml.ts'
import { validatorOf } from './schema.ts'

export const eventRoles = ['observation', 'prediction', 'utility', 'test'] as const
export const transportRoles = ['iamalive', 'authenticate', 'ack', 'nak'] as const

export type EventRole = (typeof eventRoles)[number]
export type TransportRole = (typeof transportRoles)[number]

export interface EventHead {
  kind: 'event'
  role: EventRole
  /** Absent in a document that breaks the standard. */
  ivorn?: string
}

export interface TransportHead {
  kind: 'transport'
  role: TransportRole
  origin: string
  response?: string
  result?: string
  /** XPath expressions that a subscriber asks for, in today's form or the legacy one. */
  filters: string[]
}

export interface Document extends Disposable {
  head: EventHead | TransportHead
  /** Why the document is not valid by the schema of its version, in libxml2's words; `undefined` if it is. */
  fault(): string | undefined
  /** The elements that an expression names, by their text and what an attribute of them says. */
  elements(expression: string, attribute?: string): { text: string; attribute?: string }[]
  /** Evaluate an expression; an error is `undefined`. */
  evaluate(expression: libxml.XmlXPath): unknown
}

/**
 * Parse a document. Throws `input_invalid` for what is not well-formed, has a document type (which is what
 * entities need, and no event does), or is neither an event nor a message of transport.
 */
export function parseDocument(bytes: Uint8Array): Document {
  let xml: libxml.XmlDocument
  try {
    xml = XmlDocument.fromBuffer(bytes, { option: ParseOption.XML_PARSE_NONET })
  } catch (cause) {
    throw new NightjarError('input_invalid', `Cannot parse XML: ${sentenceOf(cause).trim()}`, {
      cause,
    })
  }
  try {
    if (xml.dtd !== null) {
      throw new NightjarError('input_invalid', 'Cannot take XML with a document type declaration')
    }
    const head = headOf(xml)
    return {
      head,
      fault: () => faultOf(xml),
      elements: (expression, attribute) =>
        xml.find(expression).map((node) => {
          const said =
            attribute !== undefined && node instanceof XmlElement
              ? node.attr(attribute)?.value
              : undefined
          return { text: node.content, ...(said !== undefined && { attribute: said }) }
        }),
      evaluate(expression) {
        try {
          return xml.eval(expression)
        } catch {
          return undefined
        }
      },
      [Symbol.dispose]: () => xml.dispose(),
    }
  } catch (error) {
    xml.dispose()
    throw error
  }
}

/** What the root says. Namespaces of transport differ from peer to peer, so local names count. */
function headOf(xml: libxml.XmlDocument): EventHead | TransportHead {
  const { root } = xml
  const role = root.attr('role')?.value
  if (root.name === 'VOEvent') {
    const known = eventRoles.find((one) => one === (role ?? 'observation'))
    const ivorn = root.attr('ivorn')?.value
    if (known !== undefined)
      return { kind: 'event', role: known, ...(ivorn !== undefined && { ivorn }) }
  } else {
    const known = transportRoles.find((one) => one === role)
    if (known !== undefined) return transportOf(xml, known)
  }
  throw new NightjarError(
    'input_invalid',
    `Cannot tell what a <${root.name}> of role "${role ?? ''}" is`,
  )
}

function transportOf(xml: libxml.XmlDocument, role: TransportRole): TransportHead {
  const textOf = (name: string): string | undefined =>
    xml.get(`/*/*[local-name()='${name}']`)?.content.trim()
  const response = textOf('Response')
  const result = xml.get(`/*/*[local-name()='Meta']/*[local-name()='Result']`)?.content.trim()
  const asked = xml.find(
    `/*/*[local-name()='Meta']/*[local-name()='Param'][@name='xpath-filter']/@value` +
      `|/*/*[local-name()='Meta']/*[local-name()='filter'][@type='xpath']`,
  )
  return {
    kind: 'transport',
    role,
    origin: textOf('Origin') ?? '',
    filters: asked.map(({ content }) => content),
    ...(response !== undefined && { response }),
    ...(result !== undefined && { result }),
  }
}

function faultOf(xml: libxml.XmlDocument): string | undefined {
  const validator = validatorOf(xml.root.namespaceUri)
  if (validator === undefined) {
    return `Element '${xml.root.name}': No matching global declaration available for the validation root., line ${xml.root.line}`
  }
  try {
    validator.validate(xml)
    return undefined
  } catch (error) {
    if (!(error instanceof XmlValidateError)) throw error
    const [detail] = error.details
    return detail === undefined ? error.message : `${detail.message.trim()}, line ${detail.line}`
  }
}
