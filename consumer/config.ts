/**
 * What a person says about the streams that are taken in: one typed file (`nightjar.toml`) and the
 * environment. This reads the plain object of it; `cli/config.ts` reads the file.
 */
import { NightjarError } from '../core/errors.ts'
import { groupId, surveys, type Instance, type Survey } from '../core/names.ts'
import type { Night } from '../core/night.ts'
import { showSecret, type Secret } from './secret.ts'
import {
  openSection,
  overlayEnvironment,
  type Environment,
  type Findings,
  type Rule,
  type Section,
} from '../core/settings.ts'

/** One Kafka stream of alerts. */
export interface Stream {
  name: string
  /** Whose alerts they are, and so to which topics they go; or in whose home they are kept. */
  survey: Survey
  /**
   * Where the records go that are no alerts of the survey, such as GCN's notices: a topic of this name,
   * which no stage reads. Each is in the ledger as published, under the night of none.
   */
  relayTo?: string
  /** `host:port` of one or more brokers; the cluster tells of the others. */
  brokers: readonly string[]
  /** Kafka topics by their exact names; `{night}` in one stands for YYYYMMDD. */
  topics: readonly string[]
  clientId: string
  /** Put before the group id. LSST asks for the user's name. */
  groupPrefix?: string
  tls?: Tls
  sasl?: Sasl
  registry?: Registry
}

export interface Tls {
  /** PEM file of the authorities to trust, instead of the system's. */
  ca?: string
  /** PEM files of the client's own certificate and key, where the brokers ask for them. */
  cert?: string
  key?: string
  passphrase?: Secret
  /** The name to expect in the brokers' certificates, where it is not the host's. */
  serverName?: string
}

export type Sasl = PasswordSasl | TokenSasl | OauthSasl | GssapiSasl

export interface PasswordSasl {
  mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  username: string
  password: Secret
}

/** OAUTHBEARER with a token that somebody else keeps fresh. */
export interface TokenSasl {
  mechanism: 'oauthbearer'
  token: Secret
}

/** OAUTHBEARER with tokens from an endpoint, by client credentials (RFC 6749 §4.4). */
export interface OauthSasl {
  mechanism: 'oauthbearer'
  tokenEndpoint: string
  clientId: string
  clientSecret: Secret
  scope?: string
}

/** Kerberos. */
export interface GssapiSasl {
  mechanism: 'gssapi'
  /** First part of the brokers' principals, `kafka/host@REALM`. */
  service: string
  /** Whom to be; without it, the only principal of the keytab, or of the ticket cache. */
  principal?: string
  /** Without it, the ticket cache that `kinit` fills. */
  keytab?: string
  /** Instead of /etc/krb5.conf. */
  krb5Config?: string
  /** Names of principals for brokers that advertise another host than the one in their principal. */
  hosts: Readonly<Record<string, string>>
}

/** A Confluent schema registry. */
export interface Registry {
  url: string
  username?: string
  password?: Secret
}

export interface Config {
  /** Absent in production. */
  instance?: string
  streams: Readonly<Record<string, Stream>>
  /** Where `/metrics` and `/healthz` are served. */
  metrics?: { host: string; port: number }
}

const address: Rule = {
  allowed: 'host:port, such as "kafka.example.org:9092"',
  fits: (text) => parseAddress(text) !== undefined,
}
const word: Rule = {
  allowed: 'letters, digits, ".", "_" and "-"',
  fits: (text) => /^[A-Za-z0-9._-]{1,200}$/.test(text),
}
const topic: Rule = {
  allowed: 'a Kafka topic such as "ztf_{night}_programid1": letters, digits, ".", "_", "-"',
  fits: (text) => /^[A-Za-z0-9._-]{1,249}$/.test(text.replaceAll('{night}', '20261121')),
}
/** Google's rules for the name of a topic. */
const ownTopic: Rule = {
  allowed:
    'a topic such as "gcn_notices": 3 to 200 of letters, digits, ".", "_", "-", a letter first',
  fits: (text) => /^(?!goog)[A-Za-z][A-Za-z0-9._-]{2,199}$/.test(text),
}
const principal: Rule = {
  allowed: 'a principal such as "reader@KAFKA.SECURE"',
  fits: (text) => /^[^@\s]+@[^@\s/]+$/.test(text),
}
const url: Rule = {
  allowed: 'an https:// URL without a password; http:// only on this machine',
  fits: isSafeUrl,
}
const instanceName: Rule = {
  allowed: 'a letter and up to 14 letters or digits, lower case',
  fits: (text) => /^[a-z][a-z0-9]{0,14}$/.test(text),
}

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512', 'oauthbearer', 'gssapi'] as const

