/**
 * A TCP proxy before a Kafka listener that knows as much of the protocol as it takes to spoil it: it
 * cuts, stalls, cuts in the middle of an answer, and changes answers on their way.
 */
import { once } from 'node:events'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** Kinds of requests, by their numbers in the protocol. */
export const api = { fetch: 1, offsetCommit: 8, heartbeat: 12 } as const

export interface Proxy {
  port: number
  /** Where it leads to; to be set before the first connection. */
  target: number
  /** Change the next `times` answers to requests of a kind. */
  spoil(kind: number, times: number, change: (answer: Buffer, version: number) => Buffer): void
  /** Close each connection after so many bytes more of answers to fetches: in the middle of one. */
  cutFetchAfter(bytes: number): void
  /** Close every connection and refuse new ones. */
  cut(): void
  /** Pass nothing on, close nothing. */
  stall(): void
  /** Undo `cut` and `stall`. */
  mend(): void
  /** How many answers were changed, and connections cut half-way. */
  spoiled(): number
  close(): Promise<void>
}

interface Spoiler {
  kind: number
  times: number
  change: (answer: Buffer, version: number) => Buffer
}

/** Start a proxy on a free port of this machine. */
export async function startProxy(): Promise<Proxy> {
  const sockets = new Set<Socket>()
  const spoilers: Spoiler[] = []
  let refusing = false
  let stalled = false
  let spoiled = 0
  let cutAfter: number | undefined

  const server = createServer((client) => {
    if (refusing) return void client.destroy()
    const broker = connect(proxy.target, '127.0.0.1')
    /** What was asked, by correlation id. */
    const asked = new Map<number, { kind: number; version: number }>()
    for (const socket of [client, broker]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        client.destroy()
        broker.destroy()
      })
      if (stalled) socket.pause()
    }
    client.on(
      'data',
      framesTo((frame) => {
        const kind = frame.readInt16BE(4)
        asked.set(frame.readInt32BE(8), { kind, version: frame.readInt16BE(6) })
        broker.write(frame)
      }),
    )
    broker.on(
      'data',
      framesTo((frame) => {
        const of = asked.get(frame.readInt32BE(4))
        asked.delete(frame.readInt32BE(4))
        const spoiler = spoilers.find(({ kind, times }) => kind === of?.kind && times > 0)
        if (of !== undefined && spoiler !== undefined) {
          spoiler.times--
          spoiled++
          client.write(spoiler.change(Buffer.from(frame), of.version))
          return
        }
        if (of?.kind === api.fetch && cutAfter !== undefined && frame.length > 1000) {
          if (cutAfter < frame.length) {
            client.write(frame.subarray(0, cutAfter), () => client.destroy())
            cutAfter = undefined
            spoiled++
            return
          }
          cutAfter -= frame.length
        }
        client.write(frame)
      }),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const proxy: Proxy = {
    port: (server.address() as AddressInfo).port,
    target: 0,
    spoil: (kind, times, change) => void spoilers.push({ kind, times, change }),
    cutFetchAfter: (bytes) => void (cutAfter = bytes),
    cut() {
      refusing = true
      for (const socket of sockets) socket.destroy()
    },
    stall() {
      stalled = true
      for (const socket of sockets) socket.pause()
    },
    mend() {
      refusing = false
      stalled = false
      for (const socket of sockets) socket.resume()
    },
    spoiled: () => spoiled,
    async close() {
      refusing = true
      for (const socket of sockets) socket.destroy()
      server.close()
    },
  }
  return proxy
}

/** Put frames (a length of four bytes, then as many) together and hand each on whole. */
function framesTo(take: (frame: Buffer) => void): (data: Buffer) => void {
  let held: Buffer = Buffer.alloc(0)
  return (data) => {
    held = held.length === 0 ? data : Buffer.concat([held, data])
    while (held.length >= 4 && held.length >= 4 + held.readInt32BE(0)) {
      const size = 4 + held.readInt32BE(0)
      take(held.subarray(0, size))
      held = held.subarray(size)
    }
  }
}

/** Put an error into every partition of an answer to OffsetCommit (versions 3 to 7). */
export function refuseCommit(error: number): (answer: Buffer) => Buffer {
  return (answer) => {
    // Size, correlation id, throttle time; then topics of partitions.
    let p = 12
    const topics = answer.readInt32BE(p)
    p += 4
    for (let t = 0; t < topics; t++) {
      p += 2 + answer.readInt16BE(p)
      const partitions = answer.readInt32BE(p)
      p += 4
      for (let i = 0; i < partitions; i++) {
        answer.writeInt16BE(error, p + 4)
        p += 6
      }
    }
    return answer
  }
}
