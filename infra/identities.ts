/**
 * Who may do what: a service account for each function and program, with no more than it needs, and
 * roles of our own where Google's own are too wide.
 */
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js'
import { ServiceAccount } from '@cdktf/provider-google/lib/service-account/index.js'

import { accountName, roleName } from '../core/names.ts'
import type { AnyReader } from '../core/pipeline.ts'
import { titleOf, type Context, type SurveyContext } from './context.ts'

export interface Roles {
  /** Make objects and read them, but neither replace nor delete one. */
  archivist: ProjectIamCustomRole
  /** Attach subscriptions of another project to a topic. */
  subscriber: ProjectIamCustomRole
  /** Start, stop and look at a machine, and say what night it is. */
  machinist: ProjectIamCustomRole
  /** Start a machine. */
  starter: ProjectIamCustomRole
  /** See the end of an operation on a machine, and how much subscriptions have left. */
  watcher: ProjectIamCustomRole
  /** Take the endpoint from a subscription, and give it back. */
  pauser: ProjectIamCustomRole
  /** Seek a subscription. */
  seeker: ProjectIamCustomRole
}

export function addRoles({ stack, config }: Context): Roles {
  const role = (name: string, title: string, permissions: string[]): ProjectIamCustomRole =>
    new ProjectIamCustomRole(stack, `role-${name}`, {
      roleId: roleName(config, name),
      title: titleOf(config, title),
      permissions,
    })
  return {
    // `get` and `list`: a refused create compares what stands there, and other bytes are kept beside.
    archivist: role('archivist', 'make objects, replace none', [
      'storage.objects.create',
      'storage.objects.get',
      'storage.objects.list',
    ]),
    subscriber: role('subscriber', 'attach subscriptions', [
      'pubsub.topics.attachSubscription',
      'pubsub.topics.get',
    ]),
    machinist: role('machinist', 'start and stop machines', [
      'compute.instances.get',
      'compute.instances.setMetadata',
      'compute.instances.start',
      'compute.instances.stop',
    ]),
    starter: role('starter', 'start machines', ['compute.instances.start']),
    watcher: role('watcher', 'see operations end and backlogs shrink', [
      'compute.zoneOperations.get',
      'monitoring.timeSeries.list',
    ]),
    pauser: role('pauser', 'pause subscriptions', [
      'pubsub.subscriptions.get',
      'pubsub.subscriptions.update',
    ]),
    seeker: role('seeker', 'seek subscriptions', ['pubsub.subscriptions.consume']),
  }
}

export interface Accounts {
  readers: ReadonlyMap<AnyReader['name'], ServiceAccount>
  consumer: ServiceAccount
  conductor: ServiceAccount
  /** In whose name Pub/Sub and Cloud Scheduler call functions. */
  caller: ServiceAccount
}

export function addAccounts({ stack, at, readers }: SurveyContext): Accounts {
  const account = (component: string, displayName: string): ServiceAccount =>
    new ServiceAccount(stack, `account-${at.survey}-${component}`, {
      accountId: accountName(at, component),
      displayName: titleOf(at, displayName),
    })
  return {
    readers: new Map(
      readers.map(({ name, stages }) => [name, account(name, titleOfStages(stages))]),
    ),
    consumer: account('consumer', 'Kafka consumer'),
    conductor: account('conductor', 'night conductor'),
    caller: account('caller', 'calls functions'),
  }
}

const titleOfStages = (stages: readonly string[]): string =>
  `${stages.length === 1 ? 'stage' : 'stages'} ${stages.join(', ')}`

/** A principal, as bindings write it. */
export const memberOf = (account: ServiceAccount): string => `serviceAccount:${account.email}`
