/**
 * The clients of the hpfeeds benchmark, in a process of their own: 100 subscribers that count, and one
 * that publishes. Told by messages what to do; answers with figures.
 */
import { connect, type Socket } from 'node:net'

import { createFrameReader } from '../gateways/frames.ts'
import {
  digestOf,
  formatAuth,
  formatPublish,
  formatSubscribe,
  hpfeedsFrames,
  parseMessage,
} from '../gateways/hpfeeds/protocol.ts'
import { answerTasks, figuresOf, type Figures } from './gateway.ts'

export interface Task {
  port: number
  what: 'throughput' | 'latency' | 'idle'
  subscribers: number
  payloadBytes: number
  /** Messages to send; connections to make, for `idle`. */
  count: number
  /** For `latency`: messages a second. */
  rate: number
}

const host = '127.0.0.1'
const ident = 'alice'
const channel = 'alerts'

/** Connect and authenticate; what comes after INFO is the caller's. */
function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, noDelay: true })
    socket.once('error', reject)
    socket.once('data', (bytes: Buffer) => {
      const frames = createFrameReader(hpfeedsFrames)
      frames.feed(bytes)
      const frame = frames.next()
      const info = frame && parseMessage(frame)
      if (info?.op !== 'info') return reject(new Error('no INFO'))
      socket.write(formatAuth(ident, digestOf(info.nonce, 's3cret')))
      resolve(socket)
    })
  })
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function run(task: Task): Promise<Figures> {
  const { port, what, subscribers, payloadBytes, count, rate } = task
  if (what === 'idle') {
    for (let i = 0; i < count; i += 100) {
      await Promise.all(Array.from({ length: Math.min(100, count - i) }, () => open(port)))
    }
    return { eventsPerSecond: 0, p50Ms: 0, p99Ms: 0 }
  }
  const payload = Buffer.alloc(payloadBytes, 'x')
  const frameBytes = formatPublish(ident, channel, payload).length
  const sockets = await Promise.all(Array.from({ length: subscribers }, () => open(port)))
  const latencies: number[] = []
  let left = subscribers
  let allThere = (): void => {}
  const all = new Promise<void>((resolve) => (allThere = resolve))
  for (const [i, socket] of sockets.entries()) {
    let bytes = 0
    const frames = createFrameReader(hpfeedsFrames)
    socket.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      // Counting is enough for most: the clients must not be what is measured.
      if (what === 'latency' && i === subscribers - 1) {
        const now = performance.now()
        frames.feed(chunk)
        for (let frame = frames.next(); frame; frame = frames.next()) {
          const message = parseMessage(frame)
          if (message.op === 'publish') latencies.push(now - message.payload.readDoubleBE(0))
        }
      }
      if (bytes === frameBytes * count && --left === 0) allThere()
    })
    socket.write(formatSubscribe(ident, channel))
  }
  await pause(1000)
  const writer = await open(port)
  const began = performance.now()
  for (let i = 0; i < count; i++) {
    payload.writeDoubleBE(performance.now(), 0)
    const more = writer.write(formatPublish(ident, channel, payload))
    if (what === 'latency') {
      const wait = began + ((i + 1) * 1000) / rate - performance.now()
      if (wait > 0) await pause(wait)
    } else if (!more) await new Promise<void>((resolve) => writer.once('drain', resolve))
  }
  await all
  const figures = figuresOf(count, began, latencies)
  for (const socket of [...sockets, writer]) socket.destroy()
  return figures
}

answerTasks(run)
