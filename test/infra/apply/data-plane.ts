/**
 * How each kind of resource is made through the interface of its service: the request that the provider
 * would send, as far as the stack has arguments. An argument that nothing here knows is an error.
 */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

import type { Fields } from './blueprint.ts'

export interface Hosts {
  pubsub: string
  gcs: string
  bigquery: string
}

export interface Making {
  project: string
  hosts: Hosts
  /** Where the stack's file is: paths of assets are relative to it. */
  folder: string
}

/** A request to a service, and what of its body must stand when it is read back. */
export interface Request {
  method: 'PUT' | 'POST'
  url: string
  body: Fields
  /** Where to read it back; `{id}` stands for the id that the service gave it. */
  back: string
  /** What Terraform's attributes of it are besides its arguments. */
  attributes: Readonly<Record<string, string>>
  /** Bytes in the body's place. */
  bytes?: Uint8Array
}

const camel = (name: string): string =>
  name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

/** Arguments as the REST interfaces write them, keys of labels as they are. */
function camelled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(camelled)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      camel(key),
      key === 'labels' ? inner : camelled(inner),
    ]),
  )
}

const textOf = (value: unknown): string => {
  if (typeof value === 'string' && value !== '') return value
  throw new Error(`Cannot make a resource: ${JSON.stringify(value)} is no name`)
}

/** Only these arguments are understood. */
function understood(fields: Fields, known: readonly string[]): void {
  const strange = Object.keys(fields).filter((key) => !known.includes(key))
  if (strange.length > 0) throw new Error(`Cannot make it: no idea of ${strange.join(', ')}`)
}

type Maker = (fields: Fields, making: Making) => Request

function topic(fields: Fields, { project, hosts }: Making): Request {
  const { name, ...body } = fields
  understood(body, ['labels', 'message_retention_duration', 'message_storage_policy'])
  const id = `projects/${project}/topics/${textOf(name)}`
  const url = `http://${hosts.pubsub}/v1/${id}`
  return { method: 'PUT', url, body: camelled(body) as Fields, back: url, attributes: { id } }
}

function subscription(fields: Fields, { project, hosts }: Making): Request {
  const { name, expiration_policy: expiration, ...body } = fields
  understood(body, [
    ...['topic', 'labels', 'ack_deadline_seconds', 'message_retention_duration', 'retry_policy'],
    ...['dead_letter_policy', 'filter', 'push_config', 'bigquery_config'],
  ])
  const id = `projects/${project}/subscriptions/${textOf(name)}`
  const url = `http://${hosts.pubsub}/v1/${id}`
  // Terraform writes "never" as an empty text, the interface as an absent one.
  const never = (expiration as { ttl?: string } | undefined)?.ttl === ''
  const policy = never ? {} : camelled(expiration)
  const whole = { ...(camelled(body) as Fields), expirationPolicy: policy }
  return { method: 'PUT', url, body: whole, back: url, attributes: { id } }
}

function bucket(fields: Fields, { project, hosts }: Making): Request {
  const { name, labels, location, versioning, ...rest } = fields
  understood(rest, [
    ...['uniform_bucket_level_access', 'public_access_prevention', 'soft_delete_policy'],
    ...['lifecycle_rule', 'force_destroy'],
  ])
  const base = `http://${hosts.gcs}/storage/v1/b`
  const rules = camelled(rest['lifecycle_rule'])
  return {
    method: 'POST',
    url: `${base}?project=${project}`,
    body: {
      ...{ name, labels, location },
      ...(versioning !== undefined && { versioning: camelled(versioning) }),
      iamConfiguration: {
        uniformBucketLevelAccess: { enabled: rest['uniform_bucket_level_access'] },
        publicAccessPrevention: rest['public_access_prevention'],
      },
      softDeletePolicy: camelled(rest['soft_delete_policy']),
      ...(rules !== undefined && { lifecycle: { rule: rules } }),
    },
    back: `${base}/${textOf(name)}`,
    attributes: {},
  }
}

