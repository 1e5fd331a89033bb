/**
 * The only file that spells a resource's name. Production has no suffix; a test instance has one
 * (`ztf_alert_data-rc1`), so that two instances in a project share nothing.
 */
import { NightjarError } from './errors.ts'
import type { Night } from './night.ts'

export type Survey = 'ztf' | 'lsst'

export const surveys: readonly Survey[] = ['ztf', 'lsst']

export interface Instance {
  survey: Survey
  /** The cloud project; on one machine a word that keeps bucket names alike. */
  project: string
  /** Absent in production. */
  instance?: string
}

/** Everything that `core/pipeline.ts` may read or write, by the word used there. */
export type TopicWord =
  | 'alert_data'
  | 'alert_avro_bucket'
  | 'exgalac_trans'
  | 'salt2'
  | 'ledger'
  | 'dead_letter'
  // How the nights go: each transition, each report.
  | 'night'
  // What a named filter selects.
  | `filter_${string}`

export type BucketWord = 'alert_avro_bucket' | 'broker_files' | 'sncosmo'

/** Check a survey's name as it comes from a command line or the environment. */
export function parseSurvey(text: string): Survey {
  const survey = surveys.find((known) => known === text)
  if (survey === undefined) {
    throw new NightjarError(
      'config_invalid',
      `Cannot take survey "${text}": known are ${surveys.join(' and ')}`,
    )
  }
  return survey
}

/**
 * Check an instance's name: it becomes part of every resource name, so only `[a-z][a-z0-9]*`, and short
 * enough for a service account's 30 characters.
 */
export function parseInstance(text: string): string {
  if (!/^[a-z][a-z0-9]{0,14}$/.test(text)) {
    throw new NightjarError(
      'config_invalid',
      `Cannot take instance "${text}": it must be a letter and up to 14 letters or digits, lower case`,
    )
  }
  return text
}

const suffix = ({ instance }: Pick<Instance, 'instance'>): string =>
  instance === undefined ? '' : `-${instance}`

/** `ztf_alert_data`, `ztf_alert_data-rc1`. */
export function topicName(at: Instance, word: TopicWord): string {
  return `${at.survey}_${word}${suffix(at)}`
}

/** Whether a topic is one of a named filter: `ztf_filter_virgo`, `ztf_filter_virgo-rc1`. */
export function isFilterTopic(at: Instance, topic: string): boolean {
  const begins = `${at.survey}_filter_`
  return topic.startsWith(begins) && topic.endsWith(suffix(at)) && topic.length > begins.length
}

/**
 * The topic behind a channel of a gateway: `hpfeeds.chan1`. Any channel has one: what a topic's name
 * cannot hold is percent-encoded. Throws `input_invalid` where it would be longer than Pub/Sub takes.
 */
export function channelTopicName(at: Instance, prefix: string, channel: string): string {
  const encoded = encodeURIComponent(channel).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  const name = `${prefix}${encoded}${suffix(at)}`
  if (name.length <= 255) return name
  throw new NightjarError(
    'input_invalid',
    `Cannot use channel "${channel.slice(0, 80)}": the name of its topic would have ` +
      `${name.length} characters, at most 255 are allowed`,
  )
}

/** A topic or a queue of control events: `events.topic.NAME`, `events.queue.NAME`. */
export function eventTopicName(at: Instance, kind: 'topic' | 'queue', name: string): string {
  return channelTopicName(at, `events.${kind}.`, name)
}

/** A subscription is named after its topic and its reader: `ztf_alert_data-packets`. */
export function subscriptionName(at: Instance, word: TopicWord, reader: string): string {
  return `${topicName(at, word)}-${reader}`
}

/** `{project}_ztf_alert_avro_bucket`, `{project}-broker_files`, `{project}_ztf-sncosmo`. */
export function bucketName(at: Instance, word: BucketWord): string {
  switch (word) {
    case 'alert_avro_bucket':
      return `${at.project}_${at.survey}_alert_avro_bucket${suffix(at)}`
    case 'broker_files':
      return `${at.project}-broker_files${suffix(at)}`
    case 'sncosmo':
      return `${at.project}_${at.survey}-sncosmo${suffix(at)}`
  }
}

