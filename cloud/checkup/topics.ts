/** Topics and subscriptions of an instance: there, allowed, and set as the pipeline needs them. */
import { stageFilter } from '../../core/alert.ts'
import { ledgerShape } from '../../core/ledger.ts'
import {
  datasetName,
  subscriptionName,
  topicName,
  type Instance,
  type TopicWord,
} from '../../core/names.ts'
import {
  counter,
  countedTopics,
  filterReadersOf,
  readersOf,
  topicsOf,
} from '../../core/pipeline.ts'
import { kindOfFault } from '../faults.ts'
import type { Topics } from '../topics.ts'
import {
  failed,
  findingOf,
  held,
  lacking,
  stack,
  type Finding,
  type Place,
  type Wrong,
} from './finding.ts'

/** Look at each topic, then at each subscription; tells where the topics keep their messages. */
export async function* checkTopics(
  topics: Topics,
  at: Instance,
  places: Place[],
): AsyncGenerator<Finding> {
  for (const word of topicsOf(at.survey)) yield await checkTopic(topics, at, word, places)
  for (const { name, reads, stages } of readersOf(at.survey)) {
    const wanted = { filter: stageFilter(...stages), deadLetters: topicName(at, 'dead_letter') }
    yield await checkSubscription(topics, at, reads, name, wanted)
  }
  for (const { name, reads, stages } of filterReadersOf(at.survey)) {
    if (!(await mayBeThere(topics, subscriptionName(at, reads, name)))) continue
    const wanted = { filter: stageFilter(...stages), deadLetters: topicName(at, 'dead_letter') }
    yield await checkSubscription(topics, at, reads, name, wanted)
  }
  const table = `${at.project}.${datasetName(at)}.${ledgerShape.table}`
  const deadLetters = topicName(at, 'dead_letter')
  yield await checkSubscription(topics, at, 'ledger', 'table', { deadLetters, table })
  yield await checkSubscription(topics, at, 'dead_letter', 'replay', {})
  for (const word of countedTopics(at.survey)) {
    const found = await checkSubscription(topics, at, word, counter, { deadLetters, counts: true })
    yield found
  }
}

/** The readers of named filters are deployed where they are wanted; what cannot be asked is looked at. */
async function mayBeThere({ pubsub }: Topics, subscription: string): Promise<boolean> {
  const [there] = await pubsub
    .subscription(subscription)
    .exists()
    .catch(() => [true])
  return there
}

async function checkTopic(
  { pubsub, emulated }: Topics,
  at: Instance,
  word: TopicWord,
  places: Place[],
): Promise<Finding> {
  const name = topicName(at, word)
  const thing = `topic ${name}`
  const what = `topic "${name}"`
  try {
    const topic = pubsub.topic(name)
    const [{ messageRetentionDuration: kept, messageStoragePolicy: stored }] =
      await topic.getMetadata()
    if (emulated) return findingOf(thing, [], 'there')
    const role = 'roles/pubsub.publisher'
    const wrong = await lacking(['pubsub.topics.publish'], { what, role }, async (wanted) =>
      held(await topic.iam.testPermissions(wanted)),
    )
    if (kept == null && word !== 'alert_data') {
      const said = 'keeps nothing once it is acked: give it a message retention for seeks'
      wrong.push({ state: 'note', said })
    }
    const regions = stored?.allowedPersistenceRegions ?? []
    for (const region of regions) places.push({ thing, region })
    if (regions.length === 0) {
      const said =
        'keeps its messages wherever they are published: set its message storage policy to the ' +
        'region of the buckets'
      wrong.push({ state: 'note', said })
    }
    return findingOf(thing, wrong, `there, in ${regions.join(', ')}`)
  } catch (error) {
    return failed(thing, error, { project: at.project, what, role: 'roles/pubsub.viewer' })
  }
}

/** How a subscription should be set. */
export interface WantedSubscription {
  filter?: string
  /** The topic of its dead letters; the one that holds them has none itself. */
  deadLetters?: string
  /** The table that it is written to, `project.dataset.table`. */
  table?: string
  /** It only counts: without it nothing is lost but the count. */
  counts?: boolean
}

