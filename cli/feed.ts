/** `nightjar feed`: a client of any hpfeeds broker, with the options of hpfeeds' own. */
import { isUtf8 } from 'node:buffer'
import { appendFileSync, readFileSync } from 'node:fs'

import { Command } from 'commander'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import type { Endpoint } from '../gateways/endpoint.ts'
import { openFeedClient, type FeedClient } from '../gateways/hpfeeds/client.ts'
import { maxDataBytes, type Publish } from '../gateways/hpfeeds/protocol.ts'
import { connectTo, keepLinked, type Schedule } from '../gateways/link.ts'
import { visible } from './visible.ts'
import type { World } from './world.ts'

interface FeedOptions {
  host: string
  port: number
  ident: string
  secret: string
  chan: string[]
  tls?: boolean
  tlscert?: string
}

interface SubscribeOptions extends FeedOptions {
  output?: string
  json?: boolean
  max?: number
}

/** A broker that has not ended its side by then has not said that anything went wrong. */
const finishMs = 5000

/** The waits of a client that has lost its broker. */
const schedule: Schedule = {
  firstMs: 1000,
  factor: 1.5,
  mostMs: 60_000,
  stableMs: 60_000,
  jitter: 0.2,
}

/** The command. */
export function feedCommand(world: World): Command {
  return new Command('feed')
    .description('Publish to, or subscribe to, the channels of any hpfeeds broker.')
    .addHelpText(
      'after',
      `
Examples:
  $ nightjar feed subscribe --host 127.0.0.1 -p 10000 -i alice -s SECRET -c nightjar.ztf_exgalac_trans
  $ nightjar feed publish --host 127.0.0.1 -p 10000 -i alice -s SECRET -c alerts '{"event":"ping"}'
  $ nightjar feed sendfile --host 127.0.0.1 -p 10000 -i alice -s SECRET -c alerts alert.avro`,
    )
    .addCommand(
      withBroker(
        world,
        new Command('publish')
          .description('Publish words, with spaces between them, to each channel.')
          .argument('<data...>', 'the payload'),
      )
        .addHelpText('after', exitHelp)
        .action((data: string[], options: FeedOptions) =>
          publish(world, options, Buffer.from(data.join(' '))),
        ),
    )
    .addCommand(
      withBroker(
        world,
        new Command('sendfile')
          .description('Publish what a file holds to each channel.')
          .argument('<file>', 'at most 1 MiB, ident and channel included'),
      )
        .addHelpText('after', exitHelp)
        .action((file: string, options: FeedOptions) => publish(world, options, contentOf(file))),
    )
    .addCommand(
      withBroker(world, new Command('subscribe').description('Print what the channels carry.'))
        .option('-o, --output <file>', 'append it to a file instead')
        .option('--json', 'print one JSON object a message')
        .option('--max <n>', 'end after this many', Number)
        .addHelpText(
          'after',
          `
A lost broker is looked for again and again, and subscribed to anew. Ctrl-C ends. What is no UTF-8 is
shown in base64, control characters as \\u001b.`,
        )
        .action((options: SubscribeOptions) => subscribe(world, options)),
    )
}

const exitHelp = `
The exit status is 1 where the broker answers with an error. A Nightjar gateway has what was published
on disk when this ends with 0.`

function withBroker(world: World, command: Command): Command {
  return command
    .requiredOption('--host <name>', 'the broker')
    .requiredOption('-p, --port <n>', 'its port', portOf)
    .requiredOption('-i, --ident <name>', 'who you are')
    .requiredOption(
      '-s, --secret <text>',
      'and what proves it; better in HPFEEDS_SECRET, where others do not see it',
      world.env['HPFEEDS_SECRET'],
    )
    .requiredOption(
      '-c, --chan <name>',
      'channel; repeatable',
      (name: string, all: string[] = []) => [...all, name],
    )
    .option('--tls', "speak TLS, trusting the system's authorities")
    .option('--tlscert <file>', 'speak TLS, trusting this certificate')
}

function portOf(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port
  throw new NightjarError('config_invalid', `Cannot take port "${text}": it is none`)
}

function endpointOf({ host, port, tls, tlscert }: FeedOptions): Endpoint {
  if (tls !== true && tlscert === undefined) return { kind: 'tcp', host, port }
  return { kind: 'tls', host, port, tls: tlscert === undefined ? {} : { cert: tlscert } }
}

function contentOf(file: string): Buffer {
  let content: Buffer
  try {
    content = readFileSync(file)
  } catch (cause) {
    throw new NightjarError('input_invalid', `Cannot read "${file}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
  if (content.length <= maxDataBytes) return content
  throw new NightjarError(
    'message_too_large',
    `Cannot send "${file}": it has ${content.length} bytes, hpfeeds takes ${maxDataBytes}`,
  )
}

async function publish(world: World, options: FeedOptions, payload: Buffer): Promise<void> {
  const socket = await connectTo(endpointOf(options), world.signal)
  const { ident, secret, chan } = options
  try {
    const client = await openFeedClient({ socket, ident, secret })
    for (const channel of chan) await client.publish(channel, payload)
    await client.finish(finishMs)
  } finally {
    socket.destroy()
  }
}

async function subscribe(world: World, options: SubscribeOptions): Promise<void> {
  const { ident, secret, chan, output, max = Infinity } = options
  const enough = new AbortController()
  const signal = AbortSignal.any([world.signal, enough.signal])
  let count = 0
  function onMessage(message: Publish): void {
    if (count === max) return
    count++
    const line = `${options.json === true ? jsonOf(message) : lineOf(message)}\n`
    if (output === undefined) world.out(line)
    else appendFileSync(output, line)
    if (count === max) enough.abort()
  }
  await keepLinked({
    endpoint: endpointOf(options),
    signal,
    schedule,
    async use(socket) {
      const stop = (): void => void socket.destroy()
      signal.addEventListener('abort', stop, { once: true })
      try {
        const client: FeedClient = await openFeedClient({ socket, ident, secret, onMessage })
        world.err(`connected to ${client.broker}\n`)
        for (const channel of chan) client.subscribe(channel)
        await Promise.race([client.ended, client.failed])
      } finally {
        signal.removeEventListener('abort', stop)
      }
    },
    isFinal: (error) => error instanceof NightjarError && error.code === 'input_invalid',
    onLost(error, waitMs) {
      const why = error === undefined ? 'the broker ended the connection' : sentenceOf(error)
      world.err(`${why}; again in ${(waitMs / 1000).toFixed(1)} s\n`)
    },
  })
}

const lineOf = ({ ident, channel, payload }: Publish): string =>
  `publish to ${visible(channel)} by ${visible(ident)}: ${
    isUtf8(payload) ? visible(payload.toString()) : payload.toString('base64')
  }`

const jsonOf = ({ ident, channel, payload }: Publish): string =>
  JSON.stringify({
    channel,
    ident,
    ...(isUtf8(payload)
      ? { payload: payload.toString() }
      : { payload_base64: payload.toString('base64') }),
  })
