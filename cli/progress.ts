/** How far a run is: one live line on a terminal, a plain line every ten seconds elsewhere. */
import type { Intake } from '../consumer/intake.ts'
import type { Broker } from './broker.ts'
import { formatBytes, formatCount, formatDuration } from './text-table.ts'
import type { World } from './world.ts'

export interface Progress {
  watch(intake: Intake): void
  stop(): void
}

/** Start telling; `stop` clears the line. */
export function createProgress(options: {
  world: World
  broker: Broker
  quiet: boolean
}): Progress {
  const { world, broker, quiet } = options
  const live = world.tty
  let intake: Intake | undefined
  let previous = { at: performance.now(), records: 0 }
  let rate = 0

  async function tell(): Promise<void> {
    if (intake === undefined) return
    const { records, bytes } = intake.counts()
    const now = performance.now()
    const seconds = (now - previous.at) / 1000
    const latest = (records - previous.records) / seconds
    rate = rate === 0 ? latest : rate * 0.7 + latest * 0.3
    previous = { at: now, records }
    const backlog = Object.entries(await broker.backlog()).filter(([name]) => name !== 'ledger')
    const behind = backlog.map(([name, messages]) => `${name} ${formatCount(messages)}`)
    const most = Math.max(...backlog.map(([, messages]) => messages))
    const left = latest < 1 && most > 0 && rate > 1 ? `, ${formatDuration(most / rate)} left` : ''
    const line =
      `${formatCount(records)} alerts, ${formatBytes(bytes)}, ${Math.round(rate)}/s` +
      `${left}; to do: ${behind.join(', ')}`
    world.err(live ? `\r\x1b[K${line.slice(0, world.columns - 1)}` : `${line}\n`)
  }

  const timer = setInterval(() => void tell().catch(() => {}), live ? 250 : 10_000)
  if (quiet) clearInterval(timer)
  return {
    watch(next) {
      intake = next
      previous = { at: performance.now(), records: 0 }
    },
    stop() {
      clearInterval(timer)
      if (live && !quiet) world.err('\r\x1b[K')
    },
  }
}
