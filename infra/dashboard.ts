/** What an operator looks at while alerts come in: by topic, by stage, by machine. */
import { MonitoringDashboard } from '@cdktf/provider-google/lib/monitoring-dashboard/index.js'

import { functionName, subscriptionName, topicName } from '../core/names.ts'
import { topicsOf } from '../core/pipeline.ts'
import type { SurveyContext } from './context.ts'
import type { Machines } from './machines.ts'

interface Series {
  name: string
  filter: string
  aligner: string
  /** For distributions: the percentile that is drawn. */
  reducer?: string
}

export function addDashboard({ stack, at, readers }: SurveyContext, machines: Machines): void {
  const topic = (id: string, metric: string): string =>
    `resource.type = "pubsub_topic" AND resource.labels.topic_id = "${id}" AND metric.type = "pubsub.googleapis.com/topic/${metric}"`
  const subscription = (id: string, metric: string): string =>
    `resource.type = "pubsub_subscription" AND resource.labels.subscription_id = "${id}" AND metric.type = "pubsub.googleapis.com/subscription/${metric}"`
  const run = (id: string, metric: string): string =>
    `resource.type = "cloud_run_revision" AND resource.labels.service_name = "${id}" AND metric.type = "run.googleapis.com/${metric}"`

  const names: string[] = readers.map(({ name }) => name)
  if (machines.conductor === undefined) names.push('conductor')
  const read = readers.map(({ name, reads }) => ({
    name: name as string,
    id: subscriptionName(at, reads, name),
  }))
  read.push({ name: 'ledger table', id: subscriptionName(at, 'ledger', 'table') })
  const dead = subscriptionName(at, 'dead_letter', 'replay')

  const charts: [string, Series[]][] = [
    [
      'Alerts a minute, by topic',
      topicsOf(at.survey).map((word) => ({
        name: word,
        filter: topic(topicName(at, word), 'send_message_operation_count'),
        aligner: 'ALIGN_DELTA',
      })),
    ],
    [
      'Not yet done, by reader',
      read.map(({ name, id }) => ({
        name,
        filter: subscription(id, 'num_undelivered_messages'),
        aligner: 'ALIGN_MAX',
      })),
    ],
    [
      'Age of the oldest not yet done, seconds',
      read.map(({ name, id }) => ({
        name,
        filter: subscription(id, 'oldest_unacked_message_age'),
        aligner: 'ALIGN_MAX',
      })),
    ],
    [
      'Dead letters',
      [
        {
          name: 'waiting',
          filter: subscription(dead, 'num_undelivered_messages'),
          aligner: 'ALIGN_MAX',
        },
      ],
    ],
    [
      'Latency of the functions, 99 %, ms',
      names.map((name) => ({
        name,
        filter: run(functionName(at, name), 'request_latencies'),
        aligner: 'ALIGN_DELTA',
        reducer: 'REDUCE_PERCENTILE_99',
      })),
    ],
    [
      'Instances of the functions',
      names.map((name) => ({
        name,
        filter: run(functionName(at, name), 'container/instance_count'),
        aligner: 'ALIGN_MAX',
      })),
    ],
    ...(
      [
        ['Processor of the machines', 'cpu/utilization', 'ALIGN_MEAN'],
        ['What the machines receive, bytes/s', 'network/received_bytes_count', 'ALIGN_RATE'],
        ['How long the machines are up, seconds', 'uptime_total', 'ALIGN_MAX'],
      ] as const
    ).map(([title, metric, aligner]): [string, Series[]] => [
      title,
      Object.entries(machines).map(([name, { instanceId }]) => ({
        name,
        filter: `resource.type = "gce_instance" AND resource.labels.instance_id = "${instanceId}" AND metric.type = "compute.googleapis.com/instance/${metric}"`,
        aligner,
      })),
    ]),
  ]
  const instance = at.instance === undefined ? '' : ` ${at.instance}`
  new MonitoringDashboard(stack, `dashboard-${at.survey}`, {
    dashboardJson: JSON.stringify({
      displayName: `Nightjar: ${at.survey.toUpperCase()} stream${instance}`,
      mosaicLayout: {
        columns: 12,
        tiles: charts.map(([title, series], index) => ({
          xPos: (index % 2) * 6,
          yPos: Math.floor(index / 2) * 4,
          width: 6,
          height: 4,
          widget: { title, xyChart: { dataSets: series.map(dataSet) } },
        })),
      },
    }),
  })
}

function dataSet({ name, filter, aligner, reducer }: Series): unknown {
  return {
    legendTemplate: name,
    plotType: 'LINE',
    timeSeriesQuery: {
      timeSeriesFilter: {
        filter,
        aggregation: {
          alignmentPeriod: '60s',
          perSeriesAligner: aligner,
          crossSeriesReducer: reducer ?? 'REDUCE_SUM',
        },
      },
    },
  }
}
