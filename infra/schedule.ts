/**
 * The clock of the conductor: every hour its machine is started. Where a night is to be watched it stays
 * up and ticks; where there is nothing to do it turns itself off. To start one that runs does nothing, so a
 * conductor that died is back within the hour.
 */
import { CloudSchedulerJob } from '@cdktf/provider-google/lib/cloud-scheduler-job/index.js'

import { machineName } from '../core/names.ts'
import type { SurveyContext } from './context.ts'
import type { Accounts } from './identities.ts'
import type { Machines } from './machines.ts'

export function addSchedule(
  { stack, at, config }: SurveyContext,
  accounts: Accounts,
  { conductor }: Machines,
): void {
  const { project, region, zone } = config
  new CloudSchedulerJob(stack, `tick-${at.survey}`, {
    name: `${machineName(at, 'conductor')}-tick`,
    description: `Start the night conductor of ${at.survey}, if it does not run`,
    region,
    schedule: '0 * * * *',
    timeZone: 'Etc/UTC',
    attemptDeadline: '60s',
    // A test instance ticks when somebody wants it to.
    paused: at.instance !== undefined,
    retryConfig: { retryCount: 3, minBackoffDuration: '30s', maxBackoffDuration: '300s' },
    httpTarget: {
      httpMethod: 'POST',
      uri: `https://compute.googleapis.com/compute/v1/projects/${project}/zones/${zone}/instances/${conductor.name}/start`,
      oauthToken: { serviceAccountEmail: accounts.conductor.email },
    },
  })
}
