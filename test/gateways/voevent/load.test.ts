/** Peers that mean ill, or that are many: memory stays bounded, and the others do not notice. */
import assert from 'node:assert/strict'
import { execFileSync, fork, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { formatFrame } from '../../../gateways/voevent/frame.ts'
import { sendEvent } from '../../../gateways/voevent/sender.ts'
import { startNightjar, type Started } from '../../night/harness.ts'
import { made } from './events.ts'
import { fuzz } from './fuzz.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-voevent-load-'))
const crowds: ChildProcess[] = []
const running: Started[] = []
after(() => {
  for (const crowd of crowds) crowd.kill('SIGKILL')
  for (const { child } of running) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

const host = '127.0.0.1'
const never = new AbortController().signal

/** Files that a process may have open here, and so the connections that a test can make. */
const files = Number(execFileSync('sh', ['-c', 'ulimit -n'], { encoding: 'utf8' }).trim())
const crowdSize = Math.min(10_000, files - 500)

async function start(): Promise<{ started: Started; broadcast: number; receive: number }> {
  const home = mkdtempSync(join(dir, 'home-'))
  const at = 'tcp:0:interface=127.0.0.1'
  const started = startNightjar([
    ...['gateway', 'voevent', '--home', home, '--eventdb', home, '-r', at, '-b', at],
    ...['--local-ivo', 'ivo://org.nightjar/broker', '--broadcast-test-interval', '0'],
  ])
  running.push(started)
  await started.until(/gateway_started .*\n/)
  const [broadcast = 0, receive = 0] = [...started.said().err.matchAll(/tcp:[^:]+:(\d+)/g)].map(
    ([, port]) => Number(port),
  )
  return { started, broadcast, receive }
}

/** Resident memory in MB. */
function memoryOf({ child }: Started): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1000
}

async function send(port: number, number: number): Promise<void> {
  const ivorn = `ivo://org.example/stream#ev${number}`
  const endpoint = { kind: 'tcp', host, port } as const
  const receipt = await sendEvent(endpoint, made({ ivorn }), ivorn, {
    timeoutMs: 20_000,
    signal: never,
  })
  assert.equal(receipt.kind, 'ack')
}

test(`${crowdSize} idle subscribers: a few kilobytes each, and authors are served`, async () => {
  const { started, broadcast, receive } = await start()
  await send(receive, 1)
  const before = memoryOf(started)
  // Files are counted by process: the other ends are in one of their own.
  const words = [String(broadcast), String(crowdSize)]
  const crowd = fork(join(import.meta.dirname, '../hpfeeds/crowd.ts'), words)
  crowds.push(crowd)
  assert.equal(await new Promise((resolve) => crowd.once('message', resolve)), crowdSize)
  const each = ((memoryOf(started) - before) * 1000) / crowdSize
  assert.ok(each < 40, `${each.toFixed(1)} kB a connection`)
  await send(receive, 2)
  crowd.kill('SIGKILL')
})

test('loiterers who send a byte at a time or half a frame do not keep others from being served', async () => {
  const { started, receive } = await start()
  const frame = formatFrame(made({ ivorn: 'ivo://org.example/stream#slow' }))
  const loiterers = Array.from({ length: 500 }, (_, i) => {
    const socket = connect({ host, port: receive, noDelay: true })
    socket.on('error', () => {})
    if (i % 2 === 0) socket.write(frame.subarray(0, 40))
    else socket.end(frame.subarray(0, 40))
    return socket
  })
  let sent = 40
  const timer = setInterval(() => {
    for (const [i, socket] of loiterers.entries()) {
      if (i % 2 === 0 && socket.writable) socket.write(frame.subarray(sent, sent + 1))
    }
    sent++
  }, 50)
  const before = memoryOf(started)
  for (let i = 0; i < 20; i++) await send(receive, 100 + i)
  assert.ok(memoryOf(started) - before < 60)
  clearInterval(timer)
  for (const socket of loiterers) socket.destroy()
})

test('a hundred thousand documents that are spoiled by their structure crash nothing and leave nothing', () => {
  const { inputs, documents, refused, valid, grownMb } = fuzz({ inputs: 100_000, seed: 20261121 })
  assert.equal(inputs, 100_000)
  assert.ok(
    documents > 10_000 && refused > 10_000 && valid > 100,
    `${documents} ${refused} ${valid}`,
  )
  assert.ok(grownMb < 150, `${grownMb} MB`)
})
