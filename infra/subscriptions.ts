/**
 * The subscriptions of a survey: one a reader, pushed to its function; the ledger's straight into its table;
 * and one that holds the dead letters until they are replayed.
 */
import { BigqueryTableIamMember } from '@cdktf/provider-google/lib/bigquery-table-iam-member/index.js'
import { DataGoogleProject } from '@cdktf/provider-google/lib/data-google-project/index.js'
import { PubsubSubscriptionIamMember } from '@cdktf/provider-google/lib/pubsub-subscription-iam-member/index.js'
import {
  PubsubSubscription,
  type PubsubSubscriptionConfig,
} from '@cdktf/provider-google/lib/pubsub-subscription/index.js'
import { PubsubTopicIamMember } from '@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js'
import { ServiceAccountIamMember } from '@cdktf/provider-google/lib/service-account-iam-member/index.js'

import { stageFilter } from '../core/alert.ts'
import { subscriptionName, type TopicWord } from '../core/names.ts'
import { counter, countedTopics } from '../core/pipeline.ts'
import { guarded, idOf, seconds, type SurveyContext } from './context.ts'
import type { Functions } from './functions.ts'
import { memberOf, type Accounts, type Roles } from './identities.ts'
import type { Topics } from './topics.ts'
import type { Warehouse } from './warehouse.ts'

/** Pub/Sub's most. A stage gives up by itself before; this is for one that cannot even say so. */
const deliveryAttempts = 100

export function addSubscriptions(
  context: SurveyContext,
  topics: Topics,
  functions: Functions,
  accounts: Accounts,
  roles: Roles,
  warehouse: Warehouse,
): void {
  const { stack, at, config, labels, readers } = context
  const project = new DataGoogleProject(stack, `project-${at.survey}`, { projectId: at.project })
  const agent = `serviceAccount:service-${project.number}@gcp-sa-pubsub.iam.gserviceaccount.com`
  const topicOf = (word: TopicWord) => {
    const topic = topics.get(word)
    if (topic === undefined) throw new Error(`Topic "${word}" is not one of ${at.survey}`)
    return topic
  }
  const deadLetters = topicOf('dead_letter')

  // Without both grants a dead-letter policy is accepted and does nothing.
  const mayBury = new PubsubTopicIamMember(stack, idOf(at.survey, 'dead_letter', 'by-pubsub'), {
    topic: deadLetters.name,
    role: 'roles/pubsub.publisher',
    member: agent,
  })
  function subscribe(
    word: TopicWord,
    reader: string,
    special: Partial<PubsubSubscriptionConfig>,
  ): PubsubSubscription {
    const buries = word !== 'dead_letter'
    const subscription = new PubsubSubscription(
      stack,
      `subscription-${at.survey}-${word}-${reader}`,
      {
        name: subscriptionName(at, word, reader),
        topic: topicOf(word).id,
        labels: { ...labels, reader },
        messageRetentionDuration: seconds(config.retentionDays),
        // Without this Pub/Sub deletes a subscription that was idle for a month.
        expirationPolicy: { ttl: '' },
        ...(buries && {
          retryPolicy: { minimumBackoff: '1s', maximumBackoff: '600s' },
          deadLetterPolicy: {
            deadLetterTopic: deadLetters.id,
            maxDeliveryAttempts: deliveryAttempts,
          },
          dependsOn: [mayBury],
        }),
        ...special,
        // What waits in it is data, too: a change that would make it anew is refused in production.
        lifecycle: { ...guarded(config).lifecycle, ...special.lifecycle },
      },
    )
    if (buries) {
      new PubsubSubscriptionIamMember(stack, `${at.survey}-${word}-${reader}-by-pubsub`, {
        subscription: subscription.name,
        role: 'roles/pubsub.subscriber',
        member: agent,
      })
    }
    return subscription
  }
  /** What the conductor may do with a subscription. */
  function conducted(subscription: PubsubSubscription, key: string, role: string): void {
    new PubsubSubscriptionIamMember(stack, `${at.survey}-${key}-by-conductor`, {
      subscription: subscription.name,
      role,
      member: memberOf(accounts.conductor),
    })
  }

  new ServiceAccountIamMember(stack, `${at.survey}-tokens-of-caller`, {
    serviceAccountId: accounts.caller.name,
    role: 'roles/iam.serviceAccountTokenCreator',
    member: agent,
  })
  // Who sets an endpoint says in whose name it is called.
  new ServiceAccountIamMember(stack, `${at.survey}-caller-as-conductor`, {
    serviceAccountId: accounts.caller.name,
    role: 'roles/iam.serviceAccountUser',
    member: memberOf(accounts.conductor),
  })
  for (const { name, reads, stages } of readers) {
    const made = functions.get(name)
    if (made === undefined) continue
    const { uri } = made.serviceConfig
    const pushed = subscribe(reads, name, {
      filter: stageFilter(...stages),
      ackDeadlineSeconds: 60,
      // The conductor takes it away between nights and sets it again.
      lifecycle: { ignoreChanges: ['push_config'] },
      pushConfig: {
        pushEndpoint: `${uri}/projects/${at.project}/topics/${topicOf(reads).name}`,
        oidcToken: { serviceAccountEmail: accounts.caller.email, audience: uri },
      },
    })
    conducted(pushed, `${reads}-${name}`, roles.pauser.name)
  }

  const mayWrite = (['roles/bigquery.dataEditor', 'roles/bigquery.metadataViewer'] as const).map(
    (role) =>
      new BigqueryTableIamMember(
        stack,
        idOf(at.survey, 'ledger', role.split('.')[1] ?? '', 'by-pubsub'),
        {
          datasetId: warehouse.dataset.datasetId,
          tableId: warehouse.ledger.tableId,
          role,
          member: agent,
        },
      ),
  )
  subscribe('ledger', 'table', {
    ackDeadlineSeconds: 60,
    bigqueryConfig: {
      table: `${at.project}.${warehouse.dataset.datasetId}.${warehouse.ledger.tableId}`,
      useTableSchema: true,
      dropUnknownFields: true,
    },
    dependsOn: [mayBury, ...mayWrite],
  })
  subscribe('dead_letter', 'replay', { ackDeadlineSeconds: 600 })

  for (const word of countedTopics(at.survey)) {
    const counted = subscribe(word, counter, { ackDeadlineSeconds: 60 })
    conducted(counted, `${word}-${counter}`, roles.seeker.name)
  }
}
