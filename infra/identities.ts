/**
 * Who may do what: a service account for each function and program, with no more than it needs, and two
 * roles where Google's own are too wide.
 */
import { ProjectIamCustomRole } from '@cdktf/provider-google/lib/project-iam-custom-role/index.js'
import { ServiceAccount } from '@cdktf/provider-google/lib/service-account/index.js'

import { accountName, roleName } from '../core/names.ts'
import { readersOf, type ReaderName } from '../core/pipeline.ts'
import { titleOf, type Context, type SurveyContext } from './context.ts'

export interface Roles {
  /** Make objects and read them, but neither replace nor delete one. */
  archivist: ProjectIamCustomRole
  /** Attach subscriptions of another project to a topic. */
  subscriber: ProjectIamCustomRole
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
  }
}

export interface Accounts {
  readers: ReadonlyMap<ReaderName, ServiceAccount>
  consumer: ServiceAccount
  conductor: ServiceAccount
  /** In whose name Pub/Sub and Cloud Scheduler call functions. */
  caller: ServiceAccount
}

export function addAccounts({ stack, at }: SurveyContext): Accounts {
  const account = (component: string, displayName: string): ServiceAccount =>
    new ServiceAccount(stack, `account-${at.survey}-${component}`, {
      accountId: accountName(at, component),
      displayName: titleOf(at, displayName),
    })
  return {
    readers: new Map(
      readersOf(at.survey).map(({ name, stages }) => [name, account(name, titleOfStages(stages))]),
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
