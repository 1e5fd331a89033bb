/**
 * A queue bounded by bytes, between the fetching and the relaying: where it is full the fetching
 * waits, so that a slow destination slows the broker down and does not fill the memory.
 */
export interface Queue<T> {
  /** Put in, whatever room there is: ask for it before. */
  put(item: T, bytes?: number): void
  hasRoom(): boolean
  /** Resolves when there is room, or after `ms`, or when the queue is closed. */
  room(ms: number): Promise<void>
  /** Throw out what `unwanted` says yes to. */
  drop(unwanted: (item: T) => boolean): void
  /** No more comes: what is in it is still taken out, then the iteration ends. */
  end(): void
  /** The iteration throws at once. */
  fail(error: unknown): void
  /** How many were taken out, ever. */
  taken(): number
  isEmpty(): boolean
  items(signal: AbortSignal): AsyncGenerator<T>
}

/** Make a queue that has room while it holds fewer than `maxBytes`. */
export function createQueue<T>(maxBytes: number): Queue<T> {
  let held: ({ item: T; bytes: number } | undefined)[] = []
  let head = 0
  let bytes = 0
  let taken = 0
  let ended = false
  let failure: { error: unknown } | undefined
  let wakeTaker = (): void => {}
  const waiting = new Set<() => void>()

  const release = (): void => {
    for (const wake of waiting) wake()
    waiting.clear()
  }

  return {
    put(item, size = 0) {
      held.push({ item, bytes: size })
      bytes += size
      wakeTaker()
    },
    hasRoom: () => bytes < maxBytes,
    room(ms) {
      return new Promise((resolve) => {
        const wake = (): void => {
          clearTimeout(timer)
          waiting.delete(wake)
          resolve()
        }
        const timer = setTimeout(wake, ms)
        waiting.add(wake)
      })
    },
    drop(unwanted) {
      held = held.slice(head).filter((one) => one !== undefined && !unwanted(one.item))
      head = 0
      bytes = held.reduce((sum, one) => sum + (one?.bytes ?? 0), 0)
      release()
    },
    end() {
      ended = true
      release()
      wakeTaker()
    },
    fail(error) {
      failure ??= { error }
      release()
      wakeTaker()
    },
    taken: () => taken,
    isEmpty: () => head >= held.length,
    async *items(signal) {
      const stop = (): void => wakeTaker()
      signal.addEventListener('abort', stop)
      try {
        while (!signal.aborted) {
          if (failure !== undefined) throw failure.error
          const next = held[head]
          if (next === undefined) {
            if (ended) return
            await new Promise<void>((resolve) => (wakeTaker = resolve))
            continue
          }
          held[head++] = undefined
          if (head > 1024 && head * 2 > held.length) {
            held = held.slice(head)
            head = 0
          }
          bytes -= next.bytes
          taken++
          if (bytes < maxBytes) release()
          yield next.item
        }
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },
  }
}
