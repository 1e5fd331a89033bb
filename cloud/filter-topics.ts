/**
 * What the named filters need of Pub/Sub in an instance: the reader of their stage, which the stack makes
 * where its deployment wants filters, and a topic of each, which is made when the filter is added.
 */
import type { Policy } from '@google-cloud/pubsub'

import { accountName, subscriptionName, topicName, type Instance } from '../core/names.ts'
import type { AnyReader } from '../core/pipeline.ts'
import { fault, kindOfFault, type Attempted } from './faults.ts'
import { checkResourceName, type Topics } from './topics.ts'

/** Whether the subscription of a reader is there. */
export async function hasReader(
  topics: Topics,
  at: Instance,
  { name, reads }: AnyReader,
): Promise<boolean> {
  const subscription = checkResourceName('subscription', subscriptionName(at, reads, name))
  try {
    await topics.ready()
    await topics.pubsub.subscription(subscription).getMetadata()
    return true
  } catch (error) {
    if (kindOfFault(error) === 'missing') return false
    const thing = `subscription "${subscription}"`
    const { project } = topics
    const attempted = { deed: `look at ${thing}`, thing, project, role: 'roles/pubsub.viewer' }
    throw fault('source_failed', error, attempted)
  }
}

/**
 * Make the topic of a filter where there is none, as the stack makes its own, and let the function of its
 * stage publish on it: on this topic and no other, so the stack grants it nothing on topics that are not
 * there yet. Answers the topic's name.
 */
export async function makeFilterTopic(
  topics: Topics,
  at: Instance,
  filter: string,
  reader: AnyReader,
): Promise<string> {
  const { pubsub, project, emulated } = topics
  const name = checkResourceName('topic', topicName(at, `filter_${filter}`))
  const attempted: Attempted = {
    deed: `make topic "${name}"`,
    thing: `topic "${name}"`,
    project,
    role: 'roles/pubsub.admin',
  }
  try {
    await topics.ready()
    // Its like: a topic that every survey has, whose messages are kept and are for others to read.
    const [like] = await pubsub.topic(topicName(at, 'night')).getMetadata()
    const { labels, messageRetentionDuration, messageStoragePolicy } = like
    const alike = {
      ...(labels && { labels }),
      ...(messageRetentionDuration && { messageRetentionDuration }),
      ...(messageStoragePolicy && { messageStoragePolicy }),
    }
    await pubsub.createTopic({ name, ...alike }).catch((error: unknown) => {
      if (kindOfFault(error) !== 'exists') throw error
    })
    // An emulator lets everybody do everything, and knows no policies.
    if (emulated) return name
    const account = `${accountName(at, reader.name)}@${project}.iam.gserviceaccount.com`
    const { iam } = pubsub.topic(name)
    const [policy] = await iam.getPolicy()
    const granted = withPublisher(policy, `serviceAccount:${account}`)
    if (granted !== policy) await iam.setPolicy(granted)
    return name
  } catch (error) {
    throw fault('source_failed', error, attempted)
  }
}

const publisher = 'roles/pubsub.publisher'

/**
 * A policy that also lets a member publish; the same one where it does already. The etag stays, so that
 * what somebody else has changed meanwhile is refused, and not undone.
 */
export function withPublisher(policy: Policy, member: string): Policy {
  const bindings = policy.bindings ?? []
  const holds = bindings.some(
    ({ role, members, condition }) =>
      role === publisher && condition == null && members?.includes(member) === true,
  )
  if (holds) return policy
  return { ...policy, bindings: [...bindings, { role: publisher, members: [member] }] }
}
