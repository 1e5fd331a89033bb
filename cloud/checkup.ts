/** What of an instance is there, as it must be, and allowed to this account: one finding a thing. */
import { GoogleAuth } from 'google-auth-library'

import type { Environment } from '../core/environment.ts'
import { checkBuckets } from './checkup/buckets.ts'
import { failed, type Finding, type Place } from './checkup/finding.ts'
import { checkFunctions } from './checkup/functions.ts'
import { checkTables } from './checkup/tables.ts'
import { checkTopics } from './checkup/topics.ts'
import { openDatasets } from './datasets.ts'
import { openStores } from './stores.ts'
import { openTopics } from './topics.ts'

export type { Finding } from './checkup/finding.ts'

export interface CheckUpOptions {
  /** By reader, the file name of its bundle here; it is compared with what is deployed. */
  bundles?: ReadonlyMap<string, string>
}

/** Look at everything that the pipeline of an instance needs, in its order. Nothing is changed. */
export async function* checkUp(
  { at, emulators }: Environment,
  { bundles = new Map() }: CheckUpOptions = {},
): AsyncGenerator<Finding> {
  const { project } = at
  const emulated = emulators.pubsub !== undefined
  if (emulated) yield { thing: 'credentials', state: 'note', said: 'emulators ask for none' }
  else {
    const credentials = await checkCredentials(project)
    yield credentials
    // Without them everything else would say the same once more.
    if (credentials.state === 'fault') return
  }
  const places: Place[] = []

  const { pubsub, storage } = emulators
  const topics = await openTopics({ project, ...(pubsub !== undefined && { emulator: pubsub }) })
  try {
    yield* checkTopics(topics, at, places)
  } finally {
    await topics.close()
  }

  const stores = openStores({ project, ...(storage !== undefined && { emulator: storage }) })
  yield* checkBuckets(stores, at, storage !== undefined, places)

  const { bigquery: rest, bigqueryStorage: grpc } = emulators
  const emulator = rest !== undefined && grpc !== undefined ? { rest, grpc } : undefined
  if (emulated && emulator === undefined) {
    yield { thing: 'data set', state: 'note', said: 'no BigQuery emulator is named' }
  } else {
    const datasets = openDatasets({ project, ...(emulator !== undefined && { emulator }) })
    try {
      yield* checkTables(datasets, at, emulator !== undefined, places)
    } finally {
      await datasets.close()
    }
  }

  if (!emulated) {
    yield* checkFunctions({ at, bundles }, places)
    yield regionsFinding(places)
  }
}

/** Whether all stand in one region: between two every byte is paid for, and BigQuery joins nothing. */
export function regionsFinding(places: readonly Place[]): Finding {
  const regions = Map.groupBy(places, ({ region }) => region.toLowerCase())
  const thing = 'regions'
  if (regions.size <= 1)
    return { thing, state: 'ok', said: [...regions.keys()].join() || 'unknown' }
  const each = [...regions].sort(([, a], [, b]) => b.length - a.length)
  const [[most = ''] = [], ...others] = each
  const strays = others.map(
    ([region, there]) => `${there.map((one) => one.thing).join(', ')} in ${region}`,
  )
  const why = 'what goes between regions is slow and paid for by the byte'
  return {
    thing,
    state: 'note',
    said: `most is in ${most}, but ${strays.join('; ')}: ${why}; make them anew in one region`,
  }
}

async function checkCredentials(project: string): Promise<Finding> {
  const thing = 'credentials'
  try {
    const auth = new GoogleAuth({ scopes: ['https://www.googleapis.com/auth/cloud-platform'] })
    await auth.getAccessToken()
    const own = await auth.getProjectId().catch(() => undefined)
    const said = `taken by Google${own === undefined || own === project ? '' : `, of project ${own}`}`
    return { thing, state: 'ok', said }
  } catch (error) {
    return failed(thing, error, { project, what: `project "${project}"`, role: 'a role' })
  }
}
