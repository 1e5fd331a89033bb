import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, test } from 'node:test'

import { packages, production, skipWithoutPackages, synthesised } from './stacks.ts'

/**
 * The provider itself is not to be had everywhere, but its bindings carry its schema, as jsii wrote it
 * down: every argument of every resource, and whether it may be absent. It does not know what values are
 * allowed, nor which arguments exclude each other.
 */
interface Assembly {
  types: Record<string, Struct>
}

interface Struct {
  interfaces?: string[]
  properties?: { name: string; optional?: boolean; type: Reference }[]
}

interface Reference {
  fqn?: string
  collection?: { elementtype: Reference }
  union?: { types: Reference[] }
}

const provider = '@cdktf/provider-google'
const meta = new Set([
  '//',
  'depends_on',
  'lifecycle',
  'count',
  'for_each',
  'provider',
  'connection',
  'provisioner',
])

let types: Assembly['types'] = {}
before(() => {
  if (skipWithoutPackages) return
  types = (JSON.parse(readFileSync(join(packages, provider, '.jsii'), 'utf8')) as Assembly).types
})

/** Arguments lose their underscores in the bindings, and reserved words gain `Attribute`. */
const plain = (name: string): string =>
  name
    .replaceAll('_', '')
    .replace(/Attribute$/, '')
    .toLowerCase()

function propertiesOf(struct: Struct): NonNullable<Struct['properties']> {
  const inherited = (struct.interfaces ?? []).flatMap((name) => {
    const base = name.startsWith(provider) ? types[name] : undefined
    return base === undefined ? [] : propertiesOf(base)
  })
  return [...(struct.properties ?? []), ...inherited]
}

/** The struct behind a type, if it is one of the provider's. */
function structOf(type: Reference): Struct | undefined {
  if (type.fqn !== undefined) return type.fqn.startsWith(provider) ? types[type.fqn] : undefined
  if (type.collection) return structOf(type.collection.elementtype)
  return type.union?.types.map(structOf).find((found) => found?.properties !== undefined)
}

function faultsOf(value: unknown, struct: Struct, path: string): string[] {
  if (Array.isArray(value))
    return value.flatMap((item, i) => faultsOf(item, struct, `${path}[${i}]`))
  if (typeof value !== 'object' || value === null) return []
  const known = new Map(propertiesOf(struct).map((property) => [plain(property.name), property]))
  const given = Object.entries(value).filter(([name]) => !meta.has(name))
  const faults = given.flatMap(([name, inner]) => {
    const property = known.get(plain(name))
    if (property === undefined) return [`${path}.${name} is no argument`]
    const below = structOf(property.type)
    return below === undefined ? [] : faultsOf(inner, below, `${path}.${name}`)
  })
  const names = new Set(given.map(([name]) => plain(name)))
  for (const [name, { optional }] of known) {
    if (optional !== true && !names.has(name)) faults.push(`${path} lacks ${name}`)
  }
  return faults
}

/** `google_pubsub_topic` → `@cdktf/provider-google.pubsubTopic.PubsubTopicConfig`. */
function configOf(type: string): Struct | undefined {
  const wanted = plain(`${type.replace(/^google_/, '')}Config`)
  const name = Object.keys(types).find((fqn) => {
    const [, module = '', last = ''] = fqn.slice(provider.length).split('.')
    return plain(last) === wanted && `${plain(module)}config` === wanted
  })
  return name === undefined ? undefined : types[name]
}

test(
  'every argument of every resource is one of the provider, and none that it needs is absent',
  { skip: skipWithoutPackages },
  async () => {
    const { all } = await synthesised(production)
    const faults = all.flatMap(({ type, address, fields }) => {
      const struct = configOf(type)
      return struct === undefined
        ? [`${address}: the provider has no ${type}`]
        : faultsOf(fields, struct, address)
    })
    assert.deepEqual(faults, [])
  },
)

test(
  'the check itself sees a mistyped and an absent argument',
  { skip: skipWithoutPackages },
  () => {
    const topic = configOf('google_pubsub_topic')
    const subscription = configOf('google_pubsub_subscription')
    assert.ok(topic && subscription)
    assert.deepEqual(faultsOf({ nam: 'x' }, topic, 't'), ['t.nam is no argument', 't lacks name'])
    const given = { name: 'x', topic: 'y', dead_letter_policy: { max_delivery_atempts: 5 } }
    assert.deepEqual(faultsOf(given, subscription, 's'), [
      's.dead_letter_policy.max_delivery_atempts is no argument',
    ])
  },
)