/**
 * Read settings. Answers the configuration and what is unwise in it; throws one `config_invalid` that
 * names every fault with its path, the value (never a secret) and what is allowed. `others` reads the
 * sections of other programs, by their names, so that all faults are told at once.
 */
export function parseConfig(
  settings: unknown,
  env: Environment,
  others: Readonly<Record<string, (section: Section | undefined) => void>> = {},
): { config: Config; warnings: string[] } {
  const found: Findings = { faults: [], warnings: [] }
  const root = openSection(overlayEnvironment(settings, env), '', env, found)
  const instance = root.text('instance', instanceName)
  const streams: Record<string, Stream> = {}
  for (const [name, section] of root.section('streams')?.sections() ?? []) {
    if (!/^[a-z][a-z0-9_-]{0,40}$/.test(name)) {
      section.fault('name', name, 'a letter and up to 40 letters, digits, "_" or "-", lower case')
    }
    streams[name] = parseStream(name, section, found)
  }
  const metrics = parseMetrics(root.section('metrics'))
  for (const [name, read] of Object.entries(others)) read(root.section(name))
  root.end()
  if (found.faults.length > 0) {
    const faults = found.faults.length === 1 ? '1 fault' : `${found.faults.length} faults`
    throw new NightjarError(
      'config_invalid',
      `Cannot take the configuration: ${faults}\n  ${found.faults.join('\n  ')}`,
    )
  }
  const config: Config = {
    streams,
    ...(instance !== undefined && { instance }),
    ...(metrics !== undefined && { metrics }),
  }
  return { config, warnings: found.warnings }
}

/** A stream by its name. Throws `config_invalid` with the names there are. */
export function streamOf(config: Config, name: string): Stream {
  const stream = Object.hasOwn(config.streams, name) ? config.streams[name] : undefined
  if (stream !== undefined) return stream
  const names = Object.keys(config.streams)
  throw new NightjarError(
    'config_invalid',
    `Cannot take stream "${name}": ${names.length === 0 ? 'no stream is configured' : `configured are ${names.join(', ')}`}`,
  )
}

/** The Kafka topics of a stream in a night; those that are not nightly are the same every night. */
export function topicsOfStream(stream: Stream, night: Night): string[] {
  return stream.topics.map((name) => name.replaceAll('{night}', night))
}

/** The consumer group of a stream: it carries survey and instance, and what the survey asks for. */
export function groupOfStream(stream: Stream, at: Instance): string {
  return groupId(at, stream.groupPrefix)
}

/** The host and port of `host:port` or `[::1]:port`; undefined where it is neither. */
export function parseAddress(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  return host !== undefined && port <= 65535 ? { host, port } : undefined
}

/** A configuration as a person may see it: every secret by its place only. */
export function showConfig(config: Config): unknown {
  return mask(config)
}

function parseStream(name: string, section: Section, found: Findings): Stream {
  const relayTo = section.text('to', ownTopic)
  const asksSurvey = section.has('to') ? section.choice : section.needChoice
  const survey = asksSurvey('survey', surveys) ?? 'ztf'
  const brokers = section.needList('brokers', address)
  const topics = section.needList('topics', topic)
  if (section.has('to') && topics.some((one) => one.includes('{night}'))) {
    section.fault(
      'topics',
      topics,
      'the same every night where `to` is given: only alerts have nights',
    )
  }
  const clientId = section.text('client_id', word) ?? 'nightjar'
  const tls = parseTls(section)
  const saslSection = section.section('sasl')
  const sasl = saslSection && parseSasl(saslSection)
  const asked = section.text('group_prefix', word)
  const groupPrefix =
    asked ?? (survey === 'lsst' && sasl && 'username' in sasl ? sasl.username : undefined)
  const registrySection = section.section('registry')
  const registry = registrySection && parseRegistry(registrySection)
  section.end()
  if (tls === undefined && (sasl?.mechanism === 'plain' || sasl?.mechanism === 'oauthbearer')) {
    found.warnings.push(
      `${section.path}: ${sasl.mechanism} without TLS sends the ` +
        `${sasl.mechanism === 'plain' ? 'password' : 'token'} in the clear; set tls = true`,
    )
  }
  return {
    name,
    survey,
    ...(relayTo !== undefined && { relayTo }),
    brokers,
    topics,
    clientId,
    ...(groupPrefix !== undefined && { groupPrefix }),
    ...(tls !== undefined && { tls }),
    ...(sasl !== undefined && { sasl }),
    ...(registry !== undefined && { registry }),
  }
}

