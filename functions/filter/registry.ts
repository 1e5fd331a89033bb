/**
 * The named filters of a broker, kept as one object each in the broker-files bucket, with every version
 * that there was: what an alert was judged by can be told years later.
 */
import { createHash } from 'node:crypto'

import { NightjarError } from '../../core/errors.ts'
import type { Store } from '../../core/ports.ts'

export interface FilterVersion {
  version: number
  selector: string
  /** From when it has been live, ISO 8601. */
  since: string
}

export interface NamedFilter {
  name: string
  /** Ascending; the last is live, unless the filter is removed. */
  versions: readonly FilterVersion[]
  removed?: string
}

/** A filter that is live, in the version that is. */
export interface LiveFilter {
  name: string
  version: number
  selector: string
}

const folder = 'filters/'

/** Most filters that are live at once: which of them selected an alert must go in one ledger event. */
export const mostFilters = 3000

/** Check a name: it becomes part of a topic's. */
export function checkFilterName(name: string): string {
  if (/^[a-z][a-z0-9_]{0,39}$/.test(name)) return name
  throw new NightjarError(
    'config_invalid',
    `Cannot name a filter ${JSON.stringify(name)}: it must be a letter and up to 39 letters, digits or ` +
      'underscores, lower case',
  )
}

/** Every filter that there is or was, by name. */
export async function listFilters(store: Store): Promise<NamedFilter[]> {
  const filters: NamedFilter[] = []
  for await (const { name } of store.list(folder)) {
    const found = await store.read(name)
    if (found !== null) filters.push(parse(found.data, name))
  }
  return filters
}

export async function readFilter(store: Store, name: string): Promise<NamedFilter | undefined> {
  const found = await store.read(objectName(name))
  return found === null ? undefined : parse(found.data, objectName(name))
}

/** Make a filter live, or a new version of one; the same selector again changes nothing. */
export async function addFilter(
  store: Store,
  name: string,
  selector: string,
  at: Date,
): Promise<NamedFilter> {
  if (await isCrowded(store, name)) {
    throw new NightjarError(
      'config_invalid',
      `Cannot add filter "${name}": ${mostFilters} are live, and there may be no more`,
    )
  }
  return change(store, checkFilterName(name), (before) => {
    const last = before?.versions.at(-1)
    if (before !== undefined && before.removed === undefined && last?.selector === selector) {
      return before
    }
    const version = { version: (last?.version ?? 0) + 1, selector, since: at.toISOString() }
    return { name, versions: [...(before?.versions ?? []), version] }
  })
}

/** Whether so many others are live that there is no room for one more. */
async function isCrowded(store: Store, name: string): Promise<boolean> {
  let ever = 0
  for await (const _ of store.list(folder)) ever++
  if (ever < mostFilters) return false
  const { filters } = await watchFilters(store)()
  return filters.filter((one) => one.name !== name).length >= mostFilters
}

/** Take a filter off the stream; its versions stay. Throws `config_invalid` where none is live. */
export async function removeFilter(store: Store, name: string, at: Date): Promise<NamedFilter> {
  return change(store, name, (before) => {
    if (before === undefined || before.removed !== undefined) {
      throw new NightjarError('config_invalid', `Cannot remove filter "${name}": it is not live`)
    }
    return { ...before, removed: at.toISOString() }
  })
}

/** The filters that are live, by name, and a word for exactly this set of them. */
export interface Bank {
  bank: string
  filters: LiveFilter[]
}

/**
 * Look which filters are live, again and again, those alone whose selector is `wanted`: answers a function
 * that does. Only what has changed since the last look is read; the same bank is the same object.
 */
export function watchFilters(
  store: Store,
  wanted: (selector: string) => boolean = () => true,
): () => Promise<Bank> {
  let known = new Map<string, { generation: string; filter: NamedFilter }>()
  let last: Bank | undefined

  return async function look() {
    const found = new Map<string, { generation: string; filter: NamedFilter }>()
    let changed = last === undefined
    for await (const { name, generation } of store.list(folder)) {
      const before = known.get(name)
      if (before?.generation === generation) {
        found.set(name, before)
        continue
      }
      const object = await store.read(name)
      if (object === null) continue
      const filter = parse(object.data, name)
      found.set(name, { generation: object.object.generation, filter })
      changed = true
    }
    if (last !== undefined && !changed && found.size === known.size) return last
    known = found
    const bank = bankOf(
      [...found.values()].map(({ filter }) => filter),
      wanted,
    )
    return (last = bank.bank === last?.bank ? last : bank)
  }
}

function bankOf(all: readonly NamedFilter[], wanted: (selector: string) => boolean): Bank {
  const filters = all.flatMap(({ name, versions, removed }) => {
    const last = versions.at(-1)
    if (last === undefined || removed !== undefined || !wanted(last.selector)) return []
    return [{ name, version: last.version, selector: last.selector }]
  })
  const hash = createHash('sha256').update(JSON.stringify(filters)).digest('hex')
  return { bank: hash.slice(0, 12), filters }
}

/** Write down which filters a bank has, before an alert is judged by it. */
export async function keepBank(store: Store, { bank, filters }: Bank): Promise<void> {
  await store.create(bankName(bank), Buffer.from(`${JSON.stringify({ bank, filters }, null, 1)}\n`))
}

/** The filters of a bank that alerts were judged by. Throws `store_failed` for one that never was. */
export async function readBank(store: Store, bank: string): Promise<Bank> {
  const found = await store.read(bankName(bank))
  if (found !== null) return JSON.parse(Buffer.from(found.data).toString()) as Bank
  throw new NightjarError('store_failed', `Cannot read filter bank "${bank}": there is none`)
}

const bankName = (bank: string): string => `filter-banks/${bank}.json`

async function change(
  store: Store,
  name: string,
  make: (before: NamedFilter | undefined) => NamedFilter,
): Promise<NamedFilter> {
  for (;;) {
    const found = await store.read(objectName(name))
    const before = found === null ? undefined : parse(found.data, objectName(name))
    const after = make(before)
    if (after === before) return after
    const data = Buffer.from(`${JSON.stringify(after, null, 1)}\n`)
    const stored = await store.replace(objectName(name), data, found?.object.generation ?? null)
    // Somebody else was faster: what they wrote is what changes.
    if (stored !== null) return after
  }
}

const objectName = (name: string): string => `${folder}${name}.json`

function parse(data: Uint8Array, object: string): NamedFilter {
  try {
    const value = JSON.parse(Buffer.from(data).toString()) as Partial<NamedFilter>
    if (typeof value.name === 'string' && Array.isArray(value.versions)) return value as NamedFilter
  } catch {
    // Said below.
  }
  throw new NightjarError('store_failed', `Cannot read filter "${object}": it is no filter`)
}
