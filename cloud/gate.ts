/**
 * Let no more than `most` works run at once; the rest wait their turn in order. A socket and a copy of
 * its bytes belong to each request, so that thousands at once would cost more than they gain.
 */
export function createGate(most: number): <T>(work: () => Promise<T>) => Promise<T> {
  let running = 0
  const waiting: (() => void)[] = []
  let first = 0

  function release(): void {
    const next = waiting[first]
    if (next === undefined) {
      running--
      return
    }
    // Shifting a long array moves all of it.
    if (++first === waiting.length || first > 1024) {
      waiting.splice(0, first)
      first = 0
    }
    next()
  }

  return async function pass(work) {
    if (running < most) running++
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      release()
    }
  }
}
