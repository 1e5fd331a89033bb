/** Sets of candids as sorted columns of 8 bytes each: a night of a million takes 8 MB. */

export interface CandidColumn {
  add(candid: bigint): void
  /** What was added, each once, ascending. */
  sorted(): BigInt64Array
}

export function candidColumn(): CandidColumn {
  let column = new BigInt64Array(1024)
  let length = 0
  return {
    add(candid) {
      if (length === column.length) {
        const wider = new BigInt64Array(length * 2)
        wider.set(column)
        column = wider
      }
      column[length++] = candid
    },
    sorted() {
      const all = column.subarray(0, length).sort()
      let kept = 0
      for (const candid of all) {
        if (kept === 0 || all[kept - 1] !== candid) all[kept++] = candid
      }
      return all.subarray(0, kept)
    },
  }
}

/** How many candids of a difference are named; all are counted. */
export const mostNamed = 10_000

/** What the one sorted column has and the other has not, ascending; the first of it by name. */
export function candidsWithout(
  column: BigInt64Array,
  other: BigInt64Array,
): { count: number; candids: string[] } {
  let count = 0
  const candids: string[] = []
  let at = 0
  for (const candid of column) {
    while (at < other.length && (other[at] ?? 0n) < candid) at++
    if (other[at] === candid) continue
    count++
    if (candids.length < mostNamed) candids.push(String(candid))
  }
  return { count, candids }
}
