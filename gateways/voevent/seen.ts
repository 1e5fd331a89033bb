/** What was accepted before: the guard against loops, and against an author's second try. */
export interface SeenStore {
  has(identity: string): boolean
  /** When it returns, the end of the process does not forget it. */
  add(identity: string, at: Date): void
  close(): void
}

/** How long an event is remembered; it is Comet's. */
export const rememberedMs = 30 * 24 * 3_600_000

/** A store that forgets with the process. */
export function memorySeen(now: () => number = Date.now): SeenStore {
  const seen = new Map<string, number>()
  return {
    has(identity) {
      const at = seen.get(identity)
      return at !== undefined && now() - at < rememberedMs
    },
    add: (identity, at) => void seen.set(identity, at.getTime()),
    close: () => seen.clear(),
  }
}
