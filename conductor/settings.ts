/** What `[conductor]` of the configuration says. */
import { durationOf } from '../core/duration.ts'
import type { Secret, Section } from '../core/settings.ts'
import { defaultRules, type NightRules } from './rules.ts'

export interface ConductorSettings {
  rules: NightRules
  /** Where notices are posted, as JSON with `text`; a secret, since whoever knows it may post. */
  webhook?: Secret
  mail?: MailSettings
  /** Tell in the morning, once, how the night went; without it only alarms are told. */
  summary: boolean
  /** Where the survey publishes what it sent in a night: a URL with `{night}`, of a tar archive. */
  publicArchive?: string
}

/** Who takes in mail for us, and whom it is for. */
export interface MailSettings {
  host: string
  port: number
  /** `starttls` goes on only where the server offers it; `none` sends in the clear. */
  tls: 'starttls' | 'tls' | 'none'
  /** PEM file of the authorities that are trusted instead of the usual ones. */
  ca?: string
  login?: { username: string; password: Secret }
  from: string
  to: string[]
}

const longest = 30 * 24 * 3_600_000

/** How the times of `NightRules` are called in the file. */
export const ruleKeys = {
  lead: 'lead',
  noAlertsAfter: 'no_alerts_after',
  gate: 'gate',
  stable: 'stable',
  runLimit: 'run_limit',
  drainLimit: 'drain_limit',
  auditLimit: 'audit_limit',
  settle: 'settle',
  reauditEvery: 'reaudit_every',
  retention: 'retention',
} as const satisfies Record<keyof NightRules, string>

/** Read the section; what is absent is as usual. Faults are kept by the section. */
export function parseConductor(section: Section | undefined): ConductorSettings {
  const rules = { ...defaultRules }
  if (section === undefined) return { rules, summary: false }
  for (const name of Object.keys(ruleKeys) as (keyof NightRules)[]) {
    const text = section.text(ruleKeys[name], {
      allowed: 'a duration such as "90s", "30m", "12h" or "7d", 30 days at most',
      fits: (written) => (durationOf(written) ?? Infinity) <= longest,
    })
    rules[name] = (text === undefined ? undefined : durationOf(text)) ?? rules[name]
  }
  const webhook = section.has('webhook') ? section.needSecret('webhook') : undefined
  const summary = section.flag('summary') ?? false
  const table = section.section('mail')
  const mail = table && parseMail(table)
  const open = section.section('public')
  const publicArchive = open?.needText('archive', archiveRule)
  open?.end()
  section.end()
  return {
    ...{ rules, summary },
    ...(webhook && { webhook }),
    ...(mail && { mail }),
    ...(publicArchive !== undefined && { publicArchive }),
  }
}

const archiveRule = {
  allowed: 'a URL with {night}, such as "https://example.org/ztf_public_{night}.tar.gz"',
  fits: (text: string) => /^https?:\/\/\S+$/.test(text) && text.includes('{night}'),
}

const address = {
  allowed: 'an address such as "night@example.org"',
  fits: (text: string) => /^[^\s@<>,;"]+@[^\s@<>,;"]+$/.test(text),
}

function parseMail(table: Section): MailSettings {
  const host = table.needText('host', {
    allowed: 'a host such as "smtp.example.org"',
    fits: (text) => /^[\w.:-]+$/.test(text),
  })
  const tls = table.choice('tls', ['starttls', 'tls', 'none']) ?? 'starttls'
  const port = table.whole('port', 1, 65_535) ?? { starttls: 587, tls: 465, none: 25 }[tls]
  const ca = table.text('ca')
  const username = table.text('username')
  const password = username === undefined ? undefined : table.needSecret('password')
  if (password !== undefined && tls === 'none') {
    table.fault('tls', tls, '"starttls" or "tls" where a password is sent')
  }
  const from = table.needText('from', address)
  const to = table.needList('to', address)
  table.end()
  return {
    ...{ host, port, tls, from, to },
    ...(ca !== undefined && { ca }),
    ...(username !== undefined && password !== undefined && { login: { username, password } }),
  }
}
