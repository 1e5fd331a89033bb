/** The services of Google that the stack uses, switched on; they stay on when it goes. */
import { ProjectService } from '@cdktf/provider-google/lib/project-service/index.js'

import type { Context } from './context.ts'

const services = [
  'artifactregistry',
  'bigquery',
  'bigquerystorage',
  'billingbudgets',
  'cloudbuild',
  'cloudfunctions',
  'cloudscheduler',
  'compute',
  'iam',
  'logging',
  'monitoring',
  'pubsub',
  'run',
  'secretmanager',
  'storage',
] as const

export function enableApis({ stack, config }: Context): ProjectService[] {
  return services.map(
    (name) =>
      new ProjectService(stack, `api-${name}`, {
        project: config.project,
        service: `${name}.googleapis.com`,
        disableOnDestroy: false,
      }),
  )
}
