/**
 * The order in which a folder's files are taken in, written down once: a file that is added later
 * comes after those that were there, so offsets keep their meaning.
 */
import type { Store } from '../../core/ports.ts'

/** Add the names that are new to a partition's listing; answers all of them in their order. */
export async function extendListing(
  store: Store,
  topic: string,
  partition: number,
  names: readonly string[],
): Promise<string[]> {
  const folder = `intake/${topic}/${partition}/`
  const listing: string[] = []
  for await (const { name } of store.list(folder)) {
    const found = await store.read(name)
    if (found !== null) listing.push(...Buffer.from(found.data).toString().split('\n'))
  }
  const known = new Set(listing)
  const fresh = names.filter((name) => !known.has(name))
  if (fresh.length === 0) return listing
  const number = String(listing.length).padStart(12, '0')
  await store.create(`${folder}${number}.txt`, Buffer.from(fresh.join('\n')))
  return [...listing, ...fresh]
}
