/** The gateway as its users start it, by the rows of what Comet's documentation says. */
import assert from 'node:assert/strict'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { createFrameReader } from '../../../gateways/frames.ts'
import { parseDocument } from '../../../gateways/voevent/document.ts'
import { formatFrame, vtpFrames } from '../../../gateways/voevent/frame.ts'
import { formatTransport } from '../../../gateways/voevent/transport.ts'
import { openGround } from '../../../local/broker.ts'
import { makeNight, nightjar, runHere, startNightjar, type Started } from '../../night/harness.ts'
import { made } from './events.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-voevent-'))
const running: Started[] = []
after(() => {
  for (const { child } of running) if (child.exitCode === null) child.kill('SIGKILL')
  rmSync(dir, { recursive: true, force: true })
})

let events = 0
const nextIvorn = (): string => `ivo://org.example/stream#ev${++events}`
const local = ['--local-ivo', 'ivo://org.nightjar/broker']
const here = 'tcp:0:interface=127.0.0.1'

interface Running {
  started: Started
  endpoints: string[]
  stop(): Promise<string>
}

/** Start a gateway in a home of its own, or in one that is there. */
async function gateway(
  words: readonly string[],
  options: { home?: string; env?: Record<string, string> } = {},
): Promise<Running> {
  const home = options.home ?? mkdtempSync(join(dir, 'home-'))
  const db = ['--home', home, '--eventdb', join(home, 'seen')]
  const started = startNightjar(
    ['gateway', 'voevent', ...db, ...words],
    options.env && { env: options.env },
  )
  running.push(started)
  await started.until(/gateway_started .*\n/)
  const [, list = ''] = /listening=\[([^\]]*)\]/.exec(started.said().err.replaceAll('\\', '')) ?? []
  return {
    started,
    endpoints: [...list.matchAll(/"([^"]+)"/g)].map(([, endpoint]) => endpoint ?? ''),
    async stop() {
      started.child.kill('SIGTERM')
      const ended = await started.ended
      assert.equal(ended.status, 0, ended.err)
      return `${ended.out}${ended.err}`
    },
  }
}

/** Send by our own `sendvo`, as an author would. */
async function sendvo(
  endpoint: string,
  event: Buffer,
): Promise<{ status: number | null; err: string }> {
  const file = join(dir, `event-${++events}.xml`)
  writeFileSync(file, event)
  return runHere(['sendvo', endpoint, file])
}

/** A subscriber that keeps the events it is sent, and answers as it should. */
function listener(endpoint: string) {
  const [, port] = /:(\d+)$/.exec(endpoint) ?? []
  const socket = connect({ host: '127.0.0.1', port: Number(port) })
  const reader = createFrameReader(vtpFrames)
  const got: { ivorn: string; role: string; bytes: Buffer }[] = []
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    reader.feed(chunk)
    for (let frame = reader.next(); frame !== undefined; frame = reader.next()) {
      using document = parseDocument(frame.body)
      const { head } = document
      const role = head.kind === 'event' ? 'ack' : head.role
      const origin = head.kind === 'event' ? (head.ivorn ?? '') : head.origin
      if (role !== 'authenticate') {
        socket.write(formatFrame(formatTransport({ role, origin, at: new Date() })))
      }
      if (head.kind !== 'event') continue
      got.push({ ivorn: head.ivorn ?? '', role: head.role, bytes: Buffer.from(frame.body) })
    }
  })
  return {
    got,
    socket,
    async until(count: number): Promise<void> {
      while (got.length < count) await pause(20)
    },
  }
}

test('C5 --help teaches and ends with 0', async () => {
  const { out, status } = await runHere(['gateway', 'voevent', '--help'])
  assert.equal(status, 0)
  for (const option of [
    '--local-ivo',
    '--receive',
    '--broadcast',
    '--subscribe',
    '--filter',
    '--cmd',
    '--save-event',
  ]) {
    assert.ok(out.includes(option), option)
  }
})

