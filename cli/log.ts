/** Events as lines of standard error: short for a person, JSON where NIGHTJAR_LOG=json asks for it. */
import { severityOf, type Events, type Log } from '../core/log.ts'
import type { World } from './world.ts'

/** Most lines of one kind a second; a flood of poison must not drown what else is said. */
const mostASecond = 2

/** The log of a verb, or of a thread of it. */
export function createLog(world: Pick<World, 'env' | 'now' | 'err'>): Log {
  const asJson = world.env['NIGHTJAR_LOG'] === 'json'
  const said = new Map<keyof Events, { second: number; count: number; held: number }>()
  return function log(name, facts) {
    const severity = severityOf(name)
    const time = world.now()
    if (asJson) {
      world.err(
        `${JSON.stringify({ severity, event: name, time: time.toISOString(), ...facts })}\n`,
      )
      return
    }
    const second = Math.floor(time.getTime() / 1000)
    let entry = said.get(name)
    if (entry?.second !== second) {
      if (entry !== undefined && entry.held > 0) world.err(`  … ${entry.held} more ${name}\n`)
      said.set(name, (entry = { second, count: 0, held: 0 }))
    }
    if (entry.count >= mostASecond) return void entry.held++
    entry.count++
    const words = Object.entries(facts).map(([key, value]) => `${key}=${text(value)}`)
    const mark = severity === 'INFO' ? '' : `${severity.toLowerCase()} `
    world.err(`${time.toISOString().slice(11, 19)} ${mark}${name} ${words.join(' ')}\n`)
  }
}

function text(value: unknown): string {
  const plain = typeof value === 'string' ? value : JSON.stringify(value)
  return /\s/.test(plain) ? JSON.stringify(plain) : plain
}
