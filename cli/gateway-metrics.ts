/** `/metrics` and `/healthz` of an hpfeeds gateway, under the names that hpfeeds' own broker gives them. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

import type { Counter, Gauge } from 'prom-client'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { formatEndpoint, type Endpoint } from '../gateways/endpoint.ts'
import type { IdentTally, Tally } from '../gateways/hpfeeds/tally.ts'

export interface Exporter {
  endpoint: Endpoint
  onPublish(ident: string, channel: string, bytes: number): void
  close(): Promise<void>
}

export interface ExporterOptions {
  endpoint: Endpoint
  tally: Tally
  log: Log
}

type Labels = Record<string, string>
type Values = Iterable<[Labels, number]>

/** Start answering. Rejects with `source_failed` where the address cannot be had. */
export async function startExporter({ endpoint, tally, log }: ExporterOptions): Promise<Exporter> {
  if (endpoint.kind !== 'tcp') {
    throw new NightjarError('config_invalid', 'Cannot export metrics: --exporter takes host:port')
  }
  const { registry, onPublish } = await registryOf(tally)
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      log('feed_failed', { channel: '/metrics', reason: sentenceOf(error) })
      response.destroy()
    })
  })
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?')[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { allow: 'GET, HEAD' }).end()
    } else if (path === '/metrics') {
      const text = await registry.metrics()
      response.writeHead(200, { 'content-type': registry.contentType }).end(text)
    } else if (path === '/healthz') {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    } else {
      response.writeHead(404).end()
    }
  }
  const { host, port } = endpoint
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      reject(
        new NightjarError(
          'source_failed',
          `Cannot export metrics on "${formatEndpoint(endpoint)}": ${sentenceOf(cause)}`,
          { cause },
        ),
      )
    })
    server.listen(port, host, resolve)
  })
  const bound = server.address() as AddressInfo
  return {
    endpoint: { kind: 'tcp', host: bound.address, port: bound.port },
    onPublish,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** The names without "_total": so they were when the dashboards were made. */
async function registryOf(tally: Tally) {
  const { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = await import('prom-client')
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]

  /** A metric whose values are looked up when it is asked for. */
  const gauge = (name: string, help: string, labelNames: string[], values: () => Values): void => {
    new Gauge({
      ...{ name, help, labelNames, registers },
      collect(this: Gauge) {
        this.reset()
        for (const [labels, value] of values()) this.set(labels, value)
      },
    })
  }
  const counter = (
    name: string,
    help: string,
    labelNames: string[],
    values: () => Values,
  ): void => {
    new Counter({
      ...{ name, help, labelNames, registers },
      collect(this: Counter) {
        this.reset()
        for (const [labels, value] of values()) this.inc(labels, value)
      },
    })
  }
  /** One value an ident; those who never proved themselves count as "" and only where they matter. */
  const idents = (value: (of: IdentTally) => number, strangers = false) =>
    function* (): Values {
      for (const one of tally.idents()) {
        if (one.ident !== '' || strangers) yield [{ ident: one.ident }, value(one)]
      }
    }
  const channels = (counts: (of: IdentTally) => Map<string, number>) =>
    function* (): Values {
      for (const one of tally.idents()) {
        for (const [chan, count] of counts(one)) yield [{ ident: one.ident, chan }, count]
      }
    }
  const sum = (one: IdentTally, what: 'sendBuffer' | 'receiveBuffer'): number =>
    [...one.connections].reduce((bytes, connection) => bytes + connection[what](), 0)

  const broker = 'hpfeeds_broker_'
  const connection = `${broker}connection_`
  gauge(`${broker}client_connections`, 'Connections now', [], () => [[{}, tally.connections]])
  gauge(
    'hpfeeds_client_authenticated_connections',
    'Connections now that have authenticated',
    ['ident', 'owner'],
    function* () {
      for (const { ident, owner, connections } of tally.idents()) {
        if (ident !== '') yield [{ ident, owner }, connections.size]
      }
    },
  )
  gauge(
    `${broker}subscriptions`,
    'Connections now that are subscribed',
    ['ident', 'chan'],
    channels(({ subscriptions }) => subscriptions),
  )
  gauge(
    `${connection}send_buffer_size`,
    'Bytes that wait to be sent',
    ['ident'],
    idents((one) => sum(one, 'sendBuffer')),
  )
  gauge(
    `${connection}receive_buffer_size`,
    'Bytes that wait to be a whole message',
    ['ident'],
    idents((one) => sum(one, 'receiveBuffer')),
  )
  counter(`${connection}made`, 'Connections', [], () => [[{}, tally.made]])
  counter(
    `${connection}ready`,
    'Authentications',
    ['ident'],
    idents(({ ready }) => ready),
  )
  counter(
    `${connection}lost`,
    'Connections that have ended',
    ['ident'],
    idents(({ lost }) => lost, true),
  )
  counter(
    `${connection}error`,
    'Connections that the broker refused or ended',
    ['ident', 'category'],
    function* () {
      for (const { ident, faults } of tally.idents()) {
        for (const [category, count] of faults) yield [{ ident, category }, count]
      }
    },
  )
  const counts: [string, string, (of: IdentTally) => number][] = [
    ['receive_buffer_fill', 'Bytes received', ({ received }) => received],
    ['send_buffer_fill', 'Bytes of payload that were to be sent', ({ queued }) => queued],
    ['send_buffer_drain', 'Bytes sent, frames and all', ({ sent }) => sent],
    [
      'send_buffer_deadline_start',
      'Subscribers that became slow',
      ({ deadlinesStarted }) => deadlinesStarted,
    ],
    [
      'send_buffer_deadline_recover',
      'Slow subscribers that caught up',
      ({ deadlinesRecovered }) => deadlinesRecovered,
    ],
  ]
  for (const [name, help, value] of counts) {
    counter(`${connection}${name}`, help, ['ident'], idents(value))
  }
  counter(
    `${broker}receive_publish_count`,
    'Messages published',
    ['ident', 'chan'],
    channels(({ published }) => published),
  )
  const sizes = new Histogram({
    name: `${broker}receive_publish_size`,
    help: 'Bytes of payload of the messages published',
    labelNames: ['ident', 'chan'],
    buckets: Array.from({ length: 13 }, (_, i) => 2 ** (10 + i)),
    registers,
  })
  return {
    registry,
    onPublish: (ident: string, chan: string, bytes: number) =>
      sizes.observe({ ident, chan }, bytes),
  }
}
