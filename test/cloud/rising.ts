/**
 * A night that comes no faster than it is taken. Google's Pub/Sub emulator holds nothing back from a reader
 * that is behind: it counts as delivered what still lies in its own buffers, and once that takes longer than the
 * ack deadline it sends all of it again, and again, and keeps every copy. So the records of a large night
 * come to the watched folder in portions, each when the one before is archived.
 */
import { mkdirSync, renameSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { archiveName } from '../../core/names.ts'
import type { Store } from '../../core/ports.ts'
import type { Truth } from '../../simulator/truth.ts'
import type { Night } from '../night/harness.ts'

export interface Rising {
  /** Let the next records come; answers them, none at the end. */
  next(count: number): Truth[]
  /** Resolves when the intact ones of a portion are archived, by a sample of them and the last. */
  archived(portion: readonly Truth[], store: Store): Promise<void>
}

const mostMs = 300_000
const pollMs = 500

/** Take a night's records out of its folder, to let them come one by one. */
export function createRising(night: Night): Rising {
  const reserve = `${night.from}-below`
  renameSync(night.from, reserve)
  const records = night.truths.filter(({ kind }) => kind !== 'gap')
  for (const truth of records) {
    mkdirSync(dirname(join(night.from, night.nameOf(truth))), { recursive: true })
  }
  let at = 0
  return {
    next(count) {
      const portion = records.slice(at, (at += count))
      for (const truth of portion) {
        const name = night.nameOf(truth)
        renameSync(join(reserve, name), join(night.from, name))
      }
      return portion
    },
    async archived(portion, store) {
      const intact = portion.filter(({ kind }) => !kind.startsWith('corrupt:'))
      const sample = intact.filter((_, place) => place % 25 === 0 || place === intact.length - 1)
      const until = performance.now() + mostMs
      for (const { topic, objectId = '', candid = '' } of sample) {
        const name = archiveName(topic, objectId, BigInt(candid))
        // By its own name: to list them has the emulator look through all that it holds.
        while ((await store.read(name)) === null) {
          if (performance.now() > until) throw new Error(`${name} was not archived in time`)
          await pause(pollMs)
        }
      }
    },
  }
}
