/** What stands between a client and a service: it passes requests on, or has something go wrong. */
import { once } from 'node:events'
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/**
 * An answer in place of the service's; `lost`: the service does it and its answer is lost; `silence`: nobody
 * answers; `cut`: half of the answer comes.
 */
export type HttpFault =
  { status: number; reason: string; message: string } | 'lost' | 'silence' | 'cut'

export interface Between {
  host: string
  /** Asked before each request, with its method and path; by default nothing goes wrong. */
  fault: (method: string, path: string) => HttpFault | undefined
  /** `METHOD /path?query`, of each request that came. */
  seen: string[]
  stop(): void
}

/** Stand between a client and the service at `target` (`host:port`). */
export async function standBetween(target: string): Promise<Between> {
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing).catch(() => outgoing.destroy())
  })
  async function handle(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const body = await bytesOf(incoming)
    const { method = 'GET', url = '/', headers } = incoming
    between.seen.push(`${method} ${url}`)
    const fault = between.fault(method, url)
    if (fault === 'silence') return
    if (typeof fault === 'object') {
      const { status, reason, message } = fault
      const error = { code: status, message, errors: [{ message, domain: 'global', reason }] }
      outgoing.writeHead(status, { 'content-type': 'application/json' })
      outgoing.end(JSON.stringify({ error }))
      return
    }
    const [host = '', port = ''] = target.split(':')
    const forwarded = request({ host, port: Number(port), method, path: url, headers })
    forwarded.end(body)
    const [answer] = (await once(forwarded, 'response')) as [IncomingMessage]
    const answered = await bytesOf(answer)
    if (fault === 'lost') return void outgoing.destroy()
    outgoing.writeHead(answer.statusCode ?? 500, answer.headers)
    if (fault !== 'cut') return void outgoing.end(answered)
    outgoing.write(answered.subarray(0, answered.length >> 1))
    setTimeout(() => outgoing.destroy(), 50)
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const between: Between = {
    host: `127.0.0.1:${port}`,
    fault: () => undefined,
    seen: [],
    stop() {
      server.closeAllConnections()
      server.close()
    },
  }
  return between
}

async function bytesOf(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}
