/** What of an instance is there, as it must be, and allowed to this account: one finding a thing. */
import { GoogleAuth } from 'google-auth-library'

import { stageFilter } from '../core/alert.ts'
import type { Environment } from '../core/environment.ts'
import {
  bucketName,
  datasetName,
  subscriptionName,
  topicName,
  type BucketWord,
  type TopicWord,
} from '../core/names.ts'
import { noticeTopics, readersOf, topicsOf } from '../core/pipeline.ts'
import { openDatasets } from './datasets.ts'
import { fault, kindOfFault } from './faults.ts'
import { openStores } from './stores.ts'
import { openTopics } from './topics.ts'

export interface Finding {
  /** What was looked at: `subscription ztf_alert_data-packets`. */
  thing: string
  /** `note`: it works, but not as well as it could; or it could not be told. */
  state: 'ok' | 'note' | 'fault'
  /** What was found, and what to do about it where it is not well. */
  said: string
}

const stack = 'make it with the stack of infra/'
const buckets: readonly BucketWord[] = ['alert_avro_bucket', 'broker_files', 'sncosmo']

/** Look at everything that the pipeline of an instance needs, in its order. Nothing is changed. */
export async function* checkUp(environment: Environment): AsyncGenerator<Finding> {
  const { at, emulators } = environment
  const { project } = at
  if (emulators.pubsub === undefined) {
    const credentials = await checkCredentials(project)
    yield credentials
    // Without them everything else would say the same once more.
    if (credentials.state === 'fault') return
  } else {
    yield { thing: 'credentials', state: 'note', said: 'emulators ask for none' }
  }
  yield* checkTopics(environment)
  yield* checkBuckets(environment)
  yield* checkTables(environment)
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

async function* checkTopics({ at, emulators }: Environment): AsyncGenerator<Finding> {
  const { project } = at
  const emulator = emulators.pubsub
  const topics = await openTopics({ project, ...(emulator !== undefined && { emulator }) })
  try {
    for (const word of topicsOf(at.survey)) {
      const name = topicName(at, word)
      const thing = `topic ${name}`
      const what = `topic "${name}"`
      try {
        const topic = topics.pubsub.topic(name)
        const [{ messageRetentionDuration: kept }] = await topic.getMetadata()
        const lacking = topics.emulated
          ? []
          : await lackingOf(['pubsub.topics.publish'], (wanted) =>
              topic.iam.testPermissions(wanted),
            )
        if (lacking.length > 0) yield forbidden(thing, lacking, 'roles/pubsub.publisher', what)
        else if (!topics.emulated && kept == null && word !== 'alert_data') {
          const said = 'keeps nothing once it is acked: give it a message retention for seeks'
          yield { thing, state: 'note', said }
        } else yield { thing, state: 'ok', said: 'there' }
      } catch (error) {
        yield failed(thing, error, { project, what, role: 'roles/pubsub.viewer' })
      }
    }
    const readers: [TopicWord, string, string][] = [
      ...readersOf(at.survey).map(({ name, reads, stages }): [TopicWord, string, string] => [
        reads,
        name,
        stageFilter(...stages),
      ]),
      ['dead_letter', 'replay', ''],
    ]
    for (const [word, reader, filter] of readers) {
      const name = subscriptionName(at, word, reader)
      const thing = `subscription ${name}`
      const what = `subscription "${name}"`
      try {
        const subscription = topics.pubsub.subscription(name)
        const [found] = await subscription.getMetadata()
        const lacking = topics.emulated
          ? []
          : await lackingOf(['pubsub.subscriptions.consume'], (wanted) =>
              subscription.iam.testPermissions(wanted),
            )
        const wrong = faultsOfSubscription(found, filter, topics.emulated)
        if (lacking.length > 0) yield forbidden(thing, lacking, 'roles/pubsub.subscriber', what)
        else if (wrong.length > 0) yield { thing, ...worst(wrong) }
        else yield { thing, state: 'ok', said: 'there, with its filter' }
      } catch (error) {
        yield failed(thing, error, { project, what, role: 'roles/pubsub.viewer' })
      }
    }
  } finally {
    await topics.close()
  }
}

interface Wrong {
  state: 'note' | 'fault'
  said: string
}

interface FoundSubscription {
  filter?: string | null
  topic?: string | null
  detached?: boolean | null
  ackDeadlineSeconds?: number | null
  expirationPolicy?: { ttl?: { seconds?: unknown } | null } | null
  deadLetterPolicy?: { deadLetterTopic?: string | null } | null
  retryPolicy?: object | null
}

/** What is wrong with how a subscription is set. An emulator keeps no such settings. */
export function faultsOfSubscription(
  found: FoundSubscription,
  filter: string,
  emulated: boolean,
): Wrong[] {
  const wrong: Wrong[] = []
  const say = (state: Wrong['state'], said: string): void => void wrong.push({ state, said })
  if (found.topic === '_deleted-topic_' || found.detached === true) {
    say('fault', `its topic was deleted, so nothing comes any more: delete it and ${stack}`)
  }
  if ((found.filter ?? '') !== filter) {
    const remedy = 'a filter cannot be changed: drain it, delete it and make it anew'
    say('fault', `its filter is \`${found.filter ?? ''}\` and should be \`${filter}\`; ${remedy}`)
  }
  if (emulated) return wrong
  if (Number(found.expirationPolicy?.ttl?.seconds ?? 0) > 0) {
    const days = Number(found.expirationPolicy?.ttl?.seconds) / 86_400
    say('fault', `Pub/Sub deletes it after ${days} idle days: set its expiration to never`)
  }
  if ((found.ackDeadlineSeconds ?? 10) < 60) {
    const seconds = found.ackDeadlineSeconds ?? 10
    say('note', `its ack deadline is ${seconds} s: 60 s spare a slow start its redeliveries`)
  }
  if (found.deadLetterPolicy?.deadLetterTopic == null) {
    say('note', 'it has no dead-letter policy, so Pub/Sub counts no attempts')
  }
  if (found.retryPolicy == null) {
    say('note', 'it has no retry policy: what fails comes again at once, and costs each time')
  }
  return wrong
}

const worst = (wrong: readonly Wrong[]): Wrong => ({
  state: wrong.some(({ state }) => state === 'fault') ? 'fault' : 'note',
  said: wrong.map(({ said }) => said).join('; '),
})

async function* checkBuckets({ at, emulators }: Environment): AsyncGenerator<Finding> {
  const { project } = at
  const emulator = emulators.storage
  const emulated = emulator !== undefined
  const { storage } = openStores({ project, ...(emulated && { emulator }) })
  for (const word of buckets) {
    const name = bucketName(at, word)
    const thing = `bucket ${name}`
    const what = `bucket "${name}"`
    const role = 'roles/storage.objectUser'
    try {
      const bucket = storage.bucket(name)
      const [{ iamConfiguration }] = await bucket.getMetadata()
      const wanted = ['storage.objects.create', 'storage.objects.get', 'storage.objects.list']
      const lacking = emulated
        ? []
        : await lackingOf(wanted, (asked) => bucket.iam.testPermissions(asked))
      const open = !emulated && iamConfiguration?.publicAccessPrevention !== 'enforced'
      if (lacking.length > 0) yield forbidden(thing, lacking, role, what)
      else if (open) {
        yield { thing, state: 'note', said: 'public access is not prevented: enforce it' }
      } else yield { thing, state: 'ok', said: 'there' }
      const notice = noticeTopics[word]
      if (notice === undefined) continue
      const topic = topicName(at, notice)
      const [notifications] = await bucket.getNotifications()
      const there = notifications.some(({ metadata }) => metadata?.topic?.endsWith(`/${topic}`))
      yield there
        ? { thing: `notices of ${name}`, state: 'ok', said: `on ${topic}` }
        : {
            thing: `notices of ${name}`,
            state: emulated ? 'note' : 'fault',
            said: `new objects are not announced on ${topic}: ${stack}`,
          }
    } catch (error) {
      yield failed(thing, error, { project, what, role: 'roles/storage.legacyBucketReader' })
    }
  }
}

async function* checkTables({ at, emulators }: Environment): AsyncGenerator<Finding> {
  const { project } = at
  const { bigquery: rest, bigqueryStorage: grpc } = emulators
  const emulator = rest !== undefined && grpc !== undefined ? { rest, grpc } : undefined
  if (emulators.pubsub !== undefined && emulator === undefined) {
    yield { thing: 'data set', state: 'note', said: 'no BigQuery emulator is named' }
    return
  }
  const datasets = openDatasets({ project, ...(emulator !== undefined && { emulator }) })
  const name = datasetName(at)
  const what = `data set "${name}"`
  try {
    const dataset = datasets.bigquery.dataset(name)
    const [metadata] = (await dataset.getMetadata()) as unknown[]
    const { location } = metadata as { location?: string }
    yield { thing: `data set ${name}`, state: 'ok', said: `there, in ${location}` }
    for (const table of ['alerts', 'ledger']) {
      const [exists] = await dataset.table(table).exists()
      const said = exists ? 'there' : 'not there yet: its first row makes it'
      yield { thing: `table ${name}.${table}`, state: exists ? 'ok' : 'note', said }
    }
  } catch (error) {
    const role = 'roles/bigquery.dataEditor'
    yield failed(`data set ${name}`, error, { project, what, role })
  } finally {
    await datasets.close()
  }
}

/** Which of some permissions this account lacks. */
async function lackingOf(
  wanted: string[],
  test: (wanted: string[]) => Promise<[Record<string, boolean>, ...unknown[]]>,
): Promise<string[]> {
  const [granted] = await test(wanted)
  return wanted.filter((permission) => granted[permission] !== true)
}

const forbidden = (thing: string, lacking: string[], role: string, what: string): Finding => ({
  thing,
  state: 'fault',
  said: `this account lacks ${lacking.join(', ')}: grant it ${role} on ${what}`,
})

function failed(
  thing: string,
  error: unknown,
  { project, what, role }: { project: string; what: string; role: string },
): Finding {
  if (kindOfFault(error) === 'missing') {
    return { thing, state: 'fault', said: `project "${project}" has no ${what}: ${stack}` }
  }
  const deed = `look at ${thing}`
  const { message } = fault('source_failed', error, { deed, thing: what, project, role })
  return { thing, state: 'fault', said: message }
}