function object(fields: Fields, { hosts, folder }: Making): Request {
  const { bucket: holder, name, source, content, ...rest } = fields
  understood(rest, [])
  const path = encodeURIComponent(textOf(name))
  const base = `http://${hosts.gcs}`
  return {
    method: 'POST',
    url: `${base}/upload/storage/v1/b/${textOf(holder)}/o?uploadType=media&name=${path}`,
    body: { name, bucket: holder },
    bytes:
      content === undefined
        ? readFileSync(resolve(folder, textOf(source)))
        : Buffer.from(textOf(content)),
    back: `${base}/storage/v1/b/${textOf(holder)}/o/${path}`,
    attributes: { output_name: textOf(name) },
  }
}

function notification(fields: Fields, { hosts }: Making): Request {
  const { bucket: holder, topic: to, ...rest } = fields
  understood(rest, ['event_types', 'payload_format'])
  const url = `http://${hosts.gcs}/storage/v1/b/${textOf(holder)}/notificationConfigs`
  const body = { ...rest, topic: `//pubsub.googleapis.com/${textOf(to)}` }
  return { method: 'POST', url, body, back: `${url}/{id}`, attributes: {} }
}

function dataset(fields: Fields, making: Making): Request {
  const { dataset_id: datasetId, delete_contents_on_destroy: _, ...rest } = fields
  understood(rest, ['description', 'labels', 'location'])
  const url = `${bigquery(making)}/datasets`
  const body = { datasetReference: { projectId: making.project, datasetId }, ...rest }
  return { method: 'POST', url, body, back: `${url}/${textOf(datasetId)}`, attributes: {} }
}

function table(fields: Fields, making: Making): Request {
  const { dataset_id: datasetId, table_id: tableId, deletion_protection: _, ...rest } = fields
  const { schema, clustering, time_partitioning: partitioning, view, ...plain } = rest
  understood(plain, ['description', 'labels'])
  const url = `${bigquery(making)}/datasets/${textOf(datasetId)}/tables`
  return {
    method: 'POST',
    url,
    body: {
      tableReference: { projectId: making.project, datasetId, tableId },
      ...plain,
      ...(schema !== undefined && { schema: { fields: JSON.parse(textOf(schema)) as unknown } }),
      ...(clustering !== undefined && { clustering: { fields: clustering } }),
      ...(partitioning !== undefined && { timePartitioning: camelled(partitioning) }),
      ...(view !== undefined && { view: camelled(view) }),
    },
    back: `${url}/${textOf(tableId)}`,
    attributes: {},
  }
}

function routine(fields: Fields, making: Making): Request {
  const { dataset_id: datasetId, routine_id: routineId, ...rest } = fields
  const { return_type: returns, definition_body: body, arguments: given, ...plain } = rest
  understood(plain, ['routine_type', 'language', 'description'])
  const parameters = (given ?? []) as { name: string; data_type: string }[]
  const url = `${bigquery(making)}/datasets/${textOf(datasetId)}/routines`
  return {
    method: 'POST',
    url,
    body: {
      routineReference: { projectId: making.project, datasetId, routineId },
      ...(camelled(plain) as Fields),
      definitionBody: body,
      arguments: parameters.map(({ name, data_type: type }) => ({
        name,
        dataType: JSON.parse(type) as unknown,
      })),
      ...(returns !== undefined && { returnType: JSON.parse(textOf(returns)) as unknown }),
    },
    back: `${url}/${textOf(routineId)}`,
    attributes: {},
  }
}

const bigquery = ({ hosts, project }: Making): string =>
  `http://${hosts.bigquery}/bigquery/v2/projects/${project}`

/** The kinds that are made. */
export const makers: Readonly<Record<string, Maker>> = {
  google_pubsub_topic: topic,
  google_pubsub_subscription: subscription,
  google_storage_bucket: bucket,
  google_storage_bucket_object: object,
  google_storage_notification: notification,
  google_bigquery_dataset: dataset,
  google_bigquery_table: table,
  google_bigquery_routine: routine,
}
