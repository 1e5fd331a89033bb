/** A filter on a survey's alerts: parsed, checked against the survey's names, ready for the stream. */
import { compileSelector } from '../../control/selector/compile.ts'
import { parseSelector } from '../../control/selector/parser.ts'
import { pubsubFilter, type KnownAttribute } from '../../control/selector/pubsub.ts'
import { selectorFault } from '../../control/selector/fault.ts'
import { nodesOf, type Expression, type Selector } from '../../control/selector/tree.ts'
import type { Survey } from '../../core/names.ts'
import { alertFields, alertVocabulary } from './fields.ts'
import type { AlertView } from './view.ts'

export interface AlertFilter {
  selector: Selector
  selects(view: AlertView): boolean
  /** Names that no alert of the survey has: they are NULL. Each with a name that may be meant. */
  strange: { name: string; meant?: string }[]
  /** It has a name of a fit, and so judges fits with their alerts: see `fits.ts`. */
  onFits: boolean
  /** What a subscription to the alert topic can do of it by itself; empty where that is nothing. */
  attributes: string
}

/** What the relay writes beside an alert, and stages pass on. */
const attributes: Readonly<Record<string, KnownAttribute>> = {
  objectId: { key: 'objectId', kind: 'text' },
  candid: { key: 'candid', kind: 'integer' },
}

const isOfFit = (name: string, survey: Survey): boolean =>
  alertFields(survey).get(name)?.place === 'fit'

/** Whether a filter is one on fits. Throws `input_invalid` as `alertFilter` does. */
export const judgesFits = (text: string, survey: Survey): boolean =>
  parseSelector(text).names.some((name) => isOfFit(name, survey))

/** Make a filter. Throws `input_invalid`, with the column, also for a condition that is no boolean. */
export function alertFilter(text: string, survey: Survey): AlertFilter {
  const selector = parseSelector(text)
  const fields = alertFields(survey)
  for (const node of nodesOf(selector.root)) {
    const terms = node.kind === 'and' || node.kind === 'or' ? node.terms : []
    for (const term of node.kind === 'not' ? [node.of] : terms) checkCondition(term)
  }
  checkCondition(selector.root)
  const { selects } = compileSelector(selector, alertVocabulary(survey))
  const strange = selector.names.flatMap((name) => {
    if (fields.has(name)) return []
    const meant = [...fields.keys()].find((known) => known.toLowerCase() === name.toLowerCase())
    return [{ name, ...(meant !== undefined && { meant }) }]
  })
  const filter = pubsubFilter(selector, (name) =>
    Object.hasOwn(attributes, name) ? attributes[name] : undefined,
  )
  const onFits = selector.names.some((name) => isOfFit(name, survey))
  return { selector, selects, strange, onFits, attributes: filter }

  function checkCondition(node: Expression): void {
    const field = node.kind === 'name' ? fields.get(node.name) : undefined
    if (field === undefined || field.kind === 'boolean') return
    const why = `has "${field.name}", which is a ${field.kind} and no condition: compare it`
    throw selectorFault(text, node.at, why)
  }
}