/** The data set of a survey, `ztf_alerts`; BigQuery allows no dash, so an instance joins by `_`. */
export function datasetName({ survey, instance }: Instance): string {
  return instance === undefined ? `${survey}_alerts` : `${survey}_alerts_${instance}`
}

/** The table of a schema version, `alerts_v4_02`; packets that name no version share one table. */
export function alertTableName(version: string | undefined): string {
  if (version === undefined) return 'alerts_unversioned'
  return `alerts_v${version.replaceAll(/[^A-Za-z0-9]+/g, '_')}`
}

/** The Kafka topic of a night's public alerts. */
export function kafkaTopicName(survey: Survey, night: Night): string {
  return survey === 'ztf' ? `ztf_${night}_programid1` : `lsst_${night}`
}

/** A Kafka group always carries survey and instance: two instances must not share partitions. */
export function groupId(at: Instance, user?: string): string {
  const name = `nightjar-${at.survey}-${at.instance ?? 'production'}`
  return user === undefined ? name : `${user}-${name}`
}

/**
 * A group reads one topic: in a group whose members subscribe to different topics, the leader divides
 * only those that it knows, and the others are read by nobody.
 */
export function topicGroup(group: string, kafkaTopic: string): string {
  return `${group}-${kafkaTopic}`
}

/** The service account of a component: `ztf-packets`, `ztf-packets-rc1`; 6 to 30 characters. */
export function accountName(at: Instance, component: string): string {
  return `${at.survey}-${component}${suffix(at)}`
}

/** The Cloud Function of a reader: `ztf-packets`. Second generation names take no underscore. */
export function functionName(at: Instance, reader: string): string {
  return `${at.survey}-${reader.replaceAll('_', '-')}${suffix(at)}`
}

/** `ztf-consumer` and `night-conductor`; a second survey's conductor carries the survey. */
export function machineName(at: Instance, machine: 'consumer' | 'conductor'): string {
  if (machine === 'consumer') return `${at.survey}-consumer${suffix(at)}`
  return `${at.survey === 'ztf' ? '' : `${at.survey}-`}night-conductor${suffix(at)}`
}

/** What is kept secret of a survey: for Kafka, and for who tells alarms. On its machines it is a file of this name. */
export const secretWords = ['krb5-conf', 'krb5-keytab', 'scram', 'webhook', 'mail'] as const

export type SecretWord = (typeof secretWords)[number]

/** A secret of a survey's machines: `ztf-krb5-keytab`. */
export function secretName(at: Instance, secret: SecretWord): string {
  return `${at.survey}-${secret}${suffix(at)}`
}

/** What stands once for all surveys of an instance: `nightjar-network`, `nightjar-network-rc1`. */
export function sharedName(at: Pick<Instance, 'instance'>, thing: string): string {
  return `nightjar-${thing}${suffix(at)}`
}

/** A custom role's id, which takes no dash: `nightjar_archivist_rc1`. */
export function roleName(at: Pick<Instance, 'instance'>, role: string): string {
  return sharedName(at, role).replaceAll('-', '_')
}

/** The bucket of the stack's state, one a project. */
export const stateBucketName = (project: string): string => `${project}-nightjar-state`

/** An archived packet: `{kafka topic}/{objectId}/{candid}.avro`. */
export function archiveName(kafkaTopic: string, objectId: string, candid: bigint): string {
  return `${kafkaTopic}/${objectId}/${candid}.avro`
}

/** Where other bytes under the same identity are kept: `{candid}.{crc32c}.avro`. */
export function archiveBesideName(
  kafkaTopic: string,
  objectId: string,
  candid: bigint,
  crc32c: number,
): string {
  const check = crc32c.toString(16).padStart(8, '0')
  return `${kafkaTopic}/${objectId}/${candid}.${check}.avro`
}

/** The table of the SALT2 fits. */
export const salt2TableName = 'salt2'

/** The stored light curve of an object: one small file in the SALT2 bucket. */
export function lightCurveName(objectId: string): string {
  return `salt2/light_curve/${objectId}.json`
}

/** What was decided of an alert: the light curve that was fitted, and the fit. */
export function fitName(objectId: string, candid: bigint): string {
  return `salt2/fit/${objectId}/${candid}.json`
}

/** The light curve with its fit as a picture, named as the original named it. */
export function plotName(candid: bigint, format: 'png' | 'svg'): string {
  return `salt2/plot_lc/candid_${candid}.${format}`
}
