/**
 * Google's answer to the Machine port: a virtual machine of Compute Engine, which infra/ makes.
 *
 * Each request carries an id of its own, so that one whose answer was lost is not done twice (REST
 * reference: "requestId"), and each operation is waited for: what is answered at once is only that it
 * was begun.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'

import { NightjarError } from '../core/errors.ts'
import type { Machine } from '../core/ports.ts'
import { fault, kindOfFault, type Attempted } from './faults.ts'
import { openRest, type RestRequest } from './rest.ts'
import { retryPassing } from './retry.ts'

export interface MachineOptions {
  project: string
  zone: string
  /** `ztf-consumer`. */
  name: string
  /** `host:port` of what stands in for Compute Engine. */
  emulator?: string
  /** Ends all waiting; what was begun goes on without us. */
  signal?: AbortSignal
  /** When an attempt counts as unanswered. */
  attemptMs?: number
  /** How long a request is tried. */
  giveUpMs?: number
  /** How long a machine may take to start or to stop. */
  waitMs?: number
}

export interface CloudMachine extends Machine {
  /** What it was told at its last start; undefined where it is stopped. */
  metadata(): Promise<Readonly<Record<string, string>> | undefined>
  /** Have it stop and do not wait: for who stands on it. */
  powerOff(): Promise<void>
}

/** An instance, as far as it is read (REST reference: "Resource: Instance"). */
interface Found {
  status?: string
  metadata?: { fingerprint?: string; items?: { key?: string; value?: string }[] }
}

interface Operation {
  name?: string
  status?: string
  error?: { errors?: { code?: string; message?: string }[] }
}

type State = Awaited<ReturnType<Machine['state']>>

/** The life cycle of an instance, in our words. Of SUSPENDED only a person knows why it is. */
const states: Readonly<Record<string, State>> = {
  PENDING: 'starting',
  PROVISIONING: 'starting',
  STAGING: 'starting',
  REPAIRING: 'starting',
  RUNNING: 'running',
  PENDING_STOP: 'stopping',
  STOPPING: 'stopping',
  SUSPENDING: 'stopping',
  DEPROVISIONING: 'stopping',
  SUSPENDED: 'stopped',
  STOPPED: 'stopped',
  TERMINATED: 'stopped',
}

/** `wait` answers after two minutes at the latest (REST reference: zoneOperations.wait). */
const operationMs = 130_000
const pollMs = 2000
/** How often the metadata may be changed under our hands before that is an error. */
const mostRounds = 5

