/**
 * The one thing that must stand before the stack: the bucket of its state. A stack of its own, whose
 * state is a file beside it; it is deployed once a project and never again.
 */
import { GoogleProvider } from '@cdktf/provider-google/lib/provider/index.js'
import { StorageBucket } from '@cdktf/provider-google/lib/storage-bucket/index.js'
import { LocalBackend, TerraformStack } from 'cdktf'
import type { Construct } from 'constructs'

import { stateBucketName } from '../core/names.ts'
import type { InfraConfig } from './config.ts'

export function createBootstrap(
  scope: Construct,
  { project, region }: InfraConfig,
): TerraformStack {
  const stack = new TerraformStack(scope, 'nightjar-bootstrap')
  // In infra/, seen from where the stack is written; cdktf's own choice would name this machine's folders.
  new LocalBackend(stack, { path: `../../../${project}.bootstrap.tfstate` })
  new GoogleProvider(stack, 'google', { project, region })
  new StorageBucket(stack, 'bucket-state', {
    name: stateBucketName(project),
    location: region,
    labels: { application: 'nightjar' },
    uniformBucketLevelAccess: true,
    publicAccessPrevention: 'enforced',
    versioning: { enabled: true },
    softDeletePolicy: { retentionDurationSeconds: 30 * 86_400 },
    lifecycle: { preventDestroy: true },
  })
  return stack
}
