/** How a conductor speaks to the broker of its home: by the socket where that takes control messages. */
import { converse } from '../control/conversation.ts'
import { controlMessage } from '../control/message.ts'
import { connectTo } from '../gateways/link.ts'
import type { MachineControl } from '../local/machine.ts'
import { endpointOfService, senderOf } from './control-client.ts'

/** Ask the broker of a home to stop, and whether it lives: it has `aliveMs` to answer. */
export function brokerControl(home: string, signal: AbortSignal, aliveMs = 10_000): MachineControl {
  async function speak(command: string, timeoutMs?: number): Promise<'done' | 'silent' | 'absent'> {
    let socket
    try {
      socket = await connectTo(endpointOfService(home, ''), signal)
    } catch {
      return 'absent'
    }
    const conversation = converse({ socket, onMessage() {}, onInvalid() {} })
    const message = controlMessage(command, { from: senderOf('conductor') })
    try {
      if (timeoutMs === undefined) return conversation.send(message) ? 'done' : 'absent'
      await conversation.request(message, { timeoutMs })
      return 'done'
    } catch {
      return 'silent'
    } finally {
      conversation.close()
      // One that does not answer does not end its side either.
      const ended = conversation.closed.then(() => socket.destroy())
      await Promise.race([ended, pause(closingMs)])
      socket.destroy()
    }
  }

  return {
    stop: async () => (await speak('STOP')) === 'done',
    async alive() {
      const answer = await speak('ALIVE', aliveMs)
      return answer === 'absent' ? undefined : answer === 'done'
    },
  }
}

/** How long it has to take the last word. */
const closingMs = 1000

const pause = (ms: number): Promise<void> => new Promise((wake) => setTimeout(wake, ms).unref())
