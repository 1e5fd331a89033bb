/**
 * Timers as eventdispatcher has them: one that fires once at its time, late if need be, and one that
 * ticks on a grid and skips the ticks that were missed instead of making up for them in a burst.
 */
import { NightjarError } from '../core/errors.ts'

/** Time as a timer sees it, in milliseconds; a test makes its own. */
export interface Clock {
  now(): number
  /** Call once, after so many milliseconds; answers how to call it off. */
  after(ms: number, call: () => void): () => void
}

/** Longest wait that the system takes in one piece. */
const longestMs = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  after(ms, call) {
    const timer = setTimeout(call, ms)
    return () => clearTimeout(timer)
  },
}

export interface Timer {
  /** A timer that is disabled keeps its grid or its date; enabled again, it is due if that has passed. */
  enable(wanted: boolean): void
  close(): void
}

/** Fire once, at a time in milliseconds since 1970 or as soon after it as can be. */
export function startAlarm(at: number, fire: () => void, clock: Clock = systemClock): Timer {
  return startTimer(
    clock,
    () => at,
    function once(timer) {
      // Over before it fires, so that what it calls may throw or set another.
      timer.close()
      fire()
    },
  )
}

/**
 * Tick every so many milliseconds from now: tick k at start + k · every. After a late one the next is the
 * next that is due on the grid.
 */
export function startTicks(everyMs: number, tick: () => void, clock: Clock = systemClock): Timer {
  if (!(everyMs >= 0.01)) {
    throw new NightjarError('config_invalid', `Cannot tick every ${everyMs} ms: 0.01 is the least`)
  }
  const start = clock.now()
  let ticks = 1
  return startTimer(
    clock,
    () => start + ticks * everyMs,
    () => {
      ticks = Math.max(ticks + 1, Math.ceil((clock.now() - start) / everyMs))
      tick()
    },
  )
}

function startTimer(clock: Clock, due: () => number, fire: (timer: Timer) => void): Timer {
  let callOff: (() => void) | undefined
  let isOn = true
  let isOver = false
  const timer: Timer = {
    enable(wanted) {
      if (wanted === isOn || isOver) return
      isOn = wanted
      wait()
    },
    close() {
      isOver = true
      wait()
    },
  }

  function wait(): void {
    callOff?.()
    callOff = undefined
    if (!isOn || isOver) return
    const left = due() - clock.now()
    callOff = clock.after(Math.max(0, Math.min(left, longestMs)), wake)
  }

  function wake(): void {
    callOff = undefined
    // A clock may wake a little early, and a long wait comes in pieces.
    if (due() > clock.now()) return wait()
    try {
      fire(timer)
    } finally {
      wait()
    }
  }

  wait()
  return timer
}