/** The machine of this name. Nothing is asked yet; what is missing is told when it is used. */
export function openMachine(options: MachineOptions): CloudMachine {
  const { project, zone, name, emulator, signal } = options
  const { attemptMs = 30_000, giveUpMs = 60_000, waitMs = 300_000 } = options
  const request = openRest({
    project,
    service: 'https://compute.googleapis.com',
    scope: 'https://www.googleapis.com/auth/compute',
    ...(emulator !== undefined && { emulator }),
  })
  const place = `/compute/v1/projects/${project}/zones/${zone}`
  const attempted = (deed: string): Attempted => ({
    deed: `${deed} machine "${name}"`,
    thing: `machine "${name}" in zone ${zone}`,
    project,
    role: 'the role of the conductor that infra/ makes',
  })
  const failure = (deed: string, why: string): NightjarError =>
    new NightjarError('source_failed', `Cannot ${attempted(deed).deed}: ${why}`)

  async function ask<T>(
    deed: string,
    what: Omit<RestRequest, 'timeoutMs'>,
    ms = attemptMs,
  ): Promise<T> {
    try {
      return await retryPassing(
        (leftMs) => {
          signal?.throwIfAborted()
          const timeoutMs = Math.max(1, Math.min(ms, leftMs))
          return request<T>({ ...what, timeoutMs, ...(signal && { signal }) })
        },
        performance.now() + Math.max(giveUpMs, ms),
      )
    } catch (error) {
      if (signal?.aborted === true) throw failure(deed, 'this program was asked to end')
      const code = kindOfFault(error) === 'forbidden' ? 'access_denied' : 'source_failed'
      throw fault(code, error, attempted(deed))
    }
  }

  const look = (deed: string): Promise<Found> =>
    ask<Found>(deed, { path: `${place}/instances/${name}` })

  /** Begin something with the instance. */
  function begin(deed: string, verb: string, body?: object): Promise<Operation> {
    // Made before the first attempt: those that follow are the same request.
    const path = `${place}/instances/${name}/${verb}?requestId=${randomUUID()}`
    return ask<Operation>(deed, { method: 'POST', path, ...(body && { body }) })
  }

  /** Wait until an operation is done. Throws what it failed of. */
  async function finish(deed: string, begun: Operation, until: number): Promise<void> {
    let operation = begun
    while (operation.status !== 'DONE') {
      if (performance.now() > until) throw failure(deed, `it took more than ${waitMs / 1000} s`)
      const path = `${place}/operations/${operation.name}/wait`
      operation = await ask<Operation>(deed, { method: 'POST', path }, operationMs)
    }
    const [error] = operation.error?.errors ?? []
    if (error !== undefined) throw failure(deed, meaningOf(error, project, zone))
  }

  /** Wait until the instance is in one of these states. */
  async function settled(deed: string, wanted: readonly State[], until: number): Promise<State> {
    for (;;) {
      const state = stateOf(await look(deed))
      if (wanted.includes(state)) return state
      if (performance.now() > until) {
        throw failure(deed, `it is ${state} for more than ${waitMs / 1000} s`)
      }
      await pause(pollMs, undefined, signal && { signal }).catch(() => {})
    }
  }

  /** Tell it beside what it is told otherwise, such as its start-up script. */
  async function tell(facts: Readonly<Record<string, string>>, until: number): Promise<void> {
    const deed = 'set the metadata of'
    for (let round = 0; round < mostRounds; round++) {
      const { fingerprint, items = [] } = (await look(deed)).metadata ?? {}
      const told = new Map(items.map(({ key = '', value = '' }) => [key, value]))
      if (Object.entries(facts).every(([key, value]) => told.get(key) === value)) return
      for (const [key, value] of Object.entries(facts)) told.set(key, value)
      const body = { fingerprint, items: [...told].map(([key, value]) => ({ key, value })) }
      try {
        return await finish(deed, await begin(deed, 'setMetadata', body), until)
      } catch (error) {
        // Somebody else has set them meanwhile ("conditionNotMet"): what they set is kept.
        const { cause } = error as { cause?: unknown }
        if (kindOfFault(cause) !== 'precondition') throw error
      }
    }
    throw failure(deed, `others have changed them ${mostRounds} times meanwhile`)
  }

  return {
    state: async () => stateOf(await look('tell the state of')),
    async metadata() {
      const found = await look('read the metadata of')
      if (stateOf(found) === 'stopped') return undefined
      const items = found.metadata?.items ?? []
      return Object.fromEntries(items.map(({ key = '', value = '' }) => [key, value]))
    },
    async start(metadata) {
      const deed = 'start'
      const until = performance.now() + waitMs
      const found = await look(deed)
      if (found.status === 'SUSPENDED') {
        throw failure(deed, 'it is suspended; resume it, or stop it, by hand')
      }
      let state = stateOf(found)
      if (state === 'starting') state = await settled(deed, ['running', 'stopped'], until)
      if (state === 'stopping') state = await settled(deed, ['stopped', 'running'], until)
      if (state === 'running') return
      await tell(metadata, until)
      await finish(deed, await begin(deed, 'start'), until)
      // What starts may stop at once: its operation was done all the same.
      if ((await settled(deed, ['running', 'stopped'], until)) === 'running') return
      throw failure(deed, 'it stopped at once; see its serial console')
    },
    async stop() {
      const deed = 'stop'
      const until = performance.now() + waitMs
      let state = stateOf(await look(deed))
      if (state === 'stopping') state = await settled(deed, ['stopped'], until)
      if (state === 'stopped') return
      await finish(deed, await begin(deed, 'stop'), until)
      await settled(deed, ['stopped'], until)
    },
    async powerOff() {
      if (stateOf(await look('stop')) !== 'stopped') await begin('stop', 'stop')
    },
  }

  function stateOf({ status = '' }: Found): State {
    const state = states[status]
    if (state !== undefined) return state
    throw failure('tell the state of', `Compute Engine says "${status}", which is not known here`)
  }
}

/** Why an operation failed, with what to do about it (Compute Engine docs: "Resource errors"). */
function meaningOf(
  { code = '', message = '' }: { code?: string; message?: string },
  project: string,
  zone: string,
): string {
  const said = `${code}: ${message}`.replace(/[.\s]+$/, '')
  if (/RESOURCE_POOL_EXHAUSTED|STOCKOUT/.test(code)) {
    return `zone ${zone} has no room for it now; wait, or move it to another zone (${said})`
  }
  if (/QUOTA|RATE_LIMIT/.test(code)) {
    return `a quota of project "${project}" is used up; wait, or ask for more in its quotas page (${said})`
  }
  return said
}