async function checkSubscription(
  { pubsub, emulated }: Topics,
  at: Instance,
  word: TopicWord,
  reader: string,
  wanted: WantedSubscription,
): Promise<Finding> {
  const name = subscriptionName(at, word, reader)
  const thing = `subscription ${name}`
  const what = `subscription "${name}"`
  try {
    const subscription = pubsub.subscription(name)
    const [found] = await subscription.getMetadata()
    const wrong = faultsOfSubscription(found, wanted, emulated)
    if (emulated) return findingOf(thing, wrong, 'there, with its filter')
    const role = 'roles/pubsub.subscriber'
    const may = await lacking(['pubsub.subscriptions.consume'], { what, role }, async (asked) =>
      held(await subscription.iam.testPermissions(asked)),
    )
    return findingOf(thing, [...may, ...wrong], `there, ${wayOut(found)}`)
  } catch (error) {
    const reason = { project: at.project, what, role: 'roles/pubsub.viewer' }
    const finding = failed(thing, error, reason)
    const bearable = wanted.counts === true && kindOfFault(error) === 'missing'
    return bearable ? { ...finding, state: 'note' } : finding
  }
}

interface FoundSubscription {
  filter?: string | null
  topic?: string | null
  detached?: boolean | null
  state?: unknown
  ackDeadlineSeconds?: number | null
  messageRetentionDuration?: { seconds?: unknown } | null
  expirationPolicy?: { ttl?: { seconds?: unknown } | null } | null
  deadLetterPolicy?: {
    deadLetterTopic?: string | null
    maxDeliveryAttempts?: number | null
  } | null
  retryPolicy?: { maximumBackoff?: { seconds?: unknown } | null } | null
  pushConfig?: {
    pushEndpoint?: string | null
    oidcToken?: { serviceAccountEmail?: string | null; audience?: string | null } | null
  } | null
  bigqueryConfig?: {
    table?: string | null
    useTableSchema?: boolean | null
    state?: unknown
  } | null
}

function wayOut({ pushConfig, bigqueryConfig }: FoundSubscription): string {
  if (bigqueryConfig?.table) return `writes to ${bigqueryConfig.table}`
  const endpoint = pushConfig?.pushEndpoint
  if (endpoint) return `pushes to ${new URL(endpoint).host}`
  return 'pushes nowhere: paused, or pulled'
}

const day = 86_400
const deletedTopic = '_deleted-topic_'

/** What is wrong with how a subscription is set. An emulator keeps no settings but the filter. */
export function faultsOfSubscription(
  found: FoundSubscription,
  { filter = '', deadLetters, table }: WantedSubscription,
  emulated: boolean,
): Wrong[] {
  const wrong: Wrong[] = []
  const say = (state: Wrong['state'], said: string): void => void wrong.push({ state, said })
  if (found.topic === deletedTopic || found.detached === true) {
    say('fault', `its topic was deleted, so nothing comes any more: delete it and ${stack}`)
  }
  if ((found.filter ?? '') !== filter) {
    const remedy = 'a filter cannot be changed: drain it, delete it and make it anew'
    say('fault', `its filter is \`${found.filter ?? ''}\` and should be \`${filter}\`; ${remedy}`)
  }
  if (emulated) return wrong
  if (found.state === 'RESOURCE_ERROR' && found.topic !== deletedTopic) {
    say('fault', 'Pub/Sub says that it can receive nothing (RESOURCE_ERROR): see its page')
  }
  const idle = Number(found.expirationPolicy?.ttl?.seconds ?? 0)
  if (idle > 0) {
    say('fault', `Pub/Sub deletes it after ${idle / day} idle days: set its expiration to never`)
  }
  const kept = Number(found.messageRetentionDuration?.seconds ?? 7 * day)
  if (kept < 7 * day) {
    const days = Number((kept / day).toFixed(1))
    say('note', `what is not acked within ${days} days is lost: 7 days give time to mend a fault`)
  }
  if ((found.ackDeadlineSeconds ?? 10) < 60) {
    const seconds = found.ackDeadlineSeconds ?? 10
    say('note', `its ack deadline is ${seconds} s: 60 s spare a slow start its redeliveries`)
  }
  if (deadLetters !== undefined) sayOfFailures(found, deadLetters, say)
  sayOfPush(found, say)
  if (table !== undefined) sayOfTable(found, table, say)
  return wrong
}

