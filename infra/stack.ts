/** The whole of one instance as one stack: what the surveys share, then each survey in the order of its pipeline. */
import { GoogleProvider } from '@cdktf/provider-google/lib/provider/index.js'
import { GcsBackend, TerraformStack } from 'cdktf'
import type { Construct } from 'constructs'

import { sharedName, stateBucketName } from '../core/names.ts'
import { addAlarms, addBudget, addChannels } from './alarms.ts'
import { enableApis } from './apis.ts'
import { addBrokerFiles, addBuckets } from './buckets.ts'
import type { Bundles } from './bundles.ts'
import type { InfraConfig } from './config.ts'
import { addConductor } from './conductor.ts'
import { contextOf, labelsOf, type Context } from './context.ts'
import { addDashboard } from './dashboard.ts'
import { addFunctions } from './functions.ts'
import { addAccounts, addRoles } from './identities.ts'
import { excludeLogs } from './logs.ts'
import { addMachines } from './machines.ts'
import { addNetwork } from './network.ts'
import { addSchedule } from './schedule.ts'
import { addSecrets } from './secrets.ts'
import { readStreams } from './streams.ts'
import { addSubscriptions } from './subscriptions.ts'
import { addTopics } from './topics.ts'
import { addWarehouse } from './warehouse.ts'

/** Make the stack. Nothing in it is named by chance, so a second synthesis gives the same bytes. */
export function createStack(
  scope: Construct,
  config: InfraConfig,
  bundles: Bundles,
): TerraformStack {
  const stack = new TerraformStack(scope, sharedName(config, 'stack'))
  const context: Context = { stack, config }
  new GcsBackend(stack, {
    bucket: stateBucketName(config.project),
    prefix: sharedName(config, 'stack'),
  })
  new GoogleProvider(stack, 'google', {
    project: config.project,
    region: config.region,
    zone: config.zone,
    defaultLabels: labelsOf(config),
  })
  enableApis(context)
  const roles = addRoles(context)
  const brokerFiles = addBrokerFiles(context)
  const byFunction = config.surveys.filter((survey) => config.conductor[survey] === 'function')
  const streams = readStreams(config.streams, config.surveys, { byFunction })
  const subnetwork = addNetwork(context, streams)
  const channels = addChannels(context)
  addBudget(context, channels)
  for (const survey of config.surveys) {
    const here = contextOf(context, survey)
    const accounts = addAccounts(here)
    const topics = addTopics(here, accounts, roles)
    addBuckets(here, accounts, roles, topics, brokerFiles)
    const warehouse = addWarehouse(here, accounts)
    const functions = addFunctions(here, accounts, brokerFiles, bundles)
    addSubscriptions(here, topics, functions, accounts, roles, warehouse)
    excludeLogs(here)
    const secrets = addSecrets(here, accounts, streams)
    const machines = addMachines(here, accounts, roles, subnetwork, brokerFiles, bundles, streams)
    const conductor =
      machines.conductor ?? addConductor(here, accounts, brokerFiles, bundles, secrets)
    addSchedule(here, accounts, roles, conductor)
    addDashboard(here, machines)
    addAlarms(here, channels, machines)
  }
  return stack
}
