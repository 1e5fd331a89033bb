/** The bound on an orderly end: who waits for a service that is gone waits for minutes, and learns nothing. */
import { NightjarError } from '../core/errors.ts'

/** For how long nothing may have come of what is under way. */
const mostSilentMs = 20_000

/**
 * Do work that goes on after the signal until all that is under way is done. Where it says nothing of
 * itself by `alive` for too long then, it is left where it stands, and `source_failed` is thrown.
 */
export async function endInTime<T>(
  signal: AbortSignal,
  work: (alive: () => void) => Promise<T>,
  silentMs: number = mostSilentMs,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  let onSilence = (): void => {}
  const silence = new Promise<never>((_, reject) => {
    onSilence = () =>
      reject(
        new NightjarError(
          'source_failed',
          `Cannot end in order: nothing that was under way has come to its end for ${silentMs / 1000} s, ` +
            'as where a service does not answer; what is not acked or committed comes again',
        ),
      )
  })
  const watch = (): void => void (timer = setTimeout(onSilence, silentMs))
  if (signal.aborted) watch()
  else signal.addEventListener('abort', watch)
  try {
    return await Promise.race([work(() => void timer?.refresh()), silence])
  } finally {
    signal.removeEventListener('abort', watch)
    clearTimeout(timer)
  }
}
