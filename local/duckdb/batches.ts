export interface BatchesOptions<T> {
  /** Does one batch. It settles each item by itself and never throws. */
  flush: (items: T[]) => Promise<void>
  maxItems: number
  /** How long the first item waits for company while nothing is under way. */
  lingerMs: number
}

/**
 * Gather items into batches, one under way at a time. While one is under way the next gathers, and
 * goes as soon as the one before is done: under load nobody waits for a clock.
 */
export function createBatches<T>({ flush, maxItems, lingerMs }: BatchesOptions<T>) {
  let waiting: T[] = []
  let underWay: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  async function work(): Promise<void> {
    while (waiting.length > 0) {
      const items = waiting.splice(0, maxItems)
      await flush(items)
    }
    underWay = undefined
  }

  function start(): void {
    clearTimeout(timer)
    timer = undefined
    underWay ??= work()
  }

  return {
    add(item: T): void {
      waiting.push(item)
      if (underWay !== undefined) return
      if (waiting.length >= maxItems) start()
      else timer ??= setTimeout(start, lingerMs)
    },
    /** Resolves when everything added so far is settled. */
    async drain(): Promise<void> {
      if (waiting.length > 0) start()
      await underWay
    },
  }
}
