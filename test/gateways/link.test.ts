import assert from 'node:assert/strict'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { test } from 'node:test'

import { connectTo, keepLinked } from '../../gateways/link.ts'

async function server(accept: (socket: Socket) => void): Promise<{ port: number; close(): void }> {
  const listening = createServer(accept)
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  return { port: (listening.address() as AddressInfo).port, close: () => listening.close() }
}

test('a link that breaks is made again, with waits that grow and are the first again after a good one', async () => {
  let connections = 0
  const { port, close } = await server((socket) => {
    connections++
    socket.on('error', () => {})
    socket.end()
  })
  const stop = new AbortController()
  const waits: number[] = []
  let clock = 0
  await keepLinked({
    endpoint: { kind: 'tcp', host: '127.0.0.1', port },
    schedule: { firstMs: 1, factor: 3, mostMs: 9, stableMs: 1000 },
    signal: stop.signal,
    now: () => clock,
    async use() {
      if (connections === 5) clock += 5000
    },
    onLost(_, waitMs) {
      waits.push(waitMs)
      if (waits.length === 7) stop.abort()
    },
  })
  close()
  assert.deepEqual(waits, [1, 3, 9, 9, 1, 3, 9])
})

test('chance shortens a wait by at most the jitter', async () => {
  const { port, close } = await server((socket) => socket.destroy())
  const stop = new AbortController()
  const waits: number[] = []
  await keepLinked({
    endpoint: { kind: 'tcp', host: '127.0.0.1', port },
    schedule: { firstMs: 8, factor: 1, mostMs: 8, stableMs: 1e9, jitter: 0.5 },
    signal: stop.signal,
    random: () => 0.75,
    use: async () => {},
    onLost(_, waitMs) {
      waits.push(waitMs)
      if (waits.length === 3) stop.abort()
    },
  })
  close()
  assert.deepEqual(waits, [5, 5, 5])
})

test('what is final ends the link with it; nobody listening is not final', async () => {
  const { port, close } = await server((socket) => socket.destroy())
  const endpoint = { kind: 'tcp', host: '127.0.0.1', port } as const
  const schedule = { firstMs: 1, factor: 1, mostMs: 1, stableMs: 1e9 }
  const final = new Error('no such ident')
  let tries = 0
  await assert.rejects(
    keepLinked({
      ...{ endpoint, schedule, signal: new AbortController().signal },
      async use() {
        if (++tries === 3) throw final
        throw new Error('passing')
      },
      isFinal: (error) => error === final,
    }),
    final,
  )
  assert.equal(tries, 3)
  close()
  const stop = new AbortController()
  const lost: unknown[] = []
  await keepLinked({
    ...{ endpoint, schedule, signal: stop.signal },
    use: async () => assert.fail('nobody is there'),
    onLost(error) {
      if (lost.push(error) === 2) stop.abort()
    },
  })
  assert.match(String(lost[0]), /Cannot connect to "tcp:127\.0\.0\.1:\d+": connect ECONNREFUSED/)
})

test('a connection that is asked for when all is over is not made', async () => {
  await assert.rejects(
    connectTo({ kind: 'tcp', host: '127.0.0.1', port: 9 }, AbortSignal.abort()),
    {
      code: 'source_failed',
      message: 'Cannot connect to "tcp:127.0.0.1:9": asked to stop',
    },
  )
})
