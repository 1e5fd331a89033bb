/** `/metrics` and `/healthz` of a long run, for Prometheus and for whoever starts it again. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { Command } from 'commander'

import { parseAddress } from '../consumer/config.ts'
import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'

/** Where to listen. */
export interface Address {
  host: string
  port: number
}

/** Add `--metrics` to a verb. */
export function withMetrics(command: Command): Command {
  return command.option(
    '--metrics <address>',
    'serve /metrics and /healthz at a port of this machine, or host:port',
    metricsArgument,
  )
}

function metricsArgument(text: string): Address {
  const address = parseAddress(/^\d+$/.test(text) ? `127.0.0.1:${text}` : text)
  if (address !== undefined) return address
  throw new NightjarError(
    'config_invalid',
    `Cannot serve metrics at "${text}": it must be a port such as 9464, or host:port`,
  )
}

/** Serve a register. Throws `config_invalid` where the address is not to be had. */
export async function openMetricsServer(options: {
  at: Address
  register: { metrics(): Promise<string>; contentType: string }
  /** What is wrong, if something is. */
  illness(): string | undefined
  log: Log
}): Promise<{ close(): Promise<void> }> {
  const { at, register, illness, log } = options
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0]
    if (request.method !== 'GET' || (path !== '/metrics' && path !== '/healthz')) {
      response.writeHead(404).end('There are /metrics and /healthz.\n')
    } else if (path === '/healthz') {
      const why = illness()
      const body = why === undefined ? { healthy: true } : { healthy: false, why }
      response.writeHead(why === undefined ? 200 : 503, { 'content-type': 'application/json' })
      response.end(`${JSON.stringify(body)}\n`)
    } else {
      register.metrics().then(
        (text) => response.writeHead(200, { 'content-type': register.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(`${sentenceOf(error)}\n`),
      )
    }
  })
  server.listen(at.port, at.host)
  try {
    await once(server, 'listening')
  } catch (cause) {
    throw new NightjarError(
      'config_invalid',
      `Cannot serve metrics at ${at.host}:${at.port}: ${sentenceOf(cause)}`,
      { cause },
    )
  }
  const { port } = server.address() as AddressInfo
  const host = at.host.includes(':') ? `[${at.host}]` : at.host
  log('metrics_served', { url: `http://${host}:${port}/metrics` })
  return {
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
