/** A queue of what is yet to arrive, by time: a binary heap. Equal times leave in the order they came. */
export interface Arrivals<T> {
  push(at: number, item: T): void
  /** The next one, if it arrives before `until`. */
  take(until: number): { at: number; item: T } | undefined
}

interface Entry<T> {
  at: number
  order: number
  item: T
}

export function createArrivals<T>(): Arrivals<T> {
  const heap: Entry<T>[] = []
  let order = 0

  return {
    push(at, item) {
      heap.push({ at, order: order++, item })
      let child = heap.length - 1
      while (child > 0) {
        const parent = (child - 1) >> 1
        if (!swapIfLater(heap, parent, child)) break
        child = parent
      }
    },
    take(until) {
      const first = heap[0]
      if (first === undefined || first.at >= until) return undefined
      const last = heap.pop() as Entry<T>
      if (heap.length > 0) {
        heap[0] = last
        sink(heap)
      }
      return first
    },
  }
}

function sink<T>(heap: Entry<T>[]): void {
  let parent = 0
  for (;;) {
    const left = 2 * parent + 1
    if (left >= heap.length) return
    const right = left + 1
    const child = right < heap.length && isLater(heap, left, right) ? right : left
    if (!swapIfLater(heap, parent, child)) return
    parent = child
  }
}

function isLater<T>(heap: readonly Entry<T>[], a: number, b: number): boolean {
  const [x, y] = [heap[a] as Entry<T>, heap[b] as Entry<T>]
  return x.at > y.at || (x.at === y.at && x.order > y.order)
}

function swapIfLater<T>(heap: Entry<T>[], parent: number, child: number): boolean {
  if (!isLater(heap, parent, child)) return false
  const kept = heap[parent] as Entry<T>
  heap[parent] = heap[child] as Entry<T>
  heap[child] = kept
  return true
}
