/** What `[conductor]` of the configuration says. */
import { durationOf } from '../core/duration.ts'
import type { Secret, Section } from '../core/settings.ts'
import { defaultRules, type NightRules } from './rules.ts'

export interface ConductorSettings {
  rules: NightRules
  /** Where alarms are posted, as JSON with `text`; a secret, since whoever knows it may post. */
  webhook?: Secret
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
  if (section === undefined) return { rules }
  for (const name of Object.keys(ruleKeys) as (keyof NightRules)[]) {
    const text = section.text(ruleKeys[name], {
      allowed: 'a duration such as "90s", "30m", "12h" or "7d", 30 days at most',
      fits: (written) => (durationOf(written) ?? Infinity) <= longest,
    })
    rules[name] = (text === undefined ? undefined : durationOf(text)) ?? rules[name]
  }
  const webhook = section.has('webhook') ? section.needSecret('webhook') : undefined
  section.end()
  return { rules, ...(webhook !== undefined && { webhook }) }
}