test('C4 C6 it stays in the foreground, warns alone, with -v tells who comes, and with -vv what programs say', async () => {
  const program = join(dir, 'says')
  writeFileSync(program, '#!/bin/sh\ncat > /dev/null\necho seen\n')
  chmodSync(program, 0o755)
  for (const [levels, expected] of [
    [[], { came: false, said: false }],
    [['-v'], { came: true, said: false }],
    [['-v', '--verbose'], { came: true, said: true }],
  ] as const) {
    const saved = mkdtempSync(join(dir, 'saved-'))
    const handlers = ['--cmd', program, '--save-event', '--save-event-directory', saved]
    const words = [...local, '-r', here, '-b', here, ...handlers, ...levels]
    const { endpoints, started, stop } = await gateway(words)
    listener(endpoints[0] ?? '')
    assert.equal((await sendvo(endpoints[1] ?? '', made({ ivorn: nextIvorn() }))).status, 0)
    while (readdirSync(saved).length === 0) await pause(20)
    if (expected.said) await started.until(/handler_said/)
    else await pause(200)
    await sendvo(endpoints[1] ?? '', made({ ivorn: 'ivo://a' }))
    await started.until(/voevent_refused .*Invalid IVOID/)
    const said = await stop()
    assert.equal(said.includes('subscriber_came'), expected.came)
    assert.equal(said.includes('handler_said'), expected.said)
  }
})

test('what a gateway accepted is in the table voevents, though the broker starts later', async () => {
  const home = mkdtempSync(join(dir, 'home-'))
  const { endpoints, stop } = await gateway([...local, '-r', here], { home })
  const ivorn = nextIvorn()
  assert.equal((await sendvo(endpoints[0] ?? '', made({ ivorn }))).status, 0)
  await stop()
  const night = makeNight(join(home, 'made'), { alerts: 20, corrupt: 0 })
  const ran = await nightjar('run', '--once', '--home', home, '--from', night.from)
  assert.equal(ran.status, 0, ran.err)
  const sql = 'SELECT ivorn, source, decode(xml) AS xml FROM voevents'
  const { out } = await nightjar('query', '--json', '--home', home, sql)
  assert.deepEqual(JSON.parse(out), { ivorn, source: 'receive', xml: made({ ivorn }).toString() })
})

test('C7 without --local-ivo nothing is received or broadcast, and one that is none is refused', async () => {
  for (const role of ['--receive', '--broadcast']) {
    const { err, status } = await runHere(['gateway', 'voevent', role, here])
    assert.equal(status, 2)
    assert.match(err, /IVOA identifier required \(--local-ivo\)/)
  }
  const bad = await runHere(['gateway', 'voevent', '--receive', here, '--local-ivo', 'ivo://a'])
  assert.equal(bad.status, 1)
  assert.match(bad.err, /Invalid IVOID/)
})

test('C8 an event database that cannot be is told at once', async () => {
  const file = join(dir, 'a-file')
  writeFileSync(file, '')
  const { err, status } = await runHere([
    'gateway',
    'voevent',
    '--receive',
    here,
    ...local,
    '--eventdb',
    file,
    '--home',
    join(dir, 'never'),
  ])
  assert.equal(status, 1)
  assert.match(err, /Cannot keep seen events in/)
})

test('C10 with nothing to do it says so and ends with 0', async () => {
  const { err, status } = await runHere(['gateway', 'voevent'])
  assert.equal(status, 0)
  assert.match(err, /No services requested; stopping\./)
})

test('C20 a filter of wrong syntax is refused at the start', async () => {
  const { err, status } = await runHere([
    'gateway',
    'voevent',
    '--subscribe',
    'localhost',
    '--filter',
    '//[',
  ])
  assert.equal(status, 1)
  assert.match(err, /it is no XPath 1\.0/)
})

