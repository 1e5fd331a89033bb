/** The buckets of a survey, and the one of the instance that holds what its programs are made of. */
import { DataGoogleStorageProjectServiceAccount } from '@cdktf/provider-google/lib/data-google-storage-project-service-account/index.js'
import { PubsubTopicIamMember } from '@cdktf/provider-google/lib/pubsub-topic-iam-member/index.js'
import { StorageBucketIamMember } from '@cdktf/provider-google/lib/storage-bucket-iam-member/index.js'
import {
  StorageBucket,
  type StorageBucketConfig,
} from '@cdktf/provider-google/lib/storage-bucket/index.js'
import { StorageNotification } from '@cdktf/provider-google/lib/storage-notification/index.js'

import { bucketName, type BucketWord } from '../core/names.ts'
import { noticeTopics, stageNamed } from '../core/pipeline.ts'
import { guarded, idOf, labelsOf, type Context, type SurveyContext } from './context.ts'
import { memberOf, type Accounts, type Roles } from './identities.ts'
import type { Topics } from './topics.ts'

/** What no bucket of ours is without. */
function locked({
  config,
}: Context): Pick<
  StorageBucketConfig,
  | 'location'
  | 'uniformBucketLevelAccess'
  | 'publicAccessPrevention'
  | 'softDeletePolicy'
  | 'forceDestroy'
  | 'lifecycle'
> {
  return {
    location: config.region,
    uniformBucketLevelAccess: true,
    publicAccessPrevention: 'enforced',
    softDeletePolicy: { retentionDurationSeconds: 7 * 86_400 },
    // A test instance goes with all that it holds; production does not go.
    forceDestroy: config.instance !== undefined,
    ...guarded(config),
  }
}

/** Code, start-up files, close records, claims: one bucket for all surveys of an instance, as the original had it. */
export function addBrokerFiles(context: Context): StorageBucket {
  const { stack, config } = context
  const [survey = 'ztf'] = config.surveys
  return new StorageBucket(stack, 'bucket-broker_files', {
    ...locked(context),
    name: bucketName({ ...config, survey }, 'broker_files'),
    labels: labelsOf(config),
    versioning: { enabled: true },
    lifecycleRule: [
      {
        action: { type: 'Delete' },
        condition: { numNewerVersions: 10, daysSinceNoncurrentTime: 30 },
      },
    ],
  })
}

export type Buckets = ReadonlyMap<BucketWord, StorageBucket>

/** The buckets that a survey's stages write. */
export function addBuckets(
  context: SurveyContext,
  accounts: Accounts,
  roles: Roles,
  topics: Topics,
  brokerFiles: StorageBucket,
): Buckets {
  const { stack, at, config, labels, readers } = context
  const { nearlineAfterDays, archiveAfterDays } = config.archive
  const buckets = new Map<BucketWord, StorageBucket>([['broker_files', brokerFiles]])
  const age = (storageClass: string, days: number) => ({
    action: { type: 'SetStorageClass', storageClass },
    condition: { age: days },
  })
  buckets.set(
    'alert_avro_bucket',
    new StorageBucket(stack, idOf('bucket', at.survey, 'alert_avro_bucket'), {
      ...locked(context),
      name: bucketName(at, 'alert_avro_bucket'),
      labels,
      lifecycleRule: [age('NEARLINE', nearlineAfterDays), age('ARCHIVE', archiveAfterDays)],
    }),
  )
  buckets.set(
    'sncosmo',
    new StorageBucket(stack, idOf('bucket', at.survey, 'sncosmo'), {
      ...locked(context),
      name: bucketName(at, 'sncosmo'),
      labels,
    }),
  )
  announce(context, buckets, topics)

  const grant = (word: BucketWord, who: string, member: string, role: string): void => {
    const bucket = buckets.get(word)
    if (bucket === undefined) return
    new StorageBucketIamMember(stack, `${at.survey}-${word}-${who}`, {
      bucket: bucket.name,
      role,
      member,
    })
  }
  for (const { name, stages: served } of readers) {
    const account = accounts.readers.get(name)
    if (account === undefined) continue
    for (const bucket of served.flatMap((stage) => stageNamed(stage).bucket ?? [])) {
      // A light curve is replaced as it grows; a packet never is.
      const role = bucket === 'sncosmo' ? 'roles/storage.objectUser' : roles.archivist.name
      grant(bucket, `by-${name}`, memberOf(account), role)
    }
    // Claims: what is too large for a message, there and back.
    grant('broker_files', `by-${name}`, memberOf(account), roles.archivist.name)
  }
  grant('broker_files', 'by-consumer', memberOf(accounts.consumer), 'roles/storage.objectUser')
  grant('broker_files', 'by-conductor', memberOf(accounts.conductor), 'roles/storage.objectUser')
  grant(
    'alert_avro_bucket',
    'to-conductor',
    memberOf(accounts.conductor),
    'roles/storage.objectViewer',
  )
  grant('sncosmo', 'to-conductor', memberOf(accounts.conductor), 'roles/storage.objectViewer')
  // Stamps for the plots; and the alert of each fit that is judged.
  for (const reader of ['salt2', 'fits'] as const) {
    const account = accounts.readers.get(reader)
    if (account === undefined) continue
    grant('alert_avro_bucket', `to-${reader}`, memberOf(account), 'roles/storage.objectViewer')
  }
  return buckets
}

/** The bucket itself tells of its new objects, so that nothing can come between the two. */
function announce({ stack, at }: SurveyContext, buckets: Buckets, topics: Topics): void {
  const agent = new DataGoogleStorageProjectServiceAccount(stack, `storage-agent-${at.survey}`)
  for (const [word, topicWord] of Object.entries(noticeTopics) as [BucketWord, never][]) {
    const [bucket, topic] = [buckets.get(word), topics.get(topicWord)]
    if (bucket === undefined || topic === undefined) continue
    const may = new PubsubTopicIamMember(stack, `${at.survey}-${topicWord}-by-storage`, {
      topic: topic.name,
      role: 'roles/pubsub.publisher',
      member: `serviceAccount:${agent.emailAddress}`,
    })
    new StorageNotification(stack, `notice-${at.survey}-${word}`, {
      bucket: bucket.name,
      topic: topic.id,
      eventTypes: ['OBJECT_FINALIZE'],
      payloadFormat: 'JSON_API_V1',
      dependsOn: [may],
    })
  }
}
