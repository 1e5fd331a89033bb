import { topicContract } from '../contract/topic.ts'
import { openHome } from './home.ts'

topicContract(
  'openTopic() with openSubscription()',
  { ackDeadlineMs: 400, exactBacklog: true, exactAttempts: true },
  async () => {
    const home = await openHome()
    let count = 0
    return {
      async newTopic() {
        const name = `topic_${++count}`
        let readers = 0
        return {
          topic: await home.topic(name),
          subscribe: (options) =>
            home.subscription(name, { name: `${name}-${++readers}`, ...options }),
        }
      },
      cleanup: () => home.remove(),
    }
  },
)
