/**
 * What stands between Pub/Sub and a function and loses one message for one of the stages that share it: it is
 * answered well, and the stage has never seen it. All else passes.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import { forStageAttribute, kafkaAttributes } from '../../../core/alert.ts'

interface Pushed {
  message: { attributes?: Record<string, string> }
}

export interface LossyPush {
  url: string
  /** Messages that came for one stage alone, in order: `stage partition/offset`. */
  replayed: string[]
  stop(): void
}

/** Stand before the function at `to`; `others` are the stages that see what is lost for another. */
export async function startLossyPush(
  to: string,
  lost: { partition: number; offset: number },
  others: readonly string[],
): Promise<LossyPush> {
  const replayed: string[] = []
  let isLost = false

  async function forward(path: string, pushed: Pushed): Promise<number> {
    const response = await fetch(`${to}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(pushed),
    })
    await response.arrayBuffer()
    return response.status
  }

  async function pass(path: string, pushed: Pushed): Promise<number> {
    const { message } = pushed
    const { attributes = {} } = message
    const { [forStageAttribute]: stage } = attributes
    const place = `${attributes[kafkaAttributes.partition]}/${attributes[kafkaAttributes.offset]}`
    if (stage !== undefined) replayed.push(`${stage} ${place}`)
    if (stage !== undefined || place !== `${lost.partition}/${lost.offset}`) {
      return forward(path, pushed)
    }
    if (isLost) return 204
    for (const other of others) {
      const told = { ...attributes, [forStageAttribute]: other }
      const status = await forward(path, { ...pushed, message: { ...message, attributes: told } })
      if (status >= 300) return status
    }
    isLost = true
    return 204
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const pushed = JSON.parse(Buffer.concat(chunks).toString()) as Pushed
      pass(request.url ?? '/', pushed).then(
        (status) => response.writeHead(status).end(),
        () => response.writeHead(502).end(),
      )
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    replayed,
    stop() {
      server.close()
      server.closeAllConnections()
    },
  }
}
