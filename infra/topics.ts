/** The topics of a survey, and who may publish on each and attach to it. */
import { PubsubTopicIamMember } from '@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js'
import { PubsubTopic } from '@cdktf/provider-google/lib/pubsub-topic/index.js'

import { topicName, type TopicWord } from '../core/names.ts'
import { stageNamed, topicsOf } from '../core/pipeline.ts'
import { guarded, seconds, type SurveyContext } from './context.ts'
import { memberOf, type Accounts, type Roles } from './identities.ts'

export type Topics = ReadonlyMap<TopicWord, PubsubTopic>

/** Topics whose messages are for the world: results, and the alerts as they came. */
const offered = (word: TopicWord): boolean => word !== 'ledger' && word !== 'dead_letter'

export function addTopics(
  { stack, at, config, labels, readers }: SurveyContext,
  accounts: Accounts,
  roles: Roles,
): Topics {
  const topics = new Map(
    topicsOf(at.survey).map((word) => {
      const name = topicName(at, word)
      const topic = new PubsubTopic(stack, `topic-${at.survey}-${word}`, {
        name,
        labels,
        // Kept though acked: a subscription can be sought back to any instant of it. The alerts themselves
        // stand in the archive, from where `nightjar replay` sends them; here they would cost more than
        // their delivery.
        ...(word !== 'alert_data' && {
          messageRetentionDuration: seconds(config.retentionDays),
        }),
        messageStoragePolicy: { allowedPersistenceRegions: [config.region] },
        ...guarded(config),
      })
      return [word, topic]
    }),
  )

  const grant = (word: TopicWord, who: string, member: string, role: string): void => {
    const topic = topics.get(word)
    if (topic === undefined) throw new Error(`Topic "${word}" is not one of ${at.survey}`)
    new PubsubTopicIamMember(stack, `${at.survey}-${word}-${who}`, {
      topic: topic.name,
      role,
      member,
    })
  }
  const publisher = 'roles/pubsub.publisher'
  for (const { name, stages: served } of readers) {
    const account = accounts.readers.get(name)
    if (account === undefined) continue
    const writes = served.flatMap((stage) => stageNamed(stage).writes)
    for (const word of [...writes, 'ledger', 'dead_letter'] as const) {
      grant(word, `by-${name}`, memberOf(account), publisher)
    }
  }
  for (const word of ['alert_data', 'ledger', 'dead_letter'] as const) {
    grant(word, 'by-consumer', memberOf(accounts.consumer), publisher)
  }
  // Replay sends to whatever topic a stage reads and says so; how the night goes is told on its own topic.
  const read = readers.map(({ reads }) => reads)
  const conducted = new Set<TopicWord>([...read, 'ledger', 'dead_letter', 'night'])
  for (const word of topics.keys()) {
    if (conducted.has(word)) grant(word, 'by-conductor', memberOf(accounts.conductor), publisher)
  }
  for (const [index, member] of config.subscribers.entries()) {
    for (const word of topics.keys()) {
      if (offered(word)) grant(word, `to-${index}`, member, roles.subscriber.name)
    }
  }
  return topics
}
