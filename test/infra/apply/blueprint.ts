/** A synthesised stack as a graph: every resource after those it names, `${…}` replaced by what they are. */
export type Fields = Readonly<Record<string, unknown>>

export interface Resource {
  /** `google_pubsub_topic` */
  type: string
  /** `google_pubsub_topic.topic-ztf-ledger` */
  address: string
  fields: Fields
}

type Section = Readonly<Record<string, Readonly<Record<string, Fields>>>>

const reference = /\$\{(?<path>(?:data\.)?[a-z]\w*\.[\w-]+)\.(?<attribute>[^}]+)\}/g

/** The resources of `cdk.tf.json`, data sources among them. Throws for a reference to nothing, and a ring. */
export function resourcesInOrder(text: string): Resource[] {
  const { resource = {}, data = {} } = JSON.parse(text) as { resource?: Section; data?: Section }
  const all = new Map<string, Resource>()
  for (const [prefix, section] of [
    ['', resource],
    ['data.', data],
  ] as const) {
    for (const [type, byId] of Object.entries(section)) {
      for (const [id, { '//': _, ...fields }] of Object.entries(byId)) {
        const address = `${prefix}${type}.${id}`
        all.set(address, { type: `${prefix}${type}`, address, fields })
      }
    }
  }
  const ordered = new Set<Resource>()
  const open = new Set<string>()
  function visit(address: string, from: string): void {
    const found = all.get(address)
    if (found === undefined) throw new Error(`Cannot resolve ${address}, which ${from} names`)
    if (ordered.has(found)) return
    if (open.has(address)) throw new Error(`Cannot order ${[...open, address].join(' → ')}`)
    open.add(address)
    for (const needed of namedBy(found)) visit(needed, address)
    open.delete(address)
    ordered.add(found)
  }
  for (const address of all.keys()) visit(address, 'the stack')
  return [...ordered]
}

function namedBy({ fields }: Resource): string[] {
  const after = (fields['depends_on'] ?? []) as string[]
  const named = JSON.stringify(fields).matchAll(reference)
  return [...after, ...[...named].flatMap((match) => match.groups?.['path'] ?? [])]
}

/** The arguments with each reference replaced; `valueOf` knows what a resource answers. */
export function resolved(
  fields: Fields,
  valueOf: (address: string, attribute: string) => string,
): Fields {
  const replaced = (value: unknown): unknown => {
    if (typeof value === 'string') {
      return value.replaceAll(reference, (_, path: string, attribute: string) =>
        valueOf(path, attribute),
      )
    }
    if (Array.isArray(value)) return value.map(replaced)
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, replaced(inner)]))
  }
  const { depends_on: _, lifecycle: __, ...own } = fields
  return replaced(own) as Fields
}
