/** Stacks as JSON, synthesised from a configuration with bundles that hold nothing. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'

import type { Bundles } from '../../infra/bundles.ts'
import type { InfraConfig } from '../../infra/config.ts'
import { skipWithout } from '../data.ts'

export type Fields = Record<string, unknown>

/** Resource type → its id in the stack → its arguments. */
export interface Synthesised {
  text: string
  resources: Record<string, Record<string, Fields>>
  /** Every resource with its address, `google_pubsub_topic.topic-ztf-ledger`. */
  all: { type: string; address: string; fields: Fields }[]
}

export const production: InfraConfig = {
  project: 'my-project',
  region: 'us-central1',
  zone: 'us-central1-a',
  surveys: ['ztf', 'lsst'],
  streams: resolve(import.meta.dirname, '../../infra/streams.toml'),
  retentionDays: 7,
  maxInstances: 20,
  machineType: 'e2-small',
  tick: '0 * * * *',
  // One of each kind: Kerberos needs the machine.
  conductor: { ztf: 'machine', lsst: 'function' },
  filters: true,
  archive: { nearlineAfterDays: 30, archiveAfterDays: 365 },
  subscribers: ['group:brokers@example.org'],
  analysts: ['group:astronomers@example.org'],
  notify: ['operator@example.org'],
  budget: { billingAccount: '012345-6789AB-CDEF01', monthlyDollars: 500 },
}

/** The stack's packages are its own; `make peers` installs them. */
export const packages = resolve(import.meta.dirname, '../../infra/node_modules')

export const skipWithoutPackages = skipWithout(join(packages, 'cdktf'), '"make peers" installs it')

const made = new Map<string, Promise<Synthesised>>()

/** The stack of a configuration, synthesised once. */
export function synthesised(config: InfraConfig): Promise<Synthesised> {
  const key = JSON.stringify(config)
  const known = made.get(key) ?? synthesise(config)
  made.set(key, known)
  return known
}

/** Synthesise one instance. */
export async function synthesise(config: InfraConfig): Promise<Synthesised> {
  const [, instance] = await everyStack(config)
  const text = instance?.text ?? ''
  const { resource } = JSON.parse(text) as { resource: Synthesised['resources'] }
  const all = Object.entries(resource).flatMap(([type, byId]) =>
    Object.entries(byId).map(([id, fields]) => ({ type, address: `${type}.${id}`, fields })),
  )
  return { text, resources: resource, all }
}

/** Every stack of a configuration, the bootstrap first. */
export async function everyStack(config: InfraConfig): Promise<{ name: string; text: string }[]> {
  const stacks = await import('../../infra/synth.ts')
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-infra-'))
  try {
    return stacks.synthesise(config, bundlesOfNothing(folder), join(folder, 'out'))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function bundlesOfNothing(folder: string): Bundles {
  const put = (name: string): { path: string; name: string } => {
    const path = join(folder, basename(name))
    writeFileSync(path, name)
    return { path, name }
  }
  return {
    of: (stage) => put(`${stage}-0123456789abcdef.zip`),
    machine: () => put(`nightjar-${'0123456789abcdef'.repeat(4)}.tar.gz`),
  }
}
