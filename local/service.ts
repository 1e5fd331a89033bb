/**
 * Programs that work in a home, by the names under which they are asked and ended. The broker names its
 * process in `run.pid`; each of the others in `NAME.pid`, for as long as it lives.
 */
import { readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { isAlive, pidOf, processMark } from './alive.ts'
import { readMark, type Home } from './home.ts'

export interface Service {
  name: string
  pid: number
  /** The process as no later one is: see `alive.ts`. */
  mark: number
}

/** The one program of a home that may write its tables. */
export const brokerService = 'broker'

const fileOf = (home: Home, name: string): string =>
  join(home.path, name === brokerService ? 'run.pid' : `${name}.pid`)

/** Of one kind so many may work in a home at once. */
const mostOfAKind = 99

/**
 * Be a program of a home: `hpfeeds`, or `hpfeeds_2` where one works already. Answers the name, and how
 * to give it up.
 */
export function takeService(home: Home, kind: string): { name: string; release(): void } {
  for (let n = 1; n <= mostOfAKind; n++) {
    const name = n === 1 ? kind : `${kind}_${n}`
    const file = fileOf(home, name)
    if (isAlive(readMark(file))) continue
    // What a process that was killed left behind makes room.
    rmSync(file, { force: true })
    if (claim(file)) return { name, release: () => rmSync(file, { force: true }) }
  }
  throw new NightjarError(
    'home_busy',
    `Cannot be a ${kind} of "${home.path}": ${mostOfAKind} work there already`,
  )
}

/** False where another was quicker. */
function claim(file: string): boolean {
  try {
    writeFileSync(file, `${process.pid}\n${processMark()}\n`, { flag: 'wx' })
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw new NightjarError('home_unusable', `Cannot write "${file}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
}

/** The process of a home's program, if it runs. */
export function runningService(home: Home, name: string): Service | undefined {
  const mark = readMark(fileOf(home, name))
  return isAlive(mark) ? { name, pid: pidOf(mark), mark } : undefined
}

/** Every program that works in a home now, by name. */
export function runningServices(home: Home): Service[] {
  let files: string[]
  try {
    files = readdirSync(home.path)
  } catch {
    return []
  }
  const names = files.flatMap((file) => /^([a-z]\w*)\.pid$/.exec(file)?.[1] ?? [])
  return names
    .map((name) => (name === 'run' ? brokerService : name))
    .sort()
    .flatMap((name) => runningService(home, name) ?? [])
}
