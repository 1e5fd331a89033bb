/** Room that many share: bytes taken and given back, and a wait until there is some again. */
export interface Room {
  take(bytes: number): void
  give(bytes: number): void
  full(): boolean
  /** Resolves when at least half of the room is free. */
  wait(): Promise<void>
}

/** Make room for so many bytes. */
export function createRoom(most: number): Room {
  let taken = 0
  let waiting: (() => void)[] = []
  return {
    take(bytes) {
      taken += bytes
    },
    give(bytes) {
      taken -= bytes
      if (waiting.length === 0 || taken > most / 2) return
      const all = waiting
      waiting = []
      for (const resolve of all) resolve()
    },
    full: () => taken > most,
    wait: () => new Promise((resolve) => waiting.push(resolve)),
  }
}
