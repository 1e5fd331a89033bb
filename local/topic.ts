/** The answer of one machine to the Topic port: a topic in the journal. */
import { checkMessage } from '../core/limits.ts'
import type { Topic } from '../core/ports.ts'
import type { Messages } from './messages.ts'

/** Open a topic, made if it is new. */
export async function openTopic(messages: Messages, name: string): Promise<Topic> {
  const topic = await messages.topicId(name)
  return {
    async publish(message) {
      checkMessage(message)
      return String(await messages.publish(topic, message))
    },
    async close() {},
  }
}
