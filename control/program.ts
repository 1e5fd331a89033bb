/** The control side of a program: whoever connects may ask it, and all ask the same dispatcher. */
import type { Duplex } from 'node:stream'

import type { Log } from '../core/log.ts'
import type { Admit } from './admission.ts'
import { converse, type Conversation } from './conversation.ts'
import {
  addDefaultMessages,
  answerInvalid,
  type Asker,
  unanswered,
  type ProgramActs,
} from './default-messages.ts'
import { createDispatcher, priorities, type Dispatcher } from './dispatcher.ts'
import { controlMessage, formatMessage, replyTo, type ControlMessage } from './message.ts'

/** Someone who speaks to the program; one who came by UDP cannot be answered. */
export interface Peer extends Asker {
  name: string
}

export interface ControlledProgram {
  dispatcher: Dispatcher<Peer>
  /** Converse with whoever connected; `kind` is the first part of the peer's name. */
  accept(socket: Duplex, kind: string, admit?: Admit): void
  /** Take a message that came without a connection. */
  take(message: ControlMessage, name: string): Promise<void>
  refuse(name: string, reason: string): void
  /** The peers that are connected, by their names. */
  connections(): string[]
  close(): Promise<void>
}

export interface ProgramOptions {
  acts: ProgramActs
  log: Log
  /** What messages to this program may call it; without a name it takes those to any service. */
  service?: string
  /** Where it listens, for those who ask. */
  listening?: () => readonly string[]
  nowNs?: () => bigint
}

const wallNs = (): bigint => BigInt(Date.now()) * 1_000_000n

/** Make the control side of a program. */
export function createControlledProgram(options: ProgramOptions): ControlledProgram {
  const { acts, log, service, listening = () => [], nowNs = wallNs } = options
  const peers = new Map<string, Conversation>()
  const tracers = new Set<Peer>()
  let count = 0

  const refuse = (peer: string, reason: string): void => log('control_refused', { peer, reason })
  const dispatcher = createDispatcher<Peer>({
    onFault(message, why, peer) {
      refuse(peer.name, `${message.command}: ${why}`)
      answerInvalid(message, why, peer)
    },
  })
  addDefaultMessages(dispatcher, {
    acts: {
      ...acts,
      told(message) {
        if (message.command === 'UNKNOWN' || message.command === 'INVALID') {
          refuse('', formatMessage(message))
        }
        acts.told?.(message)
      },
    },
    nowNs,
  })
  dispatcher.add(
    {
      expression: 'CONNECTIONS',
      priority: priorities.system,
      run: (message, peer) =>
        peer.reply(
          replyTo(message, 'CONNECTION_LIST', {
            list: [...peers.keys()].join(','),
            listening: listening().join(','),
          }),
        ),
    },
    {
      expression: 'TRACE',
      priority: priorities.system,
      run(message, peer) {
        if (!peers.has(peer.name)) return
        tracers.add(peer)
        peer.reply(replyTo(message, 'TRACING'))
      },
    },
  )
  dispatcher.define('CONNECTION_LIST', { list: { required: true, empty: true } })

  const isForUs = ({ to }: ControlMessage): boolean =>
    service === undefined || [service, '', '.', '*', '?'].includes(to.service)

  async function take(message: ControlMessage, peer: Peer): Promise<void> {
    log('control_asked', { command: message.command, peer: peer.name })
    if (tracers.size > 0) {
      const parameters = { peer: peer.name, message: withoutSecret(message) }
      for (const tracer of tracers) tracer.reply(controlMessage('TRACED', { parameters }))
    }
    if (isForUs(message)) return void (await dispatcher.dispatch(message, peer))
    // Another program's STOP is not ours.
    if (unanswered.has(message.command)) return
    const parameters = { destination_service: message.to.service, unsent_command: message.command }
    peer.reply(replyTo(message, 'SERVICE_UNAVAILABLE', parameters))
  }

  return {
    dispatcher,
    accept(socket, kind, admit) {
      const name = `${kind}_${++count}`
      const peer: Peer = { name, reply: (message) => void conversation.send(message) }
      const conversation = converse({
        socket,
        onMessage: (message) => take(message, peer),
        onInvalid: (reason) => refuse(name, reason),
        ...(admit !== undefined && { admit }),
      })
      peers.set(name, conversation)
      void conversation.closed.finally(() => {
        peers.delete(name)
        tracers.delete(peer)
      })
    },
    take: (message, name) => take(message, { name, reply() {} }),
    refuse,
    connections: () => [...peers.keys()],
    async close() {
      const open = [...peers.values()]
      for (const conversation of open) conversation.close()
      await Promise.all(open.map(({ closed }) => closed))
    },
  }
}

/** A message for other eyes. */
function withoutSecret(message: ControlMessage): string {
  const parameters = new Map(message.parameters)
  if (parameters.has('secret_code')) parameters.set('secret_code', '***')
  return formatMessage({ ...message, parameters })
}
