/**
 * The stages of the named filters. `filter`: every alert is judged by every live filter on alerts.
 * `filter_fits`: every fit of `ztf_salt2` is judged, with its alert, by every live filter on fits. The alert
 * goes, without cutouts, to the topic of each that selects it; one ledger event says which did, and which
 * set of filters was asked.
 */
import { forStageAttribute, occurrenceOf, type AlertId, type Occurrence } from '../../core/alert.ts'
import { NightjarError, sentenceOf } from '../../core/errors.ts'
import { archiveName, type Survey, type TopicWord } from '../../core/names.ts'
import type { FilterStage } from '../../core/pipeline.ts'
import type { Message, Store, Topic } from '../../core/ports.ts'
import { projectAlert, readAlertWithoutCutouts } from '../../schemas/alert.ts'
import { trimPacket } from '../../schemas/encode.ts'
import { fixPacket } from '../../schemas/fix.ts'
import type { SchemaSource } from '../../schemas/registry.ts'
import type { StageHandler, Verdict } from '../stage.ts'
import { alertFilter, judgesFits } from './alert-filter.ts'
import { parseFit } from './fits.ts'
import { formatJudged } from './judged.ts'
import { keepBank, watchFilters, type Bank, type LiveFilter } from './registry.ts'
import { alertView, type AlertView } from './view.ts'

export interface FilterOptions {
  stage: FilterStage
  survey: Survey
  /** Where alerts are archived; the alert of a fit is read from there. */
  archive: () => Promise<Store>
  /** Where the filters are kept. */
  store: Store
  topic(word: TopicWord): Promise<Topic>
  schemas: SchemaSource
  /** How long a set of filters is used before it is looked for anew. */
  refreshMs?: number
  now?: () => number
}

type Selects = (view: AlertView) => boolean

/** A bank whose filters are compiled, in its order. */
interface Ready {
  bank: Bank
  selects: Selects[]
}

/** Attributes that say which filter a message passed. */
export const filterAttributes = { name: 'filter', version: 'filter_version' } as const

/** Make the handler. What is published twice after a crash is the same message. */
export function createFilter(options: FilterOptions): StageHandler {
  const { stage, survey, store, archive, topic, schemas } = options
  const { refreshMs = 1000, now = Date.now } = options
  const onFits = stage === 'filter_fits'
  const topics = new Map<string, Promise<Topic>>()
  const look = watchFilters(store, (selector) => judgesFits(selector, survey) === onFits)
  let compiled = new Map<string, Selects>()
  let standing: Ready | undefined
  let ready: Promise<Ready> | undefined
  let askedAt = -Infinity

  return async function handleFilter(message: Message): Promise<Verdict> {
    const { attributes } = message
    const fit = onFits ? parseFit(message.data) : undefined
    const data = fit === undefined ? message.data : await alertOf(fit, occurrenceOf(attributes))
    const { objectId, candid } = projectAlert(data, schemas)
    const { record } = readAlertWithoutCutouts(data, schemas)
    const { bank, selects } = await current()
    const view = alertView(record, { objectId, candid }, fit?.fields)
    const selected = selects.map((one) => one(view))
    const reason = formatJudged(bank, selected)
    if (!selected.includes(true)) return { outcome: 'filtered', reason, objectId, candid }
    // Subscribers read with whatever they have: the schema must be legal, as it is in the archive.
    const packet = trimPacket(fixPacket(data).bytes, schemas)
    const { [forStageAttribute]: _, ...own } = attributes
    await Promise.all(
      bank.filters.map(async ({ name, version }, i) => {
        if (selected[i] !== true) return
        const named = { [filterAttributes.name]: name, [filterAttributes.version]: String(version) }
        await (await topicOf(name)).publish({ data: packet, attributes: { ...own, ...named } })
      }),
    )
    return { outcome: 'published', reason, objectId, candid }
  }

  /** The archive runs beside the fit, and may be behind: the message comes again. */
  async function alertOf({ objectId, candid }: AlertId, from: Occurrence): Promise<Uint8Array> {
    const name = archiveName(from.topic, objectId, candid)
    const found = await (await archive()).read(name)
    if (found !== null) return found.data
    throw new NightjarError('store_failed', `Cannot judge a fit: "${name}" is not archived yet`)
  }

  function current(): Promise<Ready> {
    if (ready === undefined || now() - askedAt >= refreshMs) {
      askedAt = now()
      ready = load()
      // The next alert asks again.
      ready.catch(() => (ready = undefined))
    }
    return ready
  }

  async function load(): Promise<Ready> {
    const bank = await look()
    if (bank === standing?.bank) return standing
    const before = compiled
    compiled = new Map(
      bank.filters.map((filter) => {
        const { selector } = filter
        return [selector, before.get(selector) ?? prepare(filter)]
      }),
    )
    // What an alert was judged by must be known before anybody reads that it was.
    await keepBank(store, bank)
    const selects = bank.filters.flatMap(({ selector }) => compiled.get(selector) ?? [])
    return (standing = { bank, selects })
  }

  function prepare({ name, selector }: LiveFilter): Selects {
    try {
      return alertFilter(selector, survey).selects
    } catch (cause) {
      // It is the filter's fault and no alert's: alerts wait until it is mended or removed.
      const why = `Cannot use filter "${name}": ${sentenceOf(cause)}`
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
