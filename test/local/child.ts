/**
 * A process that uses a home, for tests that kill it or run beside it. It says what it did in lines,
 * each written before it goes on.
 */
import { textMessage, textOf } from '../contract/topic.ts'
import { say } from '../say.ts'
import { openHome } from './home.ts'

const [verb, path = '', count = '0', size = '10'] = process.argv.slice(2)
const home = await openHome(path)
const padded = (text: string): string => `${text} `.padEnd(Number(size), '.')

const verbs: Record<string, () => Promise<void>> = {
  /** Publish `count` messages, 20 at a time, and say which are durable and which were refused. */
  async publish() {
    const topic = await home.topic('t')
    say('ready')
    for (let at = 0; at < Number(count); at += 20) {
      const some = Array.from({ length: Math.min(20, Number(count) - at) }, (_, i) => at + i)
      await Promise.all(
        some.map((i) =>
          topic.publish(textMessage(padded(`${process.pid}:${i}`))).then(
            () => say(`published ${process.pid}:${i}`),
            (error: Error) => say(`refused ${process.pid}:${i} ${error.message}`),
          ),
        ),
      )
    }
    await home.close()
  },
  /** Receive: ack the first `count` messages, hold all others for ever. */
  async receive() {
    const subscription = await home.subscription('t')
    let taken = 0
    const receiving = subscription.receive(
      async (delivery) => {
        const text = textOf(delivery).split(' ')[0]
        if (taken++ < Number(count)) return say(`acked ${text} ${delivery.attempt}`)
        say(`holds ${text} ${delivery.attempt}`)
        await new Promise(() => {})
      },
      { signal: new AbortController().signal, maxMessages: 50 },
    )
    say('ready')
    await receiving
  },
  /** Open the home and a subscription, and say that it went well. */
  async open() {
    await home.topic('t')
    await home.subscription('t')
    say('ready')
    await home.close()
  },
}

await verbs[verb ?? '']?.().catch((error: { code?: string; message: string }) => {
  say(`failed ${error.code} ${error.message}`)
  process.exitCode = 1
})
