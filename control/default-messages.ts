/** The messages that every program of ours understands, as every program of eventdispatcher's does. */
import { priorities, type Dispatcher } from './dispatcher.ts'
import { replyTo, type ControlMessage } from './message.ts'
import { formatTimespec, type ParameterRules } from './parameters.ts'

/** What a program does when it is asked; what it leaves out is taken and does nothing. */
export interface ProgramActs {
  /** End when what is under way is done. `quitting`: not this program alone, all of the night. */
  stop(quitting: boolean): void
  restart?(reason: string): void
  ready?(message: ControlMessage): void
  /** Open the files anew that are written for people. */
  rotateLogs?(): void
  /** Say what is held of memory. */
  leak?(): void
  /** A peer could not make use of what we said, or told us something. */
  told?(message: ControlMessage): void
}

/** Where the answer to a message goes. */
export interface Asker {
  reply(message: ControlMessage): void
}

const free: ParameterRules = {}

/** What is asked of the parameters of the default messages. */
export const defaultRules: Readonly<Record<string, ParameterRules>> = {
  COMMANDS: { list: { required: true } },
  ALIVE: { timestamp: { type: 'timespec' }, serial: { empty: true } },
  ABSOLUTELY: {
    timestamp: { type: 'timespec' },
    reply_timestamp: { required: true, type: 'timespec' },
  },
  READY: { my_address: { type: 'address' } },
  RESTART: free,
}

/** Messages that are never answered, or two programs would answer each other for ever. */
export const unanswered: ReadonlySet<string> = new Set([
  'UNKNOWN',
  'INVALID',
  'SERVICE_UNAVAILABLE',
  'COMMANDS',
  'ABSOLUTELY',
])

export interface DefaultsOptions {
  acts: ProgramActs
  /** Nanoseconds since 1970. */
  nowNs(): bigint
}

/** Add the default messages. Entries of the program's own, of the same names, come before them. */
export function addDefaultMessages<Context extends Asker>(
  dispatcher: Dispatcher<Context>,
  { acts, nowNs }: DefaultsOptions,
): void {
  type Run = (message: ControlMessage, asker: Context) => void
  const told: Run = (message) => acts.told?.(message)
  const known: Readonly<Record<string, Run>> = {
    HELP: (message, asker) =>
      asker.reply(replyTo(message, 'COMMANDS', { list: dispatcher.commands().join(',') })),
    ALIVE(message, asker) {
      const kept = ['serial', 'timestamp'].flatMap((name) => {
        const value = message.parameters.get(name)
        return value === undefined ? [] : [[name, value] as const]
      })
      const parameters = { ...Object.fromEntries(kept), reply_timestamp: formatTimespec(nowNs()) }
      asker.reply(replyTo(message, 'ABSOLUTELY', parameters))
    },
    STOP: () => acts.stop(false),
    QUITTING: () => acts.stop(true),
    RESTART: ({ parameters }) => acts.restart?.(parameters.get('reason') ?? ''),
    READY: (message) => acts.ready?.(message),
    LOG_ROTATE: () => acts.rotateLogs?.(),
    LEAK: () => acts.leak?.(),
    ...{
      COMMANDS: told,
      ABSOLUTELY: told,
      UNKNOWN: told,
      INVALID: told,
      SERVICE_UNAVAILABLE: told,
    },
  }
  for (const [command, rules] of Object.entries(defaultRules)) dispatcher.define(command, rules)
  for (const [expression, run] of Object.entries(known)) {
    dispatcher.add({ expression, run, priority: priorities.system, tag: 'default' })
  }
  dispatcher.add({
    match: 'always',
    priority: priorities.most,
    tag: 'default',
    run: (message, asker) => asker.reply(replyTo(message, 'UNKNOWN', { command: message.command })),
  })
}

/** Answer INVALID to a message whose parameters are wrong, unless it is an answer itself. */
export function answerInvalid(message: ControlMessage, why: string, asker: Asker): void {
  if (unanswered.has(message.command)) return
  asker.reply(replyTo(message, 'INVALID', { command: message.command, message: why }))
}
