/** What `nightjar doctor` says of a thing, and how a refusal becomes such a saying. */
import { fault, kindOfFault } from '../faults.ts'

export interface Finding {
  /** What was looked at: `subscription ztf_alert_data-packets`. */
  thing: string
  /** `note`: it works, but not as well as it could; or it could not be told. */
  state: 'ok' | 'note' | 'fault'
  /** What was found, and what to do about it where it is not well. */
  said: string
}

/** One thing that is not as it should be. */
export interface Wrong {
  state: 'note' | 'fault'
  said: string
}

/** Where a thing keeps its data: `us-central1`. */
export interface Place {
  thing: string
  region: string
}

export const stack = 'make it with the stack of infra/'

/** The finding of a thing: all that is wrong with it, or that it is well. */
export function findingOf(thing: string, wrong: readonly Wrong[], well: string): Finding {
  if (wrong.length === 0) return { thing, state: 'ok', said: well }
  const state = wrong.some((one) => one.state === 'fault') ? 'fault' : 'note'
  return { thing, state, said: wrong.map(({ said }) => said).join('; ') }
}

/**
 * Which of some permissions this account lacks, as a fault that names them, the resource and the role. A
 * service may say that all are there where it cannot tell (BigQuery's page of `testIamPermissions`: "may fail
 * open"), so that only what is lacking is sure.
 */
export async function lacking(
  wanted: readonly string[],
  { what, role }: { what: string; role: string },
  test: (wanted: string[]) => Promise<readonly string[]>,
): Promise<Wrong[]> {
  const granted = await test([...wanted])
  const missing = wanted.filter((permission) => !granted.includes(permission))
  if (missing.length === 0) return []
  const said = `this account lacks ${missing.join(', ')}: grant it ${role} on ${what}`
  return [{ state: 'fault', said }]
}

/** The permissions that one of the SDKs says are held. */
export const held = ([granted]: [Record<string, boolean>, ...unknown[]]): string[] =>
  Object.keys(granted).filter((permission) => granted[permission] === true)

/** The finding of a thing that could not be looked at. */
export function failed(
  thing: string,
  error: unknown,
  { project, what, role }: { project: string; what: string; role: string },
): Finding {
  if (kindOfFault(error) === 'missing') {
    return { thing, state: 'fault', said: `project "${project}" has no ${what}: ${stack}` }
  }
  const deed = `look at ${thing}`
  const { message } = fault('source_failed', error, { deed, thing: what, project, role })
  return { thing, state: 'fault', said: message }
}
