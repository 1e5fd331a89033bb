/** Which alerts an exposure brings: what its field's earlier visit showed, and what is new. */
import type { Exposure } from './exposure.ts'
import { crowding } from './neighbours.ts'
import type { SkyObject } from './object.ts'
import type { Alert } from './packet.ts'
import { measure } from './photometry.ts'
import { createPopulation } from './population.ts'
import { createRandom } from './random.ts'
import { pastVisits } from './schedule.ts'

export interface PlannerOptions {
  exposures: readonly Exposure[]
  alerts: number
  seed: string | number
}

interface Seen {
  object: SkyObject
  sources: Map<number, number>
}

/** What is kept of a field between its visits. */
interface FieldNight {
  visits: Exposure[]
  seen: Seen[]
  /** Visits yet to come tonight; with none left the field is forgotten. */
  left: number
}

/** Plan the alerts of each exposure in turn, so that the night has exactly so many. */
export function createPlanner({ exposures, alerts, seed }: PlannerOptions) {
  const quotas = shareOut(alerts, exposures)
  const population = createPopulation(seed)
  const fields = new Map<number, FieldNight>()
  const left = new Map<number, number>()
  for (const { field } of exposures) left.set(field.id, (left.get(field.id) ?? 0) + 1)

  return function plan(exposure: Exposure, versionOf: () => Alert['version']): Alert[] {
    const { field, jd } = exposure
    const random = createRandom(seed, 'plan', jd)
    let state = fields.get(field.id)
    if (!state) {
      state = { visits: pastVisits(exposure, seed), seen: [], left: left.get(field.id) ?? 1 }
      fields.set(field.id, state)
    }
    const quota = quotas.get(exposure) ?? 0
    const before = state.visits.at(-1)
    const again = state.seen.flatMap((known) => meetAgain(known, exposure, before))
    const found = again.slice(0, quota)
    while (found.length < quota) {
      found.push({ object: population.discover(exposure, random), sources: new Map() })
    }

    const numbers = new Map<string, number>()
    const visits = state.visits
    const planned = found.map(({ object, sources }): Alert => {
      const { positive } = measure(object, exposure)
      const image = `${object.place.rcid} ${positive}`
      const source = numbers.get(image) ?? 0
      numbers.set(image, source + 1)
      const alert = { object, exposure, source, visits, sources, version: versionOf() }
      return { ...alert, sources: new Map(sources) }
    })
    for (const [i, { source }] of planned.entries()) found[i]?.sources.set(jd, source)

    state.left -= 1
    if (state.left === 0) fields.delete(field.id)
    else {
      // A new array: the plans made so far keep the history of their own moment.
      state.visits = [...visits, exposure]
      state.seen = found
    }
    return planned
  }

  function meetAgain(known: Seen, exposure: Exposure, before: Exposure | undefined): Seen[] {
    const days = exposure.jd - (before?.jd ?? exposure.jd)
    const object = population.moved(known.object, exposure, days)
    if (!object || !measure(object, exposure).detected) return []
    return [{ object, sources: object === known.object ? known.sources : new Map() }]
  }
}

/** Alerts per exposure by depth and by how crowded the field is; the parts add up to the whole. */
function shareOut(alerts: number, exposures: readonly Exposure[]): Map<Exposure, number> {
  const weights = exposures.map(
    ({ field, limit }) => crowding(field.centre) * 10 ** (0.2 * (limit - 20)),
  )
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const quotas = new Map<Exposure, number>()
  let reached = 0
  let given = 0
  for (const [i, exposure] of exposures.entries()) {
    reached += (weights[i] as number) / total
    const upTo = i === exposures.length - 1 ? alerts : Math.round(reached * alerts)
    quotas.set(exposure, upTo - given)
    given = upTo
  }
  return quotas
}
