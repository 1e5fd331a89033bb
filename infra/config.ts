/** What the operator decides, checked whole before anything is synthesised: every fault at once. */
import { NightjarError } from '../core/errors.ts'
import { surveys, type Survey } from '../core/names.ts'
import {
  openSection,
  overlayEnvironment,
  type Environment,
  type Findings,
  type Rule,
  type Section,
} from '../core/settings.ts'

/** A machine that is started by the clock and turns itself off, or a function that the clock calls. */
export type Conducting = 'machine' | 'function'

export interface InfraConfig {
  project: string
  region: string
  zone: string
  /** Absent in production. */
  instance?: string
  surveys: readonly Survey[]
  /** The file of streams that the machines read, from where the deployment's own file is. */
  streams: string
  /** Days that topics and subscriptions keep messages. */
  retentionDays: number
  /** Most instances of one function at a time: the ceiling of what a flood can cost. */
  maxInstances: number
  /** Of both machines of a survey. */
  machineType: string
  /** When a conductor's machine is started, as cron has it, in UTC. */
  tick: string
  /** What drives the nights of each survey. */
  conductor: Readonly<Record<Survey, Conducting>>
  /** Whether named filters run: their readers are delivered every alert, be there a filter or not. */
  filters: boolean
  /** Days after which archived packets go to a colder class, and to the coldest. */
  archive: { nearlineAfterDays: number; archiveAfterDays: number }
  /** Who may attach subscriptions of their own projects to the result topics. */
  subscribers: readonly string[]
  /** Who may query the data sets. */
  analysts: readonly string[]
  /** Where alarms go. */
  notify: readonly string[]
  /** Alarm when a month costs more. Absent: no budget is made. */
  budget?: { billingAccount: string; monthlyDollars: number }
}

const project = rule('a project id', /^[a-z][a-z0-9-]{4,28}[a-z0-9]$/)
const region = rule('a region such as "us-central1"', /^[a-z]+-[a-z]+\d+$/)
const zone = rule('a zone such as "us-central1-a"', /^[a-z]+-[a-z]+\d+-[a-z]$/)
const instance = rule(
  'a letter and up to 14 letters or digits, lower case',
  /^[a-z][a-z0-9]{0,14}$/,
)
const machine = rule('a machine type such as "e2-small"', /^[a-z0-9]+-[a-z0-9-]+$/)
const cron = rule('five fields of cron such as "0 * * * *"', /^[\d*/,-]+( [\w*/,-]+){4}$/)
const survey: Rule = {
  allowed: `one of ${surveys.join(', ')}`,
  fits: (text) => surveys.some((known) => known === text),
}
const conducting: Rule = {
  allowed: '"machine" or "function"',
  fits: (text) => text === 'machine' || text === 'function',
}
/** `allUsers` and `allAuthenticatedUsers` are no principals here. */
const principal = rule(
  'a principal such as "group:astro@example.org"',
  /^(user|group|serviceAccount|domain):[^\s:]+$/,
)
const mail = rule('an e-mail address', /^[^@\s]+@[^@\s]+\.[^@\s]+$/)
const account = rule(
  'a billing account such as "012345-6789AB-CDEF01"',
  /^([0-9A-F]{6}-){2}[0-9A-F]{6}$/,
)

/**
 * Check settings as they were read from the file. `GOOGLE_CLOUD_PROJECT` and `CE_zone` count where it is
 * silent, as they did for the original's set-up. Throws one `config_invalid` that names every fault.
 */
export function checkConfig(settings: unknown, env: Environment): InfraConfig {
  const found: Findings = { faults: [], warnings: [] }
  const silent = { project: env['GOOGLE_CLOUD_PROJECT'], zone: env['CE_zone'] }
  const given = Object.fromEntries(
    Object.entries(silent).filter(([, value]) => value !== undefined),
  )
  const laid = overlayEnvironment(settings, env)
  const whole = typeof laid === 'object' && laid !== null ? { ...given, ...laid } : laid
  const root = openSection(whole, '', env, found)
  const named = root.text('instance', instance)
  const archive = root.section('archive')
  const config: InfraConfig = {
    project: root.needText('project', project),
    region: root.needText('region', region),
    zone: root.needText('zone', zone),
    ...(named !== undefined && { instance: named }),
    surveys: root.needList('surveys', survey) as Survey[],
    streams: root.needText('streams'),
    retentionDays: needWhole(root, 'retention_days', 1, 31),
    maxInstances: needWhole(root, 'max_instances', 1, 1000),
    machineType: root.needText('machine_type', machine),
    tick: root.needText('tick', cron),
    conductor: conductorOf(root),
    filters: root.flag('filters') ?? false,
    archive: {
      nearlineAfterDays: archive ? needWhole(archive, 'nearline_after_days', 0, 3650) : 0,
      archiveAfterDays: archive ? needWhole(archive, 'archive_after_days', 1, 3650) : 1,
    },
    subscribers: root.list('subscribers', principal) ?? [],
    analysts: root.list('analysts', principal) ?? [],
    notify: root.needList('notify', mail),
    ...budgetOf(root),
  }
  if (archive === undefined)
    root.fault('archive', undefined, 'a table: when packets go to colder classes')
  if (config.zone !== '' && !config.zone.startsWith(`${config.region}-`)) {
    root.fault('zone', config.zone, `in the region "${config.region}"`)
  }
  if (config.archive.archiveAfterDays <= config.archive.nearlineAfterDays) {
    archive?.fault(
      'archive_after_days',
      config.archive.archiveAfterDays,
      'more than nearline_after_days',
    )
  }
  for (const key of ['surveys', 'subscribers', 'analysts', 'notify'] as const) {
    // Twice the same would be two resources of one name.
    const names: readonly string[] = config[key]
    names.forEach((one, index) => {
      if (names.indexOf(one) < index) root.fault(`${key}[${index}]`, one, 'named once')
    })
  }
  for (const one of surveys) {
    const told = config.conductor[one]
    if (told === 'machine' || config.surveys.includes(one)) continue
    root.fault(`conductor.${one}`, told, 'of one of the surveys that are named')
  }
  archive?.end()
  root.end()
  if (found.faults.length === 0) return config
  const faults = found.faults.length === 1 ? '1 fault' : `${found.faults.length} faults`
  throw new NightjarError(
    'config_invalid',
    `Cannot take the deployment's configuration: ${faults}\n  ${found.faults.join('\n  ')}`,
  )
}

/** Where nothing is said a machine does it: it logs in to every stream. */
function conductorOf(root: Section): InfraConfig['conductor'] {
  const section = root.section('conductor')
  const of = (one: Survey): Conducting =>
    section?.text(one, conducting) === 'function' ? 'function' : 'machine'
  const conductor = { ztf: of('ztf'), lsst: of('lsst') }
  section?.end()
  return conductor
}

function budgetOf(root: Section): Pick<InfraConfig, 'budget'> {
  const budget = root.section('budget')
  if (budget === undefined) return {}
  const billingAccount = budget.needText('billing_account', account)
  const monthlyDollars = needWhole(budget, 'monthly_dollars', 1, 1_000_000)
  budget.end()
  return { budget: { billingAccount, monthlyDollars } }
}

function needWhole(section: Section, key: string, least: number, most: number): number {
  const value = section.whole(key, least, most)
  if (value === undefined && !section.has(key)) {
    section.fault(key, undefined, `given: a whole number from ${least} to ${most}`)
  }
  return value ?? least
}

function rule(allowed: string, shape: RegExp): Rule {
  return { allowed, fits: (text) => shape.test(text) }
}
