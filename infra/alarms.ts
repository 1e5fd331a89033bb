/** When a person is woken: each policy says in its text what to look at first. */
import { BillingBudget } from '@cdktf/provider-google/lib/billing-budget/index.js'
import { LoggingMetric } from '@cdktf/provider-google/lib/logging-metric/index.js'
import { MonitoringAlertPolicy } from '@cdktf/provider-google/lib/monitoring-alert-policy/index.js'
import { MonitoringNotificationChannel } from '@cdktf/provider-google/lib/monitoring-notification-channel/index.js'

import { functionName, machineName, sharedName, subscriptionName } from '../core/names.ts'
import { labelsOf, titleOf, type Context, type SurveyContext } from './context.ts'
import type { Machines } from './machines.ts'

export type Channels = readonly MonitoringNotificationChannel[]

export function addChannels({ stack, config }: Context): Channels {
  return config.notify.map(
    (address, index) =>
      new MonitoringNotificationChannel(stack, `mail-${index}`, {
        displayName: titleOf(config, address),
        type: 'email',
        labels: { email_address: address },
        userLabels: labelsOf(config),
      }),
  )
}

export function addBudget({ stack, config }: Context, channels: Channels): void {
  if (config.budget === undefined) return
  const { billingAccount, monthlyDollars } = config.budget
  new BillingBudget(stack, 'budget', {
    billingAccount,
    displayName: sharedName(config, 'budget'),
    budgetFilter: {
      projects: [`projects/${config.project}`],
      labels: { application: 'nightjar' },
    },
    amount: { specifiedAmount: { currencyCode: 'USD', units: String(monthlyDollars) } },
    thresholdRules: [0.5, 0.9, 1].map((thresholdPercent) => ({ thresholdPercent })),
    allUpdatesRule: { monitoringNotificationChannels: channels.map(({ id }) => id) },
  })
}

const conductorAdvice =
  '`nightjar conductor status --cloud` says how the night stands; `nightjar conductor report --cloud` names every missing alert.'

const minutes = (count: number): string => `${count * 60}s`

