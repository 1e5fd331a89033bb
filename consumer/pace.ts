/** Hold a loop to a number of turns a second, without bursts above a tenth of a second's worth. */
export function createPace(rate: number | undefined): (signal: AbortSignal) => Promise<void> {
  if (rate === undefined) return async () => {}
  const gapMs = 1000 / rate
  let next = performance.now()
  return async function pace(signal) {
    const now = performance.now()
    next = Math.max(next, now - 100) + gapMs
    const wait = next - gapMs - now
    if (wait < 2 || signal.aborted) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        resolve()
      }
      const timer = setTimeout(done, wait)
      signal.addEventListener('abort', done)
    })
  }
}
