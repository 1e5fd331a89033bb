/**
 * Stage `filter`: every alert is judged by every live filter, and goes, without cutouts, to the topic of
 * each that selects it. One ledger event an alert says which did, and which set of filters was asked.
 */
import { forStageAttribute } from '../../core/alert.ts'
import { NightjarError, sentenceOf } from '../../core/errors.ts'
import type { Survey, TopicWord } from '../../core/names.ts'
import type { Message, Store, Topic } from '../../core/ports.ts'
import { projectAlert, readAlertWithoutCutouts } from '../../schemas/alert.ts'
import { trimPacket } from '../../schemas/encode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import type { SchemaSource } from '../../schemas/registry.ts'
import type { StageHandler, Verdict } from '../stage.ts'
import { alertFilter } from './alert-filter.ts'
import { liveFilters, type LiveFilter } from './registry.ts'
import { alertView, type AlertView } from './view.ts'

export interface FilterOptions {
  survey: Survey
  /** Where the filters are kept. */
  store: Store
  topic(word: TopicWord): Promise<Topic>
  schemas: SchemaSource
  /** How long a set of filters is used before it is looked for anew. */
  refreshMs?: number
  now?: () => number
}

interface Ready extends LiveFilter {
  selects(view: AlertView): boolean
}

interface Bank {
  bank: string
  filters: Ready[]
}

/** Attributes that say which filter a message passed. */
export const filterAttributes = { name: 'filter', version: 'filter_version' } as const

/** Make the handler. What is published twice after a crash is the same message. */
export function createFilter(options: FilterOptions): StageHandler {
  const { survey, store, topic, schemas, refreshMs = 1000, now = Date.now } = options
  const topics = new Map<string, Promise<Topic>>()
  let compiled = new Map<string, Ready>()
  let bank: Promise<Bank> | undefined
  let askedAt = -Infinity

  return async function handleFilter({ data, attributes }: Message): Promise<Verdict> {
    const { objectId, candid } = projectAlert(data, schemas)
    const { record } = readAlertWithoutCutouts(data, schemas)
    const { bank: word, filters } = await current()
    const view = alertView(record, { objectId, candid })
    const selected = filters.filter((filter) => filter.selects(view))
    if (selected.length === 0) {
      return { outcome: 'filtered', reason: `bank ${word}`, objectId, candid }
    }
    // Subscribers read with whatever they have: the schema must be legal, as it is in the archive.
    const packet = trimPacket(fixPacket(data).bytes, schemas)
    const { [forStageAttribute]: _, ...own } = attributes
    await Promise.all(
      selected.map(async ({ name, version }) => {
        const named = { [filterAttributes.name]: name, [filterAttributes.version]: String(version) }
        await (await topicOf(name)).publish({ data: packet, attributes: { ...own, ...named } })
      }),
    )
    const names = selected.map(({ name, version }) => `${name}@${version}`).join(', ')
    return { outcome: 'published', reason: `bank ${word}: ${names}`, objectId, candid }
  }

  function current(): Promise<Bank> {
    if (bank === undefined || now() - askedAt >= refreshMs) {
      askedAt = now()
      bank = load()
      // The next alert asks again.
      bank.catch(() => (bank = undefined))
    }
    return bank
  }

  async function load(): Promise<Bank> {
    const live = await liveFilters(store)
    const ready = new Map<string, Ready>()
    for (const filter of live.filters) {
      const key = JSON.stringify(filter)
      ready.set(key, compiled.get(key) ?? prepare(filter))
    }
    compiled = ready
    const filters = [...ready.values()]
    return { bank: live.bank, filters }
  }

  function prepare(filter: LiveFilter): Ready {
    try {
      return { ...filter, selects: alertFilter(filter.selector, survey).selects }
    } catch (cause) {
      // It is the filter's fault and no alert's: alerts wait until it is mended or removed.
      const why = `Cannot use filter "${filter.name}": ${sentenceOf(cause)}`
      throw new NightjarError('store_failed', why, { cause })
    }
  }

  function topicOf(name: string): Promise<Topic> {
    const known = topics.get(name)
    if (known !== undefined) return known
    const opened = topic(`filter_${name}`)
    topics.set(name, opened)
    opened.catch(() => topics.delete(name))
    return opened
  }
}
