/** A bucket in memory that keeps the promises of compare-and-set, for tests of what rests on them. */
import { crc32c } from '../core/crc32c.ts'
import type { Store, StoredObject } from '../core/ports.ts'

/** Make an empty store. */
export function memoryStore(): Store {
  const objects = new Map<string, { data: Uint8Array; object: StoredObject }>()
  let generation = 0

  function put(name: string, data: Uint8Array): StoredObject {
    const object = {
      name,
      size: data.length,
      crc32c: crc32c(data),
      generation: String(++generation),
      metadata: {},
    }
    objects.set(name, { data: Uint8Array.from(data), object })
    return object
  }

  return {
    async create(name, data) {
      const there = objects.get(name)
      if (there !== undefined) return { created: false, object: there.object }
      return { created: true, object: put(name, data) }
    },
    async replace(name, data, expected) {
      if ((objects.get(name)?.object.generation ?? null) !== expected) return null
      return put(name, data)
    },
    read: async (name) => objects.get(name) ?? null,
    async *list(prefix) {
      for (const name of [...objects.keys()].sort()) {
        const found = objects.get(name)
        if (found !== undefined && name.startsWith(prefix)) yield found.object
      }
    },
  }
}