test('C1 C2 C3 C12 C13 C16 C29 one process receives at two places and broadcasts at two; each event reaches everybody bit for bit', async () => {
  const unix = join(dir, 'receive.sock')
  const words = [
    '--receive',
    here,
    '--receive',
    `unix:${unix}`,
    '--broadcast',
    here,
    '--broadcast',
    here,
    '--broadcast-test-interval',
    '0',
  ]
  const { endpoints, stop } = await gateway([...local, ...words])
  const [one = '', two = ''] = endpoints.filter((name) => name.startsWith('tcp'))
  const third = endpoints.filter((name) => name.startsWith('tcp'))[2] ?? ''
  const listeners = [listener(one), listener(two)]
  await pause(200)
  const [first, second] = [made({ ivorn: nextIvorn() }), made({ ivorn: nextIvorn() })]
  assert.equal((await sendvo(third, first)).status, 0)
  assert.equal((await sendvo(`unix:${unix}`, second)).status, 0)
  for (const { until, got } of listeners) {
    await until(2)
    const bytes = got.map((event) => event.bytes.toString('latin1')).sort()
    assert.deepEqual(bytes, [first, second].map((event) => event.toString('latin1')).sort())
  }
  assert.match(await stop(), /whitelist_bypassed endpoint=unix:/)
})

test('C2 C9 C19 what comes from another broker takes the same way, once, though two send it', async () => {
  const up = [
    await gateway([...local, '-r', here, '-b', here]),
    await gateway([...local, '-r', here, '-b', here]),
  ]
  const broadcasts = up.map(({ endpoints }) => endpoints[0] ?? '')
  const down = await gateway([
    ...broadcasts.flatMap((endpoint) => ['--subscribe', endpoint.replace('tcp:', '')]),
    '--print-event',
    '-v',
  ])
  await down.started.until(/upstream_linked[\s\S]*upstream_linked/)
  const ivorn = nextIvorn()
  for (const { endpoints } of up)
    assert.equal((await sendvo(endpoints[1] ?? '', made({ ivorn }))).status, 0)
  await down.started.until(new RegExp(ivorn))
  await pause(300)
  const said = await down.stop()
  assert.equal(said.split(`ivorn="${ivorn}"`).length - 1, 1)
  for (const { stop } of up) await stop()
})

test('C14 C17 who is not on the whitelist is let go before a word', async () => {
  const words = [
    '--receive',
    here,
    '--receive-whitelist',
    '192.0.2.0/24',
    '--broadcast',
    here,
    '--broadcast-whitelist',
    '127.0.0.1/255.255.255.255',
    '--broadcast-test-interval',
    '0',
  ]
  const { endpoints, stop } = await gateway([...local, ...words])
  const [broadcast = '', receive = ''] = endpoints
  const { status, err } = await sendvo(receive, made({ ivorn: nextIvorn() }))
  assert.equal(status, 2)
  assert.match(err, /closed without a receipt/)
  const peer = listener(broadcast)
  await pause(200)
  assert.ok(!peer.socket.destroyed)
  await stop()
})

