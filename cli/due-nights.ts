/** Which nights a tick has to look at: the one that is on, and those before of which more may come. */
import type { NightRules } from '../conductor/rules.ts'
import { isOver } from '../conductor/step.ts'
import { nightRecords } from '../conductor/tick.ts'
import type { Survey } from '../core/names.ts'
import { nightAt, nightOfDate, type Night } from '../core/night.ts'
import type { Store } from '../core/ports.ts'

/** No rule is longer than thirty days; what is older is nobody's business any more. */
const mostDays = 40

/** The oldest night that may still be due. */
export const oldestDue = (now: Date): Night =>
  nightOfDate(new Date(now.getTime() - mostDays * 86_400_000))

/** The nights that are due, oldest first. */
export async function dueNights(
  store: Store,
  survey: Survey,
  now: Date,
  rules: NightRules,
): Promise<Night[]> {
  const due = new Set<Night>()
  for await (const record of nightRecords(store, survey, oldestDue(now))) {
    if (!isOver(record, now.getTime(), rules)) due.add(record.night)
  }
  due.add(nightAt(now, survey))
  return [...due].sort()
}
