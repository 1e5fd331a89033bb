/**
 * The clock of the conductor. Its machine is started at every tick: where a night is to be conducted it
 * stays up and ticks by itself; where there is nothing to do it turns itself off. To start one that runs
 * does nothing, so a conductor that died is back at the next tick. A function is called, and each call is a
 * tick of the night; one that fails is followed by the next.
 */
import { Cloudfunctions2Function } from '@cdktf/provider-google/lib/cloudfunctions2-function/index.js'
import {
  CloudSchedulerJob,
  type CloudSchedulerJobConfig,
} from '@cdktf/provider-google/lib/cloud-scheduler-job/index.js'
import { ComputeInstanceIamMember } from '@cdktf/provider-google/lib/compute-instance-iam-member/index.js'
import type { ComputeInstance } from '@cdktf/provider-google/lib/compute-instance/index.js'

import { machineName } from '../core/names.ts'
import { tickSeconds } from './conductor.ts'
import type { SurveyContext } from './context.ts'
import { memberOf, type Accounts, type Roles } from './identities.ts'

/** A night moves on at most so late. A tick of a night at rest takes seconds. */
const everyFiveMinutes = '*/5 * * * *'

export function addSchedule(
  context: SurveyContext,
  accounts: Accounts,
  roles: Roles,
  conductor: ComputeInstance | Cloudfunctions2Function,
): void {
  const { stack, at, config } = context
  new CloudSchedulerJob(stack, `tick-${at.survey}`, {
    name: `${machineName(at, 'conductor')}-tick`,
    region: config.region,
    timeZone: 'Etc/UTC',
    // A test instance ticks when somebody wants it to.
    paused: at.instance !== undefined,
    ...(conductor instanceof Cloudfunctions2Function
      ? calling(context, accounts, conductor)
      : starting(context, accounts, roles, conductor)),
  })
}

type Ticking = Pick<
  CloudSchedulerJobConfig,
  'description' | 'schedule' | 'attemptDeadline' | 'retryConfig' | 'httpTarget' | 'dependsOn'
>

function starting(
  { stack, at, config }: SurveyContext,
  accounts: Accounts,
  roles: Roles,
  conductor: ComputeInstance,
): Ticking {
  const { project, zone } = config
  const may = new ComputeInstanceIamMember(stack, `${at.survey}-conductor-by-caller`, {
    zone,
    instanceName: conductor.name,
    role: roles.starter.name,
    member: memberOf(accounts.caller),
  })
  return {
    description: `Start the night conductor of ${at.survey}, if it does not run`,
    schedule: config.tick,
    attemptDeadline: '60s',
    retryConfig: { retryCount: 3, minBackoffDuration: '30s', maxBackoffDuration: '300s' },
    httpTarget: {
      httpMethod: 'POST',
      uri: `https://compute.googleapis.com/compute/v1/projects/${project}/zones/${zone}/instances/${conductor.name}/start`,
      oauthToken: { serviceAccountEmail: accounts.caller.email },
    },
    dependsOn: [may],
  }
}

function calling(
  { at }: SurveyContext,
  accounts: Accounts,
  { serviceConfig: { uri } }: Cloudfunctions2Function,
): Ticking {
  return {
    description: `Have the night conductor of ${at.survey} take its next step`,
    schedule: everyFiveMinutes,
    attemptDeadline: `${tickSeconds}s`,
    retryConfig: { retryCount: 0 },
    httpTarget: {
      httpMethod: 'POST',
      uri,
      oidcToken: { serviceAccountEmail: accounts.caller.email, audience: uri },
    },
  }
}
