/** `--select`: a selector on whatever a topic carries, an alert or a message with properties. */
import { propertySelector } from '../control/selector/properties.ts'
import { isPermanent } from '../core/errors.ts'
import { maxFilterBytes } from '../core/filter.ts'
import { topicName, type Instance } from '../core/names.ts'
import type { Message } from '../core/ports.ts'
import { alertFilter } from '../functions/filter/alert-filter.ts'
import { alertView } from '../functions/filter/view.ts'
import { projectAlert, readAlertWithoutCutouts } from '../schemas/alert.ts'
import { isWire } from '../schemas/confluent.ts'
import { isContainer } from '../schemas/container.ts'

export interface MessageFilter {
  selects(message: Message): boolean
  /** What the subscription can do of it by itself, on a topic whose attributes are known. */
  attributesOn(topic: string): string | undefined
}

/** Make the filter. What cannot be read as an alert, nor as JSON, is judged by its attributes. */
export function messageFilter(text: string, at: Instance): MessageFilter {
  const onAlerts = alertFilter(text, at.survey)
  const onProperties = propertySelector(text)
  const known = [
    topicName(at, 'alert_data'),
    ...(at.survey === 'ztf' ? [topicName(at, 'exgalac_trans')] : []),
  ]
  return {
    selects({ data, attributes }) {
      if (!isContainer(data) && !isWire(data))
        return onProperties.selects(propertiesOf(data, attributes))
      try {
        return onAlerts.selects(alertView(readAlertWithoutCutouts(data).record, projectAlert(data)))
      } catch (error) {
        if (isPermanent(error)) return false
        throw error
      }
    },
    attributesOn: (topic) => (known.includes(topic) ? onAlerts.attributes || undefined : undefined),
  }
}

/** Both filters at once; without room for both, the person's own. */
export function joinFilters(
  own: string | undefined,
  other: string | undefined,
): string | undefined {
  if (own === undefined || own.trim() === '' || other === undefined) return own ?? other
  const both = `(${own}) AND (${other})`
  return Buffer.byteLength(both) > maxFilterBytes ? own : both
}

function propertiesOf(
  data: Uint8Array,
  attributes: Message['attributes'],
): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(Buffer.from(data).toString())
    if (typeof value === 'object' && value !== null) return { ...attributes, ...value }
  } catch {
    // It is no JSON: its attributes are all that can be asked of it.
  }
  return { ...attributes }
}