export function addAlarms(
  { stack, at, config, labels, readers }: SurveyContext,
  channels: Channels,
  machines: Machines,
): void {
  /** One condition over one kind of series: more than a number, for so long. */
  function alarm(
    key: string,
    title: string,
    advice: string,
    condition: { filter: string; above: number; lasting: number; aligner: string },
  ): void {
    new MonitoringAlertPolicy(stack, `alarm-${at.survey}-${key}`, {
      displayName: titleOf(at, title),
      combiner: 'OR',
      userLabels: labels,
      notificationChannels: channels.map(({ id }) => id),
      documentation: { content: advice, mimeType: 'text/markdown' },
      alertStrategy: { autoClose: '86400s' },
      conditions: [
        {
          displayName: title,
          conditionThreshold: {
            filter: condition.filter,
            comparison: 'COMPARISON_GT',
            thresholdValue: condition.above,
            duration: minutes(condition.lasting),
            aggregations: [{ alignmentPeriod: '60s', perSeriesAligner: condition.aligner }],
          },
        },
      ],
    })
  }
  /** A program whose log has an error in it. */
  function said(program: string, metric: LoggingMetric, resource: string, advice: string): void {
    alarm(`${program}-errors`, `the ${program} says that something is wrong`, advice, {
      filter: `resource.type = "${resource}" AND metric.type = "logging.googleapis.com/user/${metric.name}"`,
      above: 0,
      lasting: 0,
      aligner: 'ALIGN_DELTA',
    })
  }
  const subscription = (name: string, metric: string): string =>
    `resource.type = "pubsub_subscription" AND resource.labels.subscription_id = "${name}" AND metric.type = "pubsub.googleapis.com/subscription/${metric}"`

  for (const { name: reader, reads, stages } of readers) {
    const name = subscriptionName(at, reads, reader)
    alarm(
      `backlog-${reader}`,
      `${stages.join(', ')} half an hour behind`,
      `Its function fails or is throttled. \`nightjar doctor\`, then the logs of \`${functionName(at, reader)}\`.`,
      {
        filter: subscription(name, 'oldest_unacked_message_age'),
        above: 1800,
        lasting: 10,
        aligner: 'ALIGN_MAX',
      },
    )
  }
  alarm(
    'dead-letters',
    'dead letters wait',
    'What could not be handled is kept whole. `nightjar report` groups it by reason; `nightjar replay --dead-letter` sends it again when the cause is mended.',
    {
      filter: subscription(
        subscriptionName(at, 'dead_letter', 'replay'),
        'num_undelivered_messages',
      ),
      above: 100,
      lasting: 10,
      aligner: 'ALIGN_MAX',
    },
  )
  alarm(
    'ledger-table',
    'the ledger does not reach its table',
    'Nothing can be proven while it waits. See the subscription: its grants on the table, or a change of the table.',
    {
      filter: subscription(subscriptionName(at, 'ledger', 'table'), 'oldest_unacked_message_age'),
      above: 1800,
      lasting: 10,
      aligner: 'ALIGN_MAX',
    },
  )

  // What the machines say at their serial consoles: errors of the programs, and why a start ended.
  for (const [program, { instanceId }] of Object.entries(machines)) {
    const metric = new LoggingMetric(stack, `said-${at.survey}-${program}`, {
      name: `${sharedName(at, at.survey)}/${program}-errors`,
      description: titleOf(at, `errors that the ${program} says`),
      filter: [
        'log_id("serialconsole.googleapis.com/serial_port_1_output")',
        `resource.labels.instance_id = "${instanceId}"`,
        `(textPayload : "\\"severity\\":\\"ERROR\\"" OR textPayload : "nightjar: Cannot")`,
      ].join(' AND '),
      metricDescriptor: { metricKind: 'DELTA', valueType: 'INT64', unit: '1' },
    })
    said(
      program,
      metric,
      'gce_instance',
      program === 'consumer'
        ? 'systemd starts it again where it stood. Its last line says why: a secret, Kafka, or Pub/Sub.'
        : conductorAdvice,
    )
  }
  const service = functionName(at, 'conductor')
  if (machines.conductor === undefined) {
    const metric = new LoggingMetric(stack, `said-${at.survey}-conductor`, {
      name: `${sharedName(at, at.survey)}/conductor-errors`,
      description: titleOf(at, 'errors that the conductor says'),
      filter: [
        'resource.type = "cloud_run_revision"',
        `resource.labels.service_name = "${service}"`,
        'severity >= ERROR',
      ].join(' AND '),
      metricDescriptor: { metricKind: 'DELTA', valueType: 'INT64', unit: '1' },
    })
    said('conductor', metric, 'cloud_run_revision', conductorAdvice)
  }
  // A test instance is started when somebody wants it to be.
  if (config.instance !== undefined) return
  const job = `the job \`${machineName(at, 'conductor')}-tick\` of Cloud Scheduler`
  const { silent, look, filter, hours } =
    machines.conductor === undefined
      ? {
          silent: 'the conductor has not ticked for an hour',
          look: `See ${job} and the logs of \`${service}\`.`,
          filter: `resource.type = "cloud_run_revision" AND resource.labels.service_name = "${service}" AND metric.type = "run.googleapis.com/request_count" AND metric.labels.response_code_class = "2xx"`,
          hours: 1,
        }
      : {
          silent: 'the conductor did not come up for a day',
          look: `See ${job} and the machine's serial console.`,
          filter: `resource.type = "gce_instance" AND resource.labels.instance_id = "${machines.conductor.instanceId}" AND metric.type = "compute.googleapis.com/instance/uptime"`,
          hours: 23,
        }
  new MonitoringAlertPolicy(stack, `alarm-${at.survey}-no-conductor`, {
    displayName: titleOf(at, silent),
    combiner: 'OR',
    userLabels: labels,
    notificationChannels: channels.map(({ id }) => id),
    documentation: { content: look, mimeType: 'text/markdown' },
    alertStrategy: { autoClose: '86400s' },
    conditions: [
      {
        displayName: silent,
        conditionAbsent: {
          filter,
          duration: minutes(hours * 60),
          aggregations: [{ alignmentPeriod: '60s', perSeriesAligner: 'ALIGN_SUM' }],
        },
      },
    ],
  })
}
