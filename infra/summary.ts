/** What a stack will make, for the operator to read before it does. */
import type { Synthesised } from './synth.ts'

/** Kinds of which the names are told, in the order of the pipeline; the argument that names each. */
const named: readonly { type: string; word: string; key: string }[] = [
  { type: 'google_pubsub_topic', word: 'topics', key: 'name' },
  { type: 'google_pubsub_subscription', word: 'subscriptions', key: 'name' },
  { type: 'google_storage_bucket', word: 'buckets', key: 'name' },
  { type: 'google_bigquery_dataset', word: 'data sets', key: 'dataset_id' },
  { type: 'google_cloudfunctions2_function', word: 'functions', key: 'name' },
  { type: 'google_compute_instance', word: 'machines', key: 'name' },
  { type: 'google_cloud_scheduler_job', word: 'schedules', key: 'name' },
  { type: 'google_secret_manager_secret', word: 'secrets', key: 'secret_id' },
  { type: 'google_service_account', word: 'accounts', key: 'account_id' },
  { type: 'google_monitoring_alert_policy', word: 'alarms', key: 'display_name' },
]

/** Grants are many and each is small: they are one number. */
const isGrant = (type: string): boolean => /_iam_(member|binding|policy|custom_role)$/.test(type)

/** What one stack will make: a line a kind with its names, and the numbers of all else. */
export function formatStack({ name, text }: Pick<Synthesised, 'name' | 'text'>): string {
  const { resource = {} } = JSON.parse(text) as {
    resource?: Record<string, Record<string, Record<string, unknown>>>
  }
  const count = (type: string): number => Object.keys(resource[type] ?? {}).length
  const lines = named.flatMap(({ type, word, key }) => {
    if (count(type) === 0) return []
    const names = Object.values(resource[type] ?? {}).map((fields) => String(fields[key]))
    return [`  ${String(names.length).padStart(3)} ${word}: ${names.sort().join(', ')}`]
  })
  const told = new Set(named.map(({ type }) => type))
  const others = Object.keys(resource)
    .filter((type) => !told.has(type) && !isGrant(type))
    .map((type) => `${count(type)} ${type.replace(/^google_/, '')}`)
  const grants = Object.keys(resource).filter(isGrant)
  const granted = grants.reduce((sum, type) => sum + count(type), 0)
  if (granted > 0) others.push(`${granted} roles and grants`)
  if (others.length > 0) lines.push(`      and ${others.sort().join(', ')}`)
  const all = Object.keys(resource).reduce((sum, type) => sum + count(type), 0)
  return `${name} makes ${all} ${all === 1 ? 'resource' : 'resources'}\n${lines.join('\n')}\n`
}
