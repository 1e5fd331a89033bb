/**
 * The services of Google that the stack uses, switched on; they stay on when it goes. In an empty project
 * whatever is made of a service has to wait for it, so every resource does.
 */
import { ProjectService } from '@cdktf/provider-google/lib/project-service/index.js'
import { Aspects, dependable, TerraformResource } from 'cdktf'

import type { Context } from './context.ts'

const services = [
  'artifactregistry',
  'bigquery',
  'bigquerystorage',
  'billingbudgets',
  'cloudbuild',
  'cloudfunctions',
  'cloudresourcemanager',
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

type Service = (typeof services)[number]

/** By prefix of a resource's type: what must be on before it is made. */
const needed: readonly [string, readonly Service[]][] = [
  ['google_bigquery_', ['bigquery', 'bigquerystorage']],
  ['google_billing_', ['billingbudgets']],
  ['google_cloud_run_', ['run']],
  ['google_cloud_scheduler_', ['cloudscheduler']],
  ['google_cloudfunctions2_', ['cloudfunctions', 'cloudbuild', 'artifactregistry', 'run']],
  ['google_compute_', ['compute']],
  ['google_logging_', ['logging']],
  ['google_monitoring_', ['monitoring']],
  ['google_project_iam_', ['iam', 'cloudresourcemanager']],
  ['google_pubsub_', ['pubsub']],
  ['google_secret_manager_', ['secretmanager']],
  ['google_service_account', ['iam']],
  ['google_storage_', ['storage']],
]

/** Switch the services on. Throws at synthesis for a resource of which it is not known what it needs. */
export function enableApis({ stack, config }: Context): void {
  const made = new Map<Service, ProjectService>(
    services.map((name) => [
      name,
      new ProjectService(stack, `api-${name}`, {
        project: config.project,
        service: `${name}.googleapis.com`,
        disableOnDestroy: false,
      }),
    ]),
  )
  Aspects.of(stack).add({
    visit(node) {
      if (!(node instanceof TerraformResource) || node instanceof ProjectService) return
      const type = node.terraformResourceType
      const found = needed.find(([prefix]) => type.startsWith(prefix))
      if (found === undefined) throw new Error(`Cannot tell what service ${type} needs`)
      const waits = found[1].flatMap((name) => made.get(name) ?? []).map(dependable)
      node.dependsOn = [...(node.dependsOn ?? []), ...waits]
    },
  })
}
