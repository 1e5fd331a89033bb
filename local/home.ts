/**
 * A home directory: everything that an embedded broker keeps. Its layout:
 *
 *     journal.sqlite     topics, subscriptions, the list of objects
 *     segments/          the data of large messages
 *     buckets/           a folder a bucket
 *     warehouse.duckdb   the tables
 *     schemas/           schemas met since, and what the schema gate said
 *     run.pid            the process of the running broker, if one runs
 *     control.sock       where that process takes control messages
 *     NAME.pid           the process of another program that works here, such as a gateway
 *     control-NAME.sock  where that one takes them
 */
import { accessSync, constants, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { isAlive, pidOf, processMark } from './alive.ts'

export interface Home {
  path: string
  journal: string
  segments: string
  buckets: string
  warehouse: string
  schemas: string
}

/** Where things are in a home directory. */
export function homeAt(path: string): Home {
  const root = resolve(path)
  return {
    path: root,
    journal: join(root, 'journal.sqlite'),
    segments: join(root, 'segments'),
    buckets: join(root, 'buckets'),
    warehouse: join(root, 'warehouse.duckdb'),
    schemas: join(root, 'schemas'),
  }
}

/** Make a home directory, or see that it can be written to. */
export function makeHome(path: string): Home {
  const home = homeAt(path)
  try {
    makeFolder(home.buckets)
    for (const folder of [home.path, home.buckets]) accessSync(folder, constants.W_OK)
    return home
  } catch (cause) {
    throw new NightjarError(
      'home_unusable',
      `Cannot use "${home.path}" as home: ${sentenceOf(cause)}; choose another with --home`,
      { cause },
    )
  }
}

/** Make a folder and what is missing above it. (Node's own recursive way never ends below /proc.) */
function makeFolder(path: string): void {
  try {
    mkdirSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return
    if (code !== 'ENOENT' || dirname(path) === path) throw error
    makeFolder(dirname(path))
    mkdirSync(path)
  }
}

/** The process of the broker that runs in a home, if one does. */
export function runningBroker(home: Home): number | undefined {
  const mark = readMark(join(home.path, 'run.pid'))
  return isAlive(mark) ? pidOf(mark) : undefined
}

/** The mark of the process that a file names in its second line; the first, its pid, is for people. */
export function readMark(file: string): number {
  try {
    const [, mark] = readFileSync(file, 'utf8').split('\n')
    return Number(mark)
  } catch {
    return NaN
  }
}

/** Be the one broker of a home; answers how to give it up. */
export function takeHome(home: Home): () => void {
  const file = join(home.path, 'run.pid')
  const other = runningBroker(home)
  if (other !== undefined && other !== process.pid) {
    throw new NightjarError(
      'home_busy',
      `Cannot run in "${home.path}": process ${other} does already; stop it or choose another --home`,
    )
  }
  try {
    writeFileSync(file, `${process.pid}\n${processMark()}\n`)
  } catch (cause) {
    throw new NightjarError('home_unusable', `Cannot write "${file}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
  return () => rmSync(file, { force: true })
}
