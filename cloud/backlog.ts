/**
 * How much a subscription has left, as Cloud Monitoring knows it: sampled each minute and visible up to
 * two minutes later (its metrics list), so a hint and never a proof. No point is not 0 but unknown.
 */
import { NightjarError } from '../core/errors.ts'
import { fault } from './faults.ts'
import { openRest } from './rest.ts'
import type { Topics } from './topics.ts'

const scope = 'https://www.googleapis.com/auth/monitoring.read'
const windowMs = 10 * 60_000

/** Read the newest point of both metrics. Rejects with `source_failed` where there is none. */
export async function readBacklog(
  { project, emulated, monitoring }: Topics,
  subscription: string,
): Promise<{ messages: number; bytes: number }> {
  const attempted = {
    deed: `tell the backlog of subscription "${subscription}"`,
    thing: `subscription "${subscription}"`,
    project,
    role: 'roles/monitoring.viewer',
  }
  if (emulated && monitoring === undefined) {
    throw new NightjarError(
      'source_failed',
      `Cannot ${attempted.deed}: an emulator keeps no metrics`,
    )
  }
  try {
    const request = openRest({
      project,
      service: 'https://monitoring.googleapis.com',
      scope,
      ...(monitoring !== undefined && { emulator: monitoring }),
    })
    const newest = async (metric: string): Promise<number | undefined> => {
      const path = metricPath(project, subscription, metric, Date.now())
      const data = await request<TimeSeries>({ path, timeoutMs: 10_000 })
      const value = data.timeSeries?.[0]?.points?.[0]?.value?.int64Value
      return value === undefined ? undefined : Number(value)
    }
    const [messages, bytes] = await Promise.all([
      newest('num_undelivered_messages'),
      newest('backlog_bytes'),
    ])
    if (messages !== undefined) return { messages, bytes: bytes ?? 0 }
  } catch (error) {
    throw fault('source_failed', error, attempted)
  }
  throw new NightjarError(
    'source_failed',
    `Cannot ${attempted.deed}: Cloud Monitoring has no point of the last ${windowMs / 60_000} minutes`,
  )
}

interface TimeSeries {
  timeSeries?: { points?: { value?: { int64Value?: string } }[] }[]
}

function metricPath(project: string, subscription: string, metric: string, now: number): string {
  const query = new URLSearchParams({
    filter:
      `metric.type = "pubsub.googleapis.com/subscription/${metric}" AND ` +
      `resource.labels.subscription_id = "${subscription}"`,
    'interval.startTime': new Date(now - windowMs).toISOString(),
    'interval.endTime': new Date(now).toISOString(),
  })
  return `/v3/projects/${project}/timeSeries?${query}`
}