test('C18 a test event goes out at the start and then as often as is asked for', async () => {
  const { endpoints, stop } = await gateway([
    ...local,
    '--broadcast',
    here,
    '--broadcast-test-interval',
    '1',
  ])
  const peer = listener(endpoints[0] ?? '')
  await peer.until(2)
  assert.equal(peer.got[0]?.role, 'test')
  assert.match(peer.got[0]?.ivorn ?? '', /^ivo:\/\/org\.nightjar\/broker#TestEvent-\d{4}-/)
  await stop()
})

test('C11 C21 C22 C23 C24 C25 every handler is given every event, and a slow one holds up nobody', async () => {
  const plugins = join(dir, 'plugins')
  mkdirSync(plugins)
  const counted = join(dir, 'counted')
  writeFileSync(
    join(plugins, 'count.mjs'),
    `import { appendFileSync } from 'node:fs'
     export default { name: 'count', options: [{ name: 'file', help: 'where' }],
       create: ({ file }) => ({ name: 'count', handle: ({ ivorn }) => appendFileSync(file, ivorn + '\\n') }) }`,
  )
  const slow = join(dir, 'slow')
  writeFileSync(slow, '#!/bin/sh\nsleep 1\ncat > /dev/null\nexit 3\n')
  chmodSync(slow, 0o755)
  const saved = join(dir, 'saved')
  const { endpoints, started, stop } = await gateway(
    [
      ...local,
      '-r',
      here,
      '-b',
      here,
      '--broadcast-test-interval',
      '0',
      '--print-event',
      '--save-event',
      '--save-event-directory',
      saved,
      '--cmd',
      slow,
      '--count',
      `--count-file=${counted}`,
    ],
    { env: { COMET_PLUGINPATH: plugins } },
  )
  const peer = listener(endpoints[0] ?? '')
  await pause(200)
  const ivorn = nextIvorn()
  const began = performance.now()
  await sendvo(endpoints[1] ?? '', made({ ivorn }))
  await peer.until(1)
  assert.ok(performance.now() - began < 1000)
  await started.until(/returned non-zero \(3\)/)
  assert.equal(readFileSync(counted, 'utf8'), `${ivorn}\n`)
  assert.equal(readdirSync(saved).length, 1)
  assert.match(await stop(), new RegExp(`ivorn="${ivorn}"`))
})

test('C22 an option that no plugin has is refused', async () => {
  const { err, status } = await runHere([
    'gateway',
    'voevent',
    '--subscribe',
    'localhost',
    '--nonsense',
  ])
  assert.equal(status, 2)
  assert.match(err, /Cannot take "--nonsense"/)
})

test('C28 sendvo tells an ack, a refusal, nobody there and no receipt apart', async () => {
  const { endpoints, stop } = await gateway([...local, '-r', here])
  const event = made({ ivorn: nextIvorn() })
  assert.equal((await sendvo(endpoints[0] ?? '', event)).status, 0)
  const again = await sendvo(endpoints[0] ?? '', event)
  assert.equal(again.status, 1)
  assert.match(again.err, /Event rejected: Previously seen by this broker/)
  await stop()
  assert.equal((await sendvo(endpoints[0] ?? '', event)).status, 1)
  const large = await sendvo(
    'localhost',
    made({ body: `<Description>${'x'.repeat(100_000)}</Description>` }),
  )
  assert.match(large.err, /brokers take 99999/)
})

test('an author that was acked finds its event on the topic, though the gateway is killed in full flow', async () => {
  const home = mkdtempSync(join(dir, 'home-'))
  const acked: string[] = []
  const saved = join(dir, 'found')
  const words = [...local, '-r', here, '--save-event', '--save-event-directory', saved]
  for (let round = 0; round < 5; round++) {
    const { endpoints, started } = await gateway(words, { home })
    const [, port] = /:(\d+)$/.exec(endpoints[0] ?? '') ?? []
    let alive = true
    const authors = Array.from({ length: 8 }, async () => {
      while (alive) {
        const ivorn = nextIvorn()
        const socket = connect({ host: '127.0.0.1', port: Number(port) })
        socket.on('error', () => {})
        socket.write(formatFrame(made({ ivorn })))
        const chunks: Buffer[] = []
        await new Promise<void>((resolve) => {
          socket.on('data', (chunk) => chunks.push(chunk))
          socket.on('close', () => resolve())
        })
        if (Buffer.concat(chunks).includes('role="ack"')) acked.push(ivorn)
      }
    })
    await pause(150 + 80 * round)
    started.child.kill('SIGKILL')
    alive = false
    await started.ended
    await Promise.all(authors)
  }
  assert.ok(acked.length > 20, `${acked.length}`)
  const last = await gateway(words, { home })
  const nameOf = (ivorn: string): string => `ivo__org.example_stream${ivorn.split('#')[1]}`
  for (let i = 0; i < 100 && acked.some((ivorn) => !existsSync(join(saved, nameOf(ivorn)))); i++)
    await pause(100)
  assert.deepEqual(
    acked.filter((ivorn) => !existsSync(join(saved, nameOf(ivorn)))),
    [],
  )
  await last.stop()
})

test('alerts of a topic go out as VOEvents, each once', async () => {
  const home = mkdtempSync(join(dir, 'home-'))
  const night = makeNight(join(home, 'made'), { alerts: 60, corrupt: 0, duplicates: 0.2 })
  const { endpoints, stop } = await gateway(
    [...local, '-b', here, '--broadcast-test-interval', '0', '--alerts', 'ztf_alert_data'],
    { home },
  )
  const peer = listener(endpoints[0] ?? '')
  await pause(200)
  assert.equal((await nightjar('run', '--once', '--home', home, '--from', night.from)).status, 0)
  const known = night.truths.filter(({ kind }) => kind !== 'gap')
  const alerts = new Set(known.map(({ objectId, candid }) => `${objectId} ${candid}`)).size
  assert.ok(alerts < known.length)
  await peer.until(alerts)
  await pause(300)
  const ivorns = peer.got.map(({ ivorn }) => ivorn)
  assert.equal(new Set(ivorns).size, alerts)
  assert.equal(ivorns.length, alerts)
  assert.match(ivorns[0] ?? '', /^ivo:\/\/org\.nightjar\/broker\/ztf#ZTF\d\d[a-z]{7}_\d{15,19}$/)
  await stop()
})

test('what a named filter selects goes out as VOEvents, and nothing else', async () => {
  const home = mkdtempSync(join(dir, 'home-'))
  const night = makeNight(join(home, 'made'), { alerts: 60, corrupt: 0 })
  assert.equal((await nightjar('filter', 'add', 'good', 'rb > 0.5', '--home', home)).status, 0)
  const { endpoints, stop } = await gateway(
    [...local, '-b', here, '--broadcast-test-interval', '0', '--alerts', 'ztf_filter_good'],
    { home },
  )
  const peer = listener(endpoints[0] ?? '')
  await pause(200)
  assert.equal((await nightjar('run', '--once', '--home', home, '--from', night.from)).status, 0)
  const asked = ['filter', 'test', 'rb > 0.5', '--json', '--list', '1000', '--home', home]
  const { alerts } = JSON.parse((await nightjar(...asked)).out) as {
    alerts: { objectId: string; candid: string }[]
  }
  assert.ok(alerts.length > 0)
  await peer.until(alerts.length)
  await pause(300)
  assert.deepEqual(
    peer.got.map(({ ivorn }) => ivorn.split('#')[1]).sort(),
    alerts.map(({ objectId, candid }) => `${objectId}_${candid}`).sort(),
  )
  await stop()
})

test('a fit that is to be relied on goes out with its forecast, once the archive has the alert; others do not', async () => {
  const home = mkdtempSync(join(dir, 'home-'))
  const night = makeNight(join(home, 'made'), { alerts: 20, corrupt: 0, duplicates: 0, late: 0 })
  const [one, two] = night.truths.filter(({ kind }) => kind !== 'gap')
  assert.ok(one !== undefined && two !== undefined)
  const { endpoints, stop } = await gateway(
    [...local, '-b', here, '--broadcast-test-interval', '0', '--alerts', 'ztf_salt2'],
    { home },
  )
  const peer = listener(endpoints[0] ?? '')
  await pause(200)
  const ground = await openGround(home, { survey: 'ztf', project: 'local' })
  const fits = await ground.topic('salt2')
  const idOf = ({ objectId, candid }: typeof one) => ({ objectId, candid: String(candid) })
  const attributes = { 'kafka.topic': night.topic, 'kafka.partition': '0', 'kafka.offset': '1' }
  const publish = (row: Record<string, unknown>): Promise<string> =>
    fits.publish({ data: Buffer.from(JSON.stringify(row)), attributes })
  await publish({ ...idOf(two), success: 0, peak_mjd: 61370.5, peak_mjd_err: 1 })
  const peak = { peak_mjd: 61370.5, peak_mjd_err: 1, forecast_mjd: 61371.5, forecast_mjd_err: 2 }
  const mag = { forecast_mag_r: 17.5, forecast_mag_r_err: 0.1 }
  await publish({ ...idOf(one), success: 1, ...peak, ...mag })
  const archive = await ground.bucket('alert_avro_bucket')
  const name = `${night.topic}/${one.objectId}/${one.candid}.avro`
  await archive.create(name, night.bytesOf(one))
  await peer.until(1)
  await ground.close()
  const [event] = peer.got
  const own = `ivo://org.nightjar/broker/ztf#${one.objectId}_${one.candid}`
  assert.equal(event?.ivorn, `${own}_salt2`)
  using document = parseDocument(event.bytes)
  assert.equal(document.fault(), undefined)
  assert.deepEqual(
    document.elements('//Group[@name="forecast"]/Param/@value').map(({ text }) => text),
    ['61371.5', '2', 'r', '17.5', '0.1'],
  )
  assert.deepEqual(
    document.elements('//EventIVORN').map(({ text }) => text),
    [own],
  )
  await stop()
  assert.equal(peer.got.length, 1)
})
