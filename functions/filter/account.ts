/** What the ledger knows of each filter: how many alerts it was asked about, and how many it selected. */
import type { Store } from '../../core/ports.ts'
import { filterStages } from '../../core/pipeline.ts'
import { parseJudged } from './judged.ts'
import { readBank, type Bank } from './registry.ts'

export interface FilterAccount {
  name: string
  version: number
  /** Occurrences that it judged. */
  asked: number
  selected: number
}

/**
 * Account for every version of every filter that judged anything, of one night or of all. An occurrence
 * that was judged twice, by versions before and after a change, counts for both.
 */
export async function filterAccounts(
  query: (sql: string) => AsyncIterable<Record<string, unknown>>,
  store: Store,
  night?: string,
): Promise<FilterAccount[]> {
  const accounts = new Map<string, FilterAccount>()
  const banks = new Map<string, Bank>()
  const stages = Object.keys(filterStages).map((stage) => `'${stage}'`)
  const which = night === undefined ? '' : ` AND night = '${night}'`
  const reasons = query(
    `SELECT reason, COUNT(*) AS n FROM (
       SELECT DISTINCT stage, kafka_topic, kafka_partition, kafka_offset, reason FROM ledger
       WHERE stage IN (${stages.join(', ')}) AND outcome IN ('published', 'filtered')${which}
     ) AS judged GROUP BY reason`,
  )
  for await (const { reason, n } of reasons) {
    const judged = parseJudged(String(reason))
    if (judged === undefined) continue
    const bank = banks.get(judged.bank) ?? (await readBank(store, judged.bank))
    banks.set(judged.bank, bank)
    bank.filters.forEach((filter, i) => {
      const { name, version } = filter
      const key = `${name}@${version}`
      const account = accounts.get(key) ?? { name, version, asked: 0, selected: 0 }
      accounts.set(key, account)
      account.asked += Number(n)
      if (judged.selected(filter, i)) account.selected += Number(n)
    })
  }
  return [...accounts.values()].sort((a, b) =>
    a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1,
  )
}
