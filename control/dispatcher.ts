/**
 * Who is called for which message: a table of entries in the order of their priorities, of which one
 * may take a message for itself and several may only look at it.
 */
import { NightjarError } from '../core/errors.ts'
import type { ControlMessage } from './message.ts'
import { parameterFault, type ParameterRules } from './parameters.ts'

/** `yes`: this entry and no other; `callback`: this entry, and go on; `no`: go on. */
export type MatchResult = 'no' | 'yes' | 'callback'

/** How an entry is compared with a message. A pattern matches the whole command. */
export type Match = (expression: string | RegExp, message: ControlMessage) => MatchResult

/** The order is that of eventdispatcher: lookers-on first, the system's own entries last. */
export const priorities = { callback: 0, usual: 7, system: 10, most: 15 } as const

export interface Entry<Context> {
  /** A command, or a pattern for several; of no use where the match is `always`. */
  expression?: string | RegExp
  /** `takes` by default; `looks_on` runs and lets the message go on; `always` comes last of all. */
  match?: 'takes' | 'looks_on' | 'always' | 'always_looks_on' | Match
  priority?: number
  /** By which entries are removed together. */
  tag?: string
  run(message: ControlMessage, context: Context): void | Promise<void>
}

export interface Dispatcher<Context> {
  /** Throws `config_invalid` for an entry that could never run, or never rightly. */
  add(...entries: readonly Entry<Context>[]): void
  /** Remove all entries of a tag; answers how many there were. */
  remove(tag: string): number
  /** The commands that are known by name, in order. */
  commands(): string[]
  /** What is asked of the parameters of a command from now on. */
  define(command: string, rules: ParameterRules): void
  /** Called with each message before it is dispatched. */
  trace(look: ((message: ControlMessage) => void) | undefined): void
  /** Let the entries run. Answers whether one did; rejects where one failed. */
  dispatch(message: ControlMessage, context: Context): Promise<boolean>
}

export interface DispatcherOptions<Context> {
  /** Told of a message whose parameters break the rules of its command; no entry sees it. */
  onFault?(message: ControlMessage, why: string, context: Context): void | Promise<void>
}

interface Placed<Context> {
  entry: Entry<Context>
  priority: number
  match(message: ControlMessage): MatchResult
}

const isAlways = ({ match }: Entry<unknown>): boolean => match === 'always'

/** Make a dispatcher without entries. */
export function createDispatcher<Context>(
  options: DispatcherOptions<Context> = {},
): Dispatcher<Context> {
  let table: readonly Placed<Context>[] = []
  const rules = new Map<string, ParameterRules>()
  let look: ((message: ControlMessage) => void) | undefined

  function place(entry: Entry<Context>): void {
    const placed = placedOf(entry)
    if (isAlways(entry) && table.some((other) => isAlways(other.entry))) {
      throw refused(entry, 'there is one already that takes whatever nobody takes')
    }
    const rank = (other: Placed<Context>): number =>
      isAlways(other.entry) ? priorities.most + 1 : other.priority
    // A new table, so that a dispatch under way goes on with the old one. The sort is stable.
    table = [...table, placed].sort((a, b) => rank(a) - rank(b))
  }

  return {
    add: (...entries) => entries.forEach(place),
    remove(tag) {
      const before = table.length
      table = table.filter(({ entry }) => entry.tag !== tag)
      return before - table.length
    },
    commands() {
      const known = table.map(({ entry }) => entry.expression)
      return [...new Set(known.filter((name) => typeof name === 'string'))].sort()
    },
    define: (command, wanted) => void rules.set(command, wanted),
    trace: (wanted) => void (look = wanted),
    async dispatch(message, context) {
      look?.(message)
      const fault = parameterFault(message, rules.get(message.command) ?? {})
      if (fault !== undefined) {
        await options.onFault?.(message, fault, context)
        return true
      }
      let hasRun = false
      for (const { entry, match } of table) {
        // Whoever takes what nobody takes does not see what a looker-on has seen.
        if (isAlways(entry) && hasRun) break
        const result = match(message)
        if (result === 'no') continue
        hasRun = true
        await entry.run(message, context)
        if (result === 'yes') break
      }
      return hasRun
    },
  }
}

function placedOf<Context>(entry: Entry<Context>): Placed<Context> {
  const { expression, match = 'takes', priority = priorities.usual } = entry
  if (typeof entry.run !== 'function') throw refused(entry, 'it has nothing to run')
  if (!Number.isInteger(priority) || priority < 0 || priority > priorities.most) {
    throw refused(entry, `its priority ${priority} is none of 0 to ${priorities.most}`)
  }
  if (match === 'always') return { entry, priority, match: () => 'yes' }
  if (match === 'always_looks_on') return { entry, priority, match: () => 'callback' }
  if (expression === undefined || expression === '') {
    throw refused(entry, 'it names no command, and is not for all')
  }
  if (typeof match === 'function') return { entry, priority, match: (m) => match(expression, m) }
  const wanted = match === 'looks_on' ? 'callback' : 'yes'
  const fits = commandTest(expression)
  return { entry, priority, match: ({ command }) => (fits(command) ? wanted : 'no') }
}

function commandTest(expression: string | RegExp): (command: string) => boolean {
  if (typeof expression === 'string') return (command) => command === expression
  // Without g and y, which would remember a place from one command to the next.
  const whole = new RegExp(`^(?:${expression.source})$`, expression.flags.replaceAll(/[gy]/g, ''))
  return (command) => whole.test(command)
}

function refused(entry: { expression?: string | RegExp }, why: string): NightjarError {
  const name = String(entry.expression ?? '')
  return new NightjarError('config_invalid', `Cannot add entry "${name}" to a dispatcher: ${why}`)
}