/** `tls = true`, or a table of files. */
function parseTls(stream: Section): Tls | undefined {
  if (!stream.isTable('tls')) return stream.flag('tls') === true ? {} : undefined
  const section = stream.section('tls')
  if (section === undefined) return undefined
  const ca = section.text('ca')
  const cert = section.text('cert')
  const key = section.text('key')
  const passphrase = section.has('passphrase') ? section.needSecret('passphrase') : undefined
  const serverName = section.text('server_name', word)
  if ((cert === undefined) !== (key === undefined)) {
    section.fault(cert === undefined ? 'cert' : 'key', undefined, 'given with the other of the two')
  }
  section.end()
  return {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(passphrase !== undefined && { passphrase }),
    ...(serverName !== undefined && { serverName }),
  }
}

function parseSasl(section: Section): Sasl | undefined {
  const mechanism = section.needChoice('mechanism', mechanisms)
  // What else is needed depends on the mechanism, so without one nothing more can be said.
  if (mechanism === undefined) return undefined
  const sasl = parseMechanism(section, mechanism)
  section.end()
  return sasl
}

function parseMechanism(section: Section, mechanism: (typeof mechanisms)[number]): Sasl {
  switch (mechanism) {
    case 'plain':
    case 'scram-sha-256':
    case 'scram-sha-512': {
      const username = section.needText('username')
      return { mechanism, username, password: section.needSecret('password') }
    }
    case 'oauthbearer': {
      if (section.has('token')) return { mechanism, token: section.needSecret('token') }
      const tokenEndpoint = section.needText('token_endpoint', url)
      const clientId = section.needText('client_id')
      const clientSecret = section.needSecret('client_secret')
      const scope = section.text('scope')
      return {
        mechanism,
        tokenEndpoint,
        clientId,
        clientSecret,
        ...(scope !== undefined && { scope }),
      }
    }
    case 'gssapi': {
      const service = section.text('service', word) ?? 'kafka'
      const name = section.text('principal', principal)
      const keytab = section.text('keytab')
      const krb5Config = section.text('krb5_config')
      const hosts: Record<string, string> = {}
      const mapped = section.section('hosts')
      for (const host of mapped?.keys() ?? []) hosts[host] = mapped?.needText(host, word) ?? ''
      return {
        mechanism,
        service,
        hosts,
        ...(name !== undefined && { principal: name }),
        ...(keytab !== undefined && { keytab }),
        ...(krb5Config !== undefined && { krb5Config }),
      }
    }
  }
}

function parseRegistry(section: Section): Registry {
  const at = section.needText('url', url)
  const username = section.text('username')
  const password = section.has('password') ? section.needSecret('password') : undefined
  if ((username === undefined) !== (password === undefined)) {
    const absent = username === undefined ? 'username' : 'password'
    section.fault(absent, undefined, 'given with the other of the two')
  }
  section.end()
  return {
    url: at.replace(/\/+$/, ''),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
  }
}

function parseMetrics(section: Section | undefined): Config['metrics'] {
  const listen = section?.text('listen', {
    allowed: 'host:port, such as "127.0.0.1:9464"',
    fits: (text) => parseAddress(text) !== undefined,
  })
  section?.end()
  return listen === undefined ? undefined : parseAddress(listen)
}

/** Tokens and passwords travel to it: only over TLS, but for a server on this machine. */
function isSafeUrl(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  if (username !== '' || password !== '') return false
  if (protocol === 'https:') return true
  return protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname)
}

function mask(value: unknown): unknown {
  if (isSecret(value)) return showSecret(value)
  if (Array.isArray(value)) return value.map(mask)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mask(one)]))
}

function isSecret(value: unknown): value is Secret {
  if (typeof value !== 'object' || value === null || !('from' in value)) return false
  return ['file', 'env', 'inline'].includes(String(value.from))
}
