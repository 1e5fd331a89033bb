/** What the named filters judged in a night, for its close record. */
import type { Audit } from '../conductor/audit.ts'
import type { CloseRecord } from '../conductor/close.ts'
import { isFilterStage } from '../core/pipeline.ts'
import type { Store } from '../core/ports.ts'
import { filterAccounts } from '../functions/filter/account.ts'

type Query = (sql: string) => AsyncIterable<Record<string, unknown>>

/** What the named filters judged in a night that their stage has a part in. */
export async function filtersOf(
  { night, stages }: Audit,
  query: Query,
  store: Store,
): Promise<Pick<CloseRecord, 'filters'>> {
  if (!stages.some(({ stage }) => isFilterStage(stage))) return {}
  return { filters: await filterAccounts(query, store, night) }
}
