/** `nightjar gateway hpfeeds`: an hpfeeds broker, with the options of hpfeeds' own. */
import { Command } from 'commander'

import type { CredentialSource } from '../core/credential.ts'
import { NightjarError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { formatEndpoint, parseEndpoint, type Endpoint } from '../gateways/endpoint.ts'
import { createHpfeedsBroker } from '../gateways/hpfeeds/broker.ts'
import { listen, type Listening } from '../gateways/listen.ts'
import { openGround, startSweeping } from '../local/broker.ts'
import { controlled, withControl, type ControlOptions } from './control.ts'
import { openCredentialSource, usualKeys } from './credential-sources.ts'
import { instanceOf, positive, withHome, type HomeOptions } from './embedded.ts'
import { homeFeeds } from './feeds.ts'
import { startExporter, type Exporter } from './gateway-metrics.ts'
import { createLog } from './log.ts'
import type { World } from './world.ts'

interface HpfeedsOptions extends HomeOptions, ControlOptions {
  bind?: string
  endpoint?: string[]
  exporter?: string
  name: string
  auth?: string[]
  tlscert?: string
  tlskey?: string
  prefix: string
  maxConnections: number
  debug?: boolean
}

const usualBind = '0.0.0.0:20000'

const collect = (value: string, all: string[] = []): string[] => [...all, value]

/** The command. */
export function hpfeedsCommand(world: World): Command {
  const command = new Command('hpfeeds')
    .description(
      'Run an hpfeeds broker. Its channels are topics of the home, so that several brokers share ' +
        'them, and what is relayed is durable.',
    )
    .option('--bind <host:port>', `where to listen (default: ${usualBind})`)
    .option(
      '-e, --endpoint <endpoint>',
      'also listen there, such as tls:port=10001:key=F:cert=F or unix:PATH; repeatable',
      collect,
    )
    .option('--tlscert <file>', 'certificate for --bind, in PEM; read again when it changes')
    .option('--tlskey <file>', 'its key')
    .option('--name <name>', 'what the broker calls itself', 'hpfeeds')
    .option(
      '--auth <source>',
      'sqlite, a .db or .sqlite file, a .json file, or env; repeatable: the first that knows an ' +
        `ident is believed (default: sqlite, which is ${usualKeys} here)`,
      collect,
    )
    .option('--exporter <host:port>', 'answer /metrics and /healthz there; usually port 9431')
    .option('--prefix <text>', 'channel NAME is the topic of this and NAME', 'hpfeeds.')
    .option(
      '--max-connections <n>',
      'connections at once, at each endpoint',
      positive('max-connections'),
      16_384,
    )
    .option('--debug', 'say more: each client that is refused, and why')
  return withControl(withHome(command, world))
    .addHelpText(
      'after',
      `
Alerts are offered as channels that nobody but the broker publishes to: nightjar.ztf_exgalac_trans
carries the topic of that name as JSON, nightjar.ztf_exgalac_trans.avro as it is. A key has to name
them in its subchans like any other. So is what a named filter selects: nightjar.ztf_filter_virgo.

Examples:
  $ nightjar keys add alice --pub alerts --sub alerts,nightjar.ztf_exgalac_trans
  $ nightjar gateway hpfeeds --bind 0.0.0.0:10000 --exporter 127.0.0.1:9431
  $ HPFEEDS_TEST_SECRET=test HPFEEDS_TEST_SUBCHANS=spam HPFEEDS_TEST_PUBCHANS=spam \\
      nightjar gateway hpfeeds --bind 127.0.0.1:10000 --auth env
  $ nightjar gateway hpfeeds --bind 0.0.0.0:10000 --tlskey broker.key --tlscert broker.crt`,
    )
    .action((options: HpfeedsOptions) =>
      controlled(world, { ...options, service: 'hpfeeds' }, (asked) => run(asked, options)),
    )
}

async function run(world: World, options: HpfeedsOptions): Promise<void> {
  const endpoints = endpointsOf(options)
  const metricsAt =
    options.exporter === undefined
      ? undefined
      : parseEndpoint(options.exporter, { host: '0.0.0.0', port: 9431 })
  const all = createLog(world)
  const log: Log = (name, facts) => {
    if (name !== 'client_refused' || options.debug === true) all(name, facts)
  }
  const sources: CredentialSource[] = []
  const opened: { close(): Promise<void> }[] = []
  try {
    for (const auth of options.auth ?? ['sqlite']) {
      sources.push(openCredentialSource('--auth', auth, world, log))
    }
    const ground = await openGround(options.home, instanceOf(options))
    opened.unshift(ground)
    const stopSweeping = startSweeping(ground)
    opened.unshift({ close: async () => stopSweeping() })

    let exporter: Exporter | undefined
    const broker = createHpfeedsBroker({
      name: options.name,
      sources,
      feedOf: await homeFeeds(ground, options.prefix),
      log,
      onPublish: (...published) => exporter?.onPublish(...published),
    })
    opened.unshift(broker)
    if (metricsAt !== undefined) {
      exporter = await startExporter({ endpoint: metricsAt, tally: broker.tally, log })
      opened.unshift(exporter)
    }
    const listening: Listening[] = []
    for (const endpoint of endpoints) {
      const { maxConnections } = options
      listening.push(await listen({ endpoint, accept: broker.accept, log, maxConnections }))
    }
    // First nobody comes any more; then those who are there are seen out.
    opened.unshift({
      async close() {
        const closed = listening.map((one) => one.close())
        await broker.close()
        await Promise.all(closed)
      },
    })
    log('gateway_started', {
      gateway: 'hpfeeds',
      listening: listening.map(({ endpoint }) => formatEndpoint(endpoint)),
      ...(exporter !== undefined && { metrics: formatEndpoint(exporter.endpoint) }),
    })
    await aborted(world.signal)
    log('gateway_stopped', { gateway: 'hpfeeds', reason: 'asked to' })
  } finally {
    for (const one of opened) await one.close()
    for (const source of sources) source.close()
  }
}

function endpointsOf(options: HpfeedsOptions): Endpoint[] {
  const { bind, endpoint = [], tlscert, tlskey } = options
  if ((tlscert === undefined) !== (tlskey === undefined)) {
    throw new NightjarError(
      'config_invalid',
      'Cannot use TLS: --tlskey and --tlscert must be given both',
    )
  }
  const found = endpoint.map((text) => parseEndpoint(text, { host: '0.0.0.0' }))
  if (bind === undefined && found.length > 0) {
    if (tlscert === undefined) return found
    throw new NightjarError(
      'config_invalid',
      'Cannot use --tlscert without --bind: an endpoint names its own, as in tls:port=10000:key=F:cert=F',
    )
  }
  const bound = parseEndpoint(bind ?? usualBind, { host: '0.0.0.0' })
  if (tlscert === undefined || tlskey === undefined) return [bound, ...found]
  if (bound.kind === 'unix') {
    throw new NightjarError('config_invalid', 'Cannot use TLS on a Unix socket')
  }
  return [{ ...bound, kind: 'tls', tls: { key: tlskey, cert: tlscert } }, ...found]
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
