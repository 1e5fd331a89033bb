/**
 * The clock of the conductor: at every tick its machine is started. Where a night is to be conducted it
 * stays up and ticks by itself; where there is nothing to do it turns itself off. To start one that runs
 * does nothing, so a conductor that died is back at the next tick.
 */
import { CloudSchedulerJob } from '@cdktf/provider-google/lib/cloud-scheduler-job/index.js'
import { ComputeInstanceIamMember } from '@cdktf/provider-google/lib/compute-instance-iam-member/index.js'

import { machineName } from '../core/names.ts'
import type { SurveyContext } from './context.ts'
import { memberOf, type Accounts, type Roles } from './identities.ts'
import type { Machines } from './machines.ts'

export function addSchedule(
  { stack, at, config }: SurveyContext,
  accounts: Accounts,
  roles: Roles,
  { conductor }: Machines,
): void {
  const { project, region, zone } = config
  const may = new ComputeInstanceIamMember(stack, `${at.survey}-conductor-by-caller`, {
    zone,
    instanceName: conductor.name,
    role: roles.starter.name,
    member: memberOf(accounts.caller),
  })
  new CloudSchedulerJob(stack, `tick-${at.survey}`, {
    name: `${machineName(at, 'conductor')}-tick`,
    description: `Start the night conductor of ${at.survey}, if it does not run`,
    region,
    schedule: config.tick,
    timeZone: 'Etc/UTC',
    attemptDeadline: '60s',
    // A test instance ticks when somebody wants it to.
    paused: at.instance !== undefined,
    retryConfig: { retryCount: 3, minBackoffDuration: '30s', maxBackoffDuration: '300s' },
    httpTarget: {
      httpMethod: 'POST',
      uri: `https://compute.googleapis.com/compute/v1/projects/${project}/zones/${zone}/instances/${conductor.name}/start`,
      oauthToken: { serviceAccountEmail: accounts.caller.email },
    },
    dependsOn: [may],
  })
}
