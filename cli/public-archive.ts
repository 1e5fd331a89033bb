/** Hold a night against what its survey published of it. */
import { candidColumn, candidsWithout } from '../conductor/candids.ts'
import type { NightRecord } from '../conductor/night-record.ts'
import { knownNights } from '../conductor/nights.ts'
import {
  archiveOf,
  comparedOf,
  isCompareDue,
  publicSentence,
  readPublicCount,
  writePublicCount,
  type PublicCount,
  type PublicDifference,
} from '../conductor/public-count.ts'
import { isEnd } from '../conductor/step.ts'
import type { Tick } from '../conductor/tick.ts'
import { openArchive, type Member } from '../consumer/files/members.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { Night } from '../core/night.ts'
import { projectAlert } from '../schemas/alert.ts'
import { isContainer, splitContainer } from '../schemas/container.ts'
import { archivedPackets } from './archived.ts'
import { withConductor, type NightOptions } from './conducting.ts'
import { loadConductor } from './config.ts'
import { restateReport } from './night-report.ts'
import type { Pipeline } from './wiring.ts'
import type { World } from './world.ts'

export interface CompareOptions {
  ground: Pick<Pipeline, 'bucket'>
  record: NightRecord
  /** A URL or a file. */
  archive: string
  signal: AbortSignal
  now(): Date
}

/** Compare a night if it is due; undefined where it is not, or somebody else does it now. */
export async function compareIfDue(options: CompareOptions): Promise<PublicCount | undefined> {
  const store = await options.ground.bucket('broker_files')
  const { count } = await readPublicCount(store, options.record)
  if (!isCompareDue(options.record, count, options.now().getTime())) return undefined
  return compareNight(options)
}

/**
 * Compare a night with its public archive, keep what came of it beside the night's report, and state
 * the newest report anew with it. That the archive is not there, or cannot be read, is an answer, too.
 * Undefined where somebody else began at the same time.
 */
export async function compareNight(options: CompareOptions): Promise<PublicCount | undefined> {
  const { ground, record, archive, signal, now } = options
  const store = await ground.bucket('broker_files')
  const read = await readPublicCount(store, record)
  const of = comparedOf(record)
  const before = read.count?.of === of ? read.count : { tries: 0, reads: 0 }
  const begun: PublicCount = {
    ...{ archive, of, state: 'reading', at: now().toISOString() },
    ...{ tries: before.tries + 1, reads: before.reads + 1 },
  }
  // Who dies of an archive has written that it was read: nobody is to die of it for ever.
  const mine = await writePublicCount(store, record, begun, read.generation)
  if (mine === null) return undefined
  const found = await look()
  const count: PublicCount = { ...begun, ...found, at: now().toISOString() }
  if (count.state === 'absent') count.reads--
  if ((await writePublicCount(store, record, count, mine)) === null) return undefined
  if (count.state === 'compared') await restateReport(store, record, count)
  return count

  async function look(): Promise<Pick<PublicCount, 'state' | 'why' | 'difference'>> {
    try {
      const members = await openArchive(archive, signal)
      if (members === null) return { state: 'absent', why: 'HTTP 404' }
      const topics = await topicsOf(options)
      const difference = await differenceOf(members, archivedPackets(ground, topics))
      if (signal.aborted) return { state: 'failed', why: 'it was ended before its time' }
      return { state: 'compared', difference }
    } catch (error) {
      if (error instanceof NightjarError) return { state: 'failed', why: error.message }
      return { state: 'failed', why: sentenceOf(error) }
    }
  }
}

/**
 * Hold those of the nights that have ended, and are due for it, against what their survey published of
 * them; nothing where no archive is configured. It may take long, so it comes after the ticks.
 */
export async function compareDue(
  world: World,
  options: NightOptions,
  ticks: readonly Tick[],
  log?: Log,
): Promise<{ night: Night; count: PublicCount }[]> {
  const compared: { night: Night; count: PublicCount }[] = []
  const own: World = { ...world, env: { ...world.env } }
  const settings = await loadConductor(world, options.config)
  const { publicArchive } = settings
  if (publicArchive === undefined) return compared
  for (const { record, outcome } of ticks) {
    const { night } = record
    if (world.signal.aborted || outcome === 'lost' || !isEnd(record.state)) continue
    const archive = archiveOf(publicArchive, night)
    const count = await withConductor(
      own,
      { ...options, night },
      ({ place: { ground } }) =>
        compareIfDue({ ground, record, archive, signal: world.signal, now: world.now }),
      log,
    )
    if (count !== undefined) compared.push({ night, count })
  }
  return compared
}

export const compareSentence = (count: PublicCount | undefined): string =>
  count === undefined ? 'Somebody else compares this night now.' : publicSentence(count)

/** The topics that were taken in for the night, and those that Kafka spoke of. */
async function topicsOf({ ground, record }: CompareOptions): Promise<Set<string>> {
  const store = await ground.bucket('broker_files')
  const known = (await knownNights(store)).find(({ night }) => night === record.night)
  return new Set([...(known?.topics ?? []), ...record.ends].map(({ topic }) => topic))
}

const namesKept = 20

/** Differences both ways. Of each alert its candid is kept, and of the archive one file at a time. */
export async function differenceOf(
  members: AsyncIterable<Member>,
  archived: AsyncIterable<{ candid: bigint }>,
): Promise<PublicDifference> {
  const [there, here] = [candidColumn(), candidColumn()]
  const unreadable: PublicDifference['unreadable'] = { count: 0, names: [] }
  for await (const { name, data } of members) {
    try {
      if (data === null) throw new NightjarError('packet_unbounded', 'it is too large')
      const packets = isContainer(data) ? splitContainer(data) : [data]
      const candids = packets.map((packet) => projectAlert(packet).candid)
      candids.forEach(there.add)
    } catch {
      unreadable.count++
      if (unreadable.names.length < namesKept) unreadable.names.push(name)
    }
  }
  for await (const { candid } of archived) here.add(candid)
  const [theirs, ours] = [there.sorted(), here.sorted()]
  return {
    archived: theirs.length,
    ours: ours.length,
    missing: candidsWithout(theirs, ours),
    extra: candidsWithout(ours, theirs),
    unreadable,
  }
}
