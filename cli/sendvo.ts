/** `nightjar sendvo`: send one VOEvent to a broker and say what became of it. */
import { readFile } from 'node:fs/promises'

import { Command } from 'commander'

import { NightjarError, sentenceOf } from '../core/errors.ts'
import { formatEndpoint, parseEndpoint } from '../gateways/endpoint.ts'
import { positive } from './embedded.ts'
import type { World } from './world.ts'

interface SendOptions {
  timeout: number
  json?: boolean
}

/** The command. */
export function sendvoCommand(world: World): Command {
  return new Command('sendvo')
    .description('Send a VOEvent to a broker (VTP), and wait for its receipt.')
    .argument('<target>', 'host, host:port, tcp:host:port, tls:host:port or unix:path; port 8098')
    .argument('<event>', 'file of the event, or - for standard input')
    .option('--timeout <seconds>', 'how long to wait for the receipt', positive('timeout'), 20)
    .option('--json', 'print the receipt as JSON')
    .addHelpText(
      'after',
      `
The exit status is 0 if the broker took the event, 1 if it refused it or is not there, and 2 if it went
without saying.

Examples:
  $ nightjar sendvo localhost event.xml
  $ nightjar sendvo voevent.example.org:8098 - < event.xml`,
    )
    .action((target: string, file: string, options: SendOptions) =>
      send(world, target, file, options),
    )
}

async function send(
  world: World,
  target: string,
  file: string,
  options: SendOptions,
): Promise<void> {
  const { parseDocument } = await import('../gateways/voevent/document.ts')
  const { mostDocumentBytes } = await import('../gateways/voevent/frame.ts')
  const { sendEvent } = await import('../gateways/voevent/sender.ts')
  const endpoint = parseEndpoint(target, { host: 'localhost', port: 8098 })
  const bytes = await read(file)
  if (bytes.length > mostDocumentBytes) {
    throw new NightjarError(
      'message_too_large',
      `Cannot send "${file}": it has ${bytes.length} bytes, and brokers take ${mostDocumentBytes}`,
    )
  }
  using document = parseDocument(bytes)
  const { head } = document
  if (head.kind !== 'event' || head.ivorn === undefined) {
    throw new NightjarError(
      'input_invalid',
      `Cannot send "${file}": it is no VOEvent with an ivorn`,
    )
  }
  const { signal } = world
  const receipt = await sendEvent(endpoint, bytes, head.ivorn, {
    timeoutMs: options.timeout * 1000,
    signal,
  })
  const where = formatEndpoint(endpoint)
  if (options.json === true) world.out(`${JSON.stringify({ ivorn: head.ivorn, ...receipt })}\n`)
  else if (receipt.kind === 'ack') world.err(`nightjar: ${where} took ${head.ivorn}\n`)
  if (receipt.kind === 'ack') return
  if (options.json !== true) {
    const did = receipt.kind === 'nak' ? 'refused' : 'did not acknowledge'
    world.err(`nightjar: ${where} ${did} ${head.ivorn}: ${receipt.reason}\n`)
  }
  world.exit(receipt.kind === 'nak' ? 1 : 2)
}

async function read(file: string): Promise<Buffer> {
  try {
    if (file !== '-') return await readFile(file)
    const chunks: Buffer[] = []
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks)
  } catch (cause) {
    throw new NightjarError('input_invalid', `Cannot read "${file}": ${sentenceOf(cause)}`, {
      cause,
    })
  }
}
