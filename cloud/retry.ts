/** Trying again what may pass, and nothing else; one loop for all services in place of the SDKs' own. */
import { setTimeout as pause } from 'node:timers/promises'

import { mayPass } from './faults.ts'

const firstMs = 100
const mostMs = 10_000

/**
 * Do work until it succeeds, fails for good, or `until` (of `performance.now`) has come; then its last
 * error is thrown. `work` is told how long it may take.
 */
export async function retryPassing<T>(
  work: (leftMs: number) => Promise<T>,
  until: number,
): Promise<T> {
  for (let delay = firstMs; ; delay = Math.min(2 * delay, mostMs)) {
    try {
      return await work(Math.max(until - performance.now(), 1))
    } catch (error) {
      // Full jitter, so that many who failed at once do not come back at once.
      const wait = delay * Math.random()
      if (!mayPass(error) || performance.now() + wait >= until) throw error
      await pause(wait)
    }
  }
}
