/** What a program in the cloud is told by its environment, read once and with every fault at once. */
import { NightjarError, sentenceOf } from './errors.ts'
import { parseInstance, parseSurvey, type Instance } from './names.ts'

/** `host:port` of emulators, where they stand in for Google's services. */
export interface Emulators {
  pubsub?: string
  storage?: string
  bigquery?: string
  /** BigQuery's Storage Write API, which speaks gRPC on a port of its own. */
  bigqueryStorage?: string
  /** What stands in for Compute Engine and Cloud Monitoring, of which Google has no emulators. */
  compute?: string
  monitoring?: string
}

export interface Environment {
  at: Instance
  /** Where the machines stand, such as `us-central1-a`; only who starts and stops them must know. */
  zone?: string
  emulators: Emulators
}

type Env = Readonly<Record<string, string | undefined>>

/** The variables that are read, and what each is for. */
export const variables = {
  project: 'GOOGLE_CLOUD_PROJECT',
  survey: 'NIGHTJAR_SURVEY',
  instance: 'NIGHTJAR_INSTANCE',
  pubsub: 'PUBSUB_EMULATOR_HOST',
  storage: 'STORAGE_EMULATOR_HOST',
  bigquery: 'BIGQUERY_EMULATOR_HOST',
  bigqueryStorage: 'BIGQUERY_STORAGE_EMULATOR_HOST',
  compute: 'COMPUTE_EMULATOR_HOST',
  monitoring: 'MONITORING_EMULATOR_HOST',
  zone: 'NIGHTJAR_ZONE',
} as const

const services = [
  'pubsub',
  'storage',
  'bigquery',
  'bigqueryStorage',
  'compute',
  'monitoring',
] as const

/** Read the environment. Throws one `config_invalid` that names every fault. */
export function parseEnvironment(env: Env): Environment {
  const faults: string[] = []
  const attempt = <T>(parse: () => T, otherwise: T): T => {
    try {
      return parse()
    } catch (error) {
      faults.push(sentenceOf(error).replace(/^Cannot take /, ''))
      return otherwise
    }
  }
  const project = env[variables.project] ?? ''
  const survey = env[variables.survey] ?? 'ztf'
  const instance = env[variables.instance] ?? ''
  // Google: "6 to 30 lowercase letters, digits, or hyphens"; emulators take shorter ones.
  if (project === '') faults.push(`${variables.project} is not set`)
  else if (!/^([a-z0-9.-]+:)?[a-z][a-z0-9-]{0,29}$/.test(project)) {
    faults.push(`${variables.project} "${project}" is no project id`)
  }
  const at: Instance = {
    project,
    survey: attempt(() => parseSurvey(survey), 'ztf'),
    ...(instance !== '' && { instance: attempt(() => parseInstance(instance), '') }),
  }
  const zone = env[variables.zone] ?? ''
  if (zone !== '' && !/^[a-z]+-[a-z]+\d+-[a-z]$/.test(zone)) {
    faults.push(`${variables.zone} "${zone}" is no zone such as us-central1-a`)
  }
  const emulators: Emulators = {}
  for (const service of services) {
    const host = (env[variables[service]] ?? '').replace(/^https?:\/\//, '').replace(/\/$/, '')
    if (host === '') continue
    if (/^[\w.-]+:\d{1,5}$/.test(host)) emulators[service] = host
    else faults.push(`${variables[service]} "${host}" is no host:port`)
  }
  if (faults.length === 0) return { at, emulators, ...(zone !== '' && { zone }) }
  throw new NightjarError('config_invalid', `Cannot read the environment: ${faults.join('; ')}`)
}