type Say = (state: Wrong['state'], said: string) => void

/** Pub/Sub's own default is 5, which an outage of a minute uses up. */
const fewAttempts = 20

function sayOfFailures(
  { deadLetterPolicy, retryPolicy }: FoundSubscription,
  topic: string,
  say: Say,
): void {
  const { deadLetterTopic, maxDeliveryAttempts } = deadLetterPolicy ?? {}
  if (deadLetterTopic == null || deadLetterTopic === '') {
    say('note', 'it has no dead-letter policy, so Pub/Sub counts no attempts')
  } else if (deadLetterTopic === deletedTopic) {
    say('fault', `the topic of its dead letters was deleted: set it to ${topic}`)
  } else if (deadLetterTopic.split('/').at(-1) !== topic) {
    say(
      'fault',
      `its dead letters go to ${deadLetterTopic}, where nobody replays them: set ${topic}`,
    )
  } else if ((maxDeliveryAttempts || 5) < fewAttempts) {
    const attempts = maxDeliveryAttempts || 5
    say(
      'note',
      `${attempts} attempts are soon used up by an outage: allow 100 (max_delivery_attempts)`,
    )
  }
  if (retryPolicy == null) {
    say('note', 'it has no retry policy: what fails comes again at once, and costs each time')
  } else if (Number(retryPolicy.maximumBackoff?.seconds ?? 600) < 60) {
    say('note', 'its retries are less than a minute apart: set the maximum back-off to 600 s')
  }
}

function sayOfPush({ pushConfig }: FoundSubscription, say: Say): void {
  const endpoint = pushConfig?.pushEndpoint ?? ''
  if (endpoint === '') return
  const { serviceAccountEmail, audience } = pushConfig?.oidcToken ?? {}
  if (!endpoint.startsWith('https://')) {
    say('fault', `it pushes to ${endpoint}: Pub/Sub takes https alone`)
  } else if (!serviceAccountEmail) {
    const remedy = 'set an OIDC token of the account that may invoke it'
    say('fault', `it pushes without a token, so its function refuses each message: ${remedy}`)
  } else if (audience && !endpoint.startsWith(audience)) {
    const { origin } = new URL(endpoint)
    say('fault', `its token is for ${audience}, its function takes those for ${origin}: set that`)
  }
}

/** What Pub/Sub says of a BigQuery subscription (REST reference, BigQueryConfig.State). */
const tableStates: Readonly<Record<string, string>> = {
  PERMISSION_DENIED:
    'Pub/Sub may not write to it: grant its service agent roles/bigquery.dataEditor on the table',
  NOT_FOUND: `the table is not there: ${stack}`,
  SCHEMA_MISMATCH: 'its columns do not fit the messages: let the stack set the table anew',
  IN_TRANSIT_LOCATION_RESTRICTION: 'the table is in another region than messages may be brought to',
  VERTEX_AI_LOCATION_RESTRICTION: 'a transform of it may not run in this region',
}

function sayOfTable({ bigqueryConfig }: FoundSubscription, table: string, say: Say): void {
  const { table: found, useTableSchema, state } = bigqueryConfig ?? {}
  if (!found)
    return say('note', `it is written to no table: somebody must pull it, or set ${table}`)
  if (found.replace(':', '.') !== table) {
    say('fault', `it is written to ${found}, readers look into ${table}: ${stack}`)
  }
  const why = tableStates[String(state)]
  if (why !== undefined) say('fault', `nothing arrives in ${found} (${String(state)}): ${why}`)
  if (useTableSchema !== true) {
    say('fault', `it writes whole messages instead of columns: set use_table_schema`)
  }
}
