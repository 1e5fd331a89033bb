/**
 * What a person is told of a night: alarms, and one summary in the morning if asked for. A notice is kept
 * in the bucket before anybody is told, so that it is told once whoever dies in between, and a server
 * that is down is asked again for a while without the night waiting for it.
 */
import { sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Night } from '../core/night.ts'
import type { Store } from '../core/ports.ts'

export interface Notice {
  survey: string
  night: Night
  /** Which alarm it is, or `summary`. */
  key: string
  /** When it came up, ISO 8601. With its key it is the notice's identity. */
  at: string
  subject: string
  text: string
}

/** A way to tell somebody. */
export interface Channel {
  name: 'webhook' | 'mail'
  /** Resolves when whoever carries it further has taken it over; `id` is the same at each attempt. */
  send(notice: Notice, id: string): Promise<void>
}

/** How far a notice is on one channel. */
interface Progress {
  state: 'due' | 'sent' | 'given_up'
  attempts: number
  /** When it is tried at the earliest, milliseconds since 1970. */
  next: number
}

interface Kept extends Notice {
  channels: Partial<Record<Channel['name'], Progress>>
}

export interface Notices {
  /** Keep a notice that is to be told. `first` is called before, if it is new: by a crash twice, never not. */
  add(notice: Notice, first?: () => void): Promise<void>
  /** Tell what is due of a night. Answers how many notices are still to be told. Never rejects. */
  deliver(of: { survey: string; night: Night }): Promise<number>
}

/** Attempts a channel is given, and the time between two of them: doubled each time, three quarters of an hour in all. */
export const mostAttempts = 8
const firstPauseMs = 30_000
const longestPauseMs = 15 * 60_000

/** Make the box of notices of a bucket. */
export function createNotices(options: {
  store: Store
  channels: readonly Channel[]
  log: Log
  now(): number
}): Notices {
  const { store, channels, log, now } = options

  return {
    async add(notice, first) {
      const name = nameOf(notice)
      if ((await store.read(name)) !== null) return
      first?.()
      const due = (): Progress => ({ state: 'due', attempts: 0, next: 0 })
      const kept: Kept = {
        ...notice,
        channels: Object.fromEntries(channels.map(({ name }) => [name, due()])),
      }
      await store.create(name, encode(kept))
    },
    async deliver(of) {
      try {
        const names: string[] = []
        for await (const { name } of store.list(folderOf(of))) names.push(name)
        const left = await Promise.all(names.map((name) => deliverOne(name)))
        return left.filter((due) => due).length
      } catch (error) {
        const reason = sentenceOf(error)
        log('night_unseen', { night: of.night, what: 'notices', reason })
        return 0
      }
    },
  }

  /** Tell one notice on each channel that is due. Answers whether something is left to try. */
  async function deliverOne(name: string): Promise<boolean> {
    const left = await Promise.all(channels.map((channel) => tell(name, channel)))
    return left.some((due) => due)
  }

  async function tell(name: string, channel: Channel): Promise<boolean> {
    // The attempt is written down first: of two at once one makes it, and one that dies in it does
    // not leave a server that kills us to be asked without end.
    const begun = await update(name, channel.name, (progress) => {
      if (progress.state !== 'due' || progress.next > now()) return undefined
      const attempts = progress.attempts + 1
      const pause = Math.min(firstPauseMs * 2 ** progress.attempts, longestPauseMs)
      return { state: 'due', attempts, next: now() + pause }
    })
    if (begun.kept === undefined) return begun.left
    const { notice, attempts } = begun.kept
    const about = { night: notice.night, key: notice.key, channel: channel.name }
    let next: Progress['state']
    try {
      await channel.send(notice, name)
      next = 'sent'
      log('notice_sent', about)
    } catch (error) {
      next = attempts < mostAttempts ? 'due' : 'given_up'
      const event = next === 'due' ? 'notice_retried' : 'notice_dropped'
      log(event, { ...about, attempts, reason: sentenceOf(error) })
    }
    if (next === 'due') return true
    await update(name, channel.name, (progress) => ({ ...progress, state: next }))
    return false
  }

  /** Change how far a channel is, if it is to change; again where another channel wrote in between. */
  async function update(
    name: string,
    channel: Channel['name'],
    change: (progress: Progress) => Progress | undefined,
  ): Promise<{ left: boolean; kept?: { notice: Notice; attempts: number } }> {
    for (;;) {
      const found = await store.read(name)
      if (found === null) return { left: false }
      const { channels: all, ...notice } = JSON.parse(Buffer.from(found.data).toString()) as Kept
      // One that was not there when the notice came up is not told of the past.
      const progress = all[channel]
      if (progress === undefined) return { left: false }
      const changed = change(progress)
      if (changed === undefined) return { left: progress.state === 'due' }
      const data = encode({ ...notice, channels: { ...all, [channel]: changed } })
      if ((await store.replace(name, data, found.object.generation)) === null) continue
      return { left: changed.state === 'due', kept: { notice, attempts: changed.attempts } }
    }
  }
}

const encode = (kept: Kept): Uint8Array => Buffer.from(`${JSON.stringify(kept, null, 1)}\n`)

const folderOf = ({ survey, night }: { survey: string; night: Night }): string =>
  `conductor/notices/${survey}_${night}/`

/** A night has one summary, however often it ends. */
const nameOf = (notice: Notice): string =>
  notice.key === summaryKey
    ? `${folderOf(notice)}${summaryKey}.json`
    : `${folderOf(notice)}${notice.at.replaceAll(/[-:.]/g, '')}-${notice.key}.json`

export const summaryKey = 'summary'
