/** Gathering what comes one by one into requests of a good size. */

export interface BatchesOptions<T> {
  /** Sends one batch and settles each item by itself; never rejects. */
  send: (items: readonly T[]) => Promise<void>
  bytesOf: (item: T) => number
  /** What the service takes in a request; a single larger item goes alone. */
  maxItems: number
  maxBytes: number
  /** Requests of this size go without waiting for the one before. */
  fullBytes: number
  /** How long an item waits for company while nothing is under way. */
  lingerMs: number
  /** Requests under way at once; what comes beyond waits its turn. */
  maxRequests: number
}

export interface Batches<T> {
  add(item: T): void
  /** Send what waits and resolve when everything added so far is settled. */
  drain(): Promise<void>
}

/**
 * Make the gatherer. Full requests go at once, a partial one when nothing else is under way: so under
 * load nobody waits for a clock, and a lone item waits `lingerMs`.
 */
export function createBatches<T>(options: BatchesOptions<T>): Batches<T> {
  const { send, bytesOf, maxItems, maxBytes, fullBytes, lingerMs, maxRequests } = options
  const waiting: T[] = []
  let waitingBytes = 0
  let timer: NodeJS.Timeout | undefined
  const underWay = new Set<Promise<void>>()

  function pump(partial: boolean): void {
    while (waiting.length > 0 && underWay.size < maxRequests) {
      const full = waitingBytes >= fullBytes || waiting.length >= maxItems
      if (!full && !partial) {
        if (underWay.size === 0) timer ??= setTimeout(lapse, lingerMs)
        return
      }
      const sending = send(takeBatch())
      underWay.add(sending)
      void sending.finally(() => {
        underWay.delete(sending)
        pump(true)
      })
    }
  }

  function lapse(): void {
    timer = undefined
    pump(true)
  }

  function takeBatch(): T[] {
    let bytes = 0
    let count = 0
    for (const item of waiting) {
      const size = bytesOf(item)
      if (count > 0 && (bytes + size > maxBytes || count === maxItems)) break
      bytes += size
      count++
    }
    waitingBytes -= bytes
    return waiting.splice(0, count)
  }

  return {
    add(item) {
      waiting.push(item)
      waitingBytes += bytesOf(item)
      pump(false)
    },
    async drain() {
      clearTimeout(timer)
      timer = undefined
      pump(true)
      while (underWay.size > 0) await Promise.all(underWay)
    },
  }
}
