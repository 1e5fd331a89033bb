/** Topics, subscriptions, buckets and the data set of one instance, all from `core/pipeline.ts`. */
import { BigqueryDataset } from '@cdktf/provider-google/lib/bigquery-dataset/index.js'
import { GoogleProvider } from '@cdktf/provider-google/lib/provider/index.js'
import { PubsubSubscription } from '@cdktf/provider-google/lib/pubsub-subscription/index.js'
import { PubsubTopic } from '@cdktf/provider-google/lib/pubsub-topic/index.js'
import { StorageBucket } from '@cdktf/provider-google/lib/storage-bucket/index.js'
import { TerraformStack } from 'cdktf'
import type { Construct } from 'constructs'

import { stageFilter } from '../core/alert.ts'
import {
  bucketName,
  datasetName,
  subscriptionName,
  topicName,
  type BucketWord,
  type Instance,
} from '../core/names.ts'
import { stages, stagesOf, topicsOf } from '../core/pipeline.ts'

const week = '604800s'
const buckets: readonly BucketWord[] = ['alert_avro_bucket', 'broker_files', 'sncosmo']

/** Make the stack. Nothing in it is named by chance, so a second synth gives the same bytes. */
export function createDataPlane(scope: Construct, at: Instance, region: string): TerraformStack {
  const stack = new TerraformStack(
    scope,
    `${at.survey}-data${at.instance ? `-${at.instance}` : ''}`,
  )
  new GoogleProvider(stack, 'google', { project: at.project, region })
  const labels = { survey: at.survey, instance: at.instance ?? 'production' }

  const topics = new Map(
    topicsOf(at.survey).map((word) => {
      const name = topicName(at, word)
      return [word, new PubsubTopic(stack, name, { name, labels, messageRetentionDuration: week })]
    }),
  )
  for (const stage of stagesOf(at.survey)) {
    const { reads } = stages[stage]
    const name = subscriptionName(at, reads, stage)
    new PubsubSubscription(stack, name, {
      name,
      labels,
      topic: topics.get(reads)?.id ?? '',
      filter: stageFilter(stage),
      ackDeadlineSeconds: 60,
      messageRetentionDuration: week,
      // Without this Pub/Sub deletes a subscription that was idle for a month.
      expirationPolicy: { ttl: '' },
      retryPolicy: { minimumBackoff: '1s', maximumBackoff: '600s' },
    })
  }
  for (const word of buckets) {
    const name = bucketName(at, word)
    new StorageBucket(stack, word, {
      name,
      location: region,
      labels,
      uniformBucketLevelAccess: true,
      publicAccessPrevention: 'enforced',
    })
  }
  new BigqueryDataset(stack, 'alerts', { datasetId: datasetName(at), location: region, labels })
  return stack
}
