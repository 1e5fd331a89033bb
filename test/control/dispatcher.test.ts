import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { createAdmission } from '../../control/admission.ts'
import { converse, type Conversation } from '../../control/conversation.ts'
import { maxDatagramBytes, sendDatagram, serveDatagrams } from '../../control/datagram.ts'
import { createDispatcher, type Entry } from '../../control/dispatcher.ts'
import { controlMessage, formatMessage, parseMessage } from '../../control/message.ts'
import { conversePermanently, permanentSchedule } from '../../control/permanent.ts'
import { createControlledProgram, type ControlledProgram } from '../../control/program.ts'
import { startAlarm, startTicks, type Clock } from '../../control/timers.ts'
import { NightjarError } from '../../core/errors.ts'
import { keepLinked } from '../../gateways/link.ts'
import { temporaryFolder } from '../local/home.ts'

const isCode = (code: string) => (error: unknown) =>
  error instanceof NightjarError && error.code === code

const quiet = (): void => {}

test('E4: entries run in the order of their priorities; the first that takes a message ends it', async () => {
  const ran: string[] = []
  const dispatcher = createDispatcher<undefined>()
  const entry = (name: string, more: Partial<Entry<undefined>>): Entry<undefined> => ({
    expression: 'GO',
    run: () => void ran.push(name),
    ...more,
  })
  dispatcher.add(
    entry('system', { priority: 10 }),
    entry('second', { priority: 7, tag: 'mine' }),
    entry('third', { priority: 7 }),
    entry('looker', { match: 'looks_on', priority: 0 }),
    entry('any', { match: 'always' }),
    entry('event', { expression: /EVENT\d+/g }),
  )
  assert.equal(await dispatcher.dispatch(parseMessage('GO'), undefined), true)
  assert.deepEqual(ran.splice(0), ['looker', 'second'])
  assert.equal(dispatcher.remove('mine'), 1)
  await dispatcher.dispatch(parseMessage('GO'), undefined)
  assert.deepEqual(ran.splice(0), ['looker', 'third'])
  for (const text of ['EVENT1', 'EVENT22', 'EVENT', 'XEVENT1']) {
    await dispatcher.dispatch(parseMessage(text), undefined)
  }
  assert.deepEqual(ran, ['event', 'event', 'any', 'any'])
})

test('E4: an entry that could never run rightly is refused when it is added', () => {
  const dispatcher = createDispatcher<undefined>()
  const add = (entry: Partial<Entry<undefined>>): void =>
    dispatcher.add({ expression: 'X', run: quiet, ...entry })
  assert.throws(() => add({ expression: '' }), /it names no command/)
  assert.throws(() => add({ priority: 16 }), /priority 16 is none of 0 to 15/)
  assert.throws(() => add({ priority: -1 }), isCode('config_invalid'))
  add({ match: 'always' })
  assert.throws(() => add({ match: 'always' }), /there is one already/)
})

/** A program at a TCP port and a client that speaks to it line by line. */
async function served(t: TestContext, secret?: string) {
  const said: string[] = []
  const program = createControlledProgram({
    acts: {
      stop: (quitting) => said.push(quitting ? 'quit' : 'stop'),
      restart: (reason) => said.push(`restart ${reason}`),
      ready: () => said.push('ready'),
      rotateLogs: () => said.push('rotate'),
      leak: () => said.push('leak'),
      told: ({ command }) => said.push(`told ${command}`),
    },
    log: (name, facts) => name === 'control_refused' && said.push(JSON.stringify(facts)),
    nowNs: () => 1_700_000_000_000_000_001n,
  })
  const admit = secret === undefined ? undefined : createAdmission({ secret })
  const server = createServer((socket) => program.accept(socket, 'tcp', admit))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.after(async () => {
    server.close()
    await program.close()
  })
  return { program, said, port }
}

async function client(t: TestContext, port: number): Promise<Conversation & { socket: Socket }> {
  const socket = createConnection(port, '127.0.0.1')
  await once(socket, 'connect')
  t.after(() => socket.destroy())
  return { ...converse({ socket, onMessage: quiet, onInvalid: quiet }), socket }
}

const timeoutMs = 5000

test('E5: every default message does what it says, and is answered where it has an answer', async (t) => {
  const { said, port } = await served(t)
  const peer = await client(t, port)
  const ask = async (text: string): Promise<string> =>
    formatMessage(await peer.request(parseMessage(text), { timeoutMs }))
  assert.equal(
    await ask('<me:cli HELP'),
    'me:cli/COMMANDS list=ABSOLUTELY,ALIVE,COMMANDS,CONNECTIONS,HELP,INVALID,LEAK,LOG_ROTATE,' +
      'QUITTING,READY,RESTART,SERVICE_UNAVAILABLE,STOP,TRACE,UNKNOWN',
  )
  assert.equal(
    await ask('ALIVE serial=7;timestamp=1.5'),
    'ABSOLUTELY reply_timestamp=1700000000.000000001;serial=7;timestamp=1.5',
  )
  assert.equal(await ask('WHAT'), 'UNKNOWN command=WHAT')
  assert.equal(
    await ask('ALIVE timestamp=x'),
    'INVALID command=ALIVE;message=parameter "timestamp" is no timespec: "x"',
  )
  said.length = 0
  for (const text of [
    'STOP',
    'QUITTING',
    'RESTART reason=config',
    'READY',
    'LOG_ROTATE',
    'LEAK',
    'UNKNOWN command=X',
    'COMMANDS',
  ]) {
    peer.send(parseMessage(text))
  }
  peer.socket.write('this is no message\n')
  await ask('ALIVE')
  assert.deepEqual(said.slice(0, 6), ['stop', 'quit', 'restart config', 'ready', 'rotate', 'leak'])
  assert.match(
    said.slice(6).join(),
    /UNKNOWN command=X.*told UNKNOWN.*list.{2,4} is missing.*no name=value/,
  )
})

test('E7: a request has its answer, or says that none came', async (t) => {
  const { port, program } = await served(t)
  const peer = await client(t, port)
  const request = peer.request(controlMessage('STOP'), { timeoutMs: 30 })
  await assert.rejects(request, /Cannot have an answer to STOP: none came in 30 ms/)
  const cut = assert.rejects(
    peer.request(controlMessage('STOP'), { timeoutMs }),
    /the connection ended/,
  )
  await program.close()
  await cut
})

test('E13: connections have names of their own, and messages are traced without their secrets', async (t) => {
  const { port } = await served(t)
  const peer = await client(t, port)
  const { command } = await peer.request(controlMessage('TRACE'), { timeoutMs })
  assert.equal(command, 'TRACING')
  const other = await client(t, port)
  const traced = peer.request(controlMessage('ALIVE'), {
    timeoutMs,
    isReply: ({ parameters }) => parameters.get('peer') === 'tcp_2',
  })
  const list = await other.request(parseMessage('CONNECTIONS secret_code=x'), { timeoutMs })
  assert.equal(list.parameters.get('list'), 'tcp_1,tcp_2')
  assert.equal((await traced).parameters.get('message'), 'CONNECTIONS secret_code=***')
})

test('a message without the secret is refused, and the connection goes on', async (t) => {
  const { port, said } = await served(t, 'open sesame')
  const peer = await client(t, port)
  peer.send(parseMessage('STOP'))
  peer.send(parseMessage('STOP secret_code=open'))
  await peer.request(parseMessage('ALIVE secret_code=open sesame'), { timeoutMs })
  assert.equal(said.length, 2)
  assert.match(said.join(), /STOP came without a secret_code.*STOP came with another/)
})

test('lines that are too long or no UTF-8 are refused, and the next one is taken', async (t) => {
  const { port, said } = await served(t)
  const peer = await client(t, port)
  peer.socket.write(`${'A'.repeat(200_000)}\n`)
  peer.socket.write(Buffer.from([0xff, 0xfe, 10]))
  peer.socket.write('\r\n\n')
  await peer.request(controlMessage('ALIVE'), { timeoutMs })
  assert.match(said.join(), /longer than 65536 bytes.*no UTF-8/)
  assert.equal(said.length, 2)
})

test('E2: UDP takes 1,024 bytes, asks for the secret, and refuses to send more', async () => {
  const taken: string[] = []
  const server = await serveDatagrams({
    ...{ host: '127.0.0.1', port: 0, admit: createAdmission({ secret: 's' }) },
    onMessage: (message) => void taken.push(formatMessage(message)),
    onInvalid: (why) => void taken.push(why),
  })
  const parameters = { secret_code: 's' }
  await sendDatagram(controlMessage('STOP'), server)
  await sendDatagram(controlMessage('LOG_ROTATE', { parameters }), server)
  for (const deadline = Date.now() + 5000; taken.length < 2 && Date.now() < deadline;) {
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await server.close()
  assert.deepEqual(taken, ['STOP came without a secret_code', 'LOG_ROTATE secret_code=s'])
  const long = controlMessage('X', { parameters: { a: 'x'.repeat(maxDatagramBytes) } })
  await assert.rejects(sendDatagram(long, server), isCode('message_too_large'))
})

test('E6: a link is tried at once, then after 1, 2, 4 … s up to an hour, anew only after it lived', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const waits: number[] = []
  const stop = new AbortController()
  await keepLinked({
    endpoint: { kind: 'unix', path: join(folder.path, 'nobody.sock') },
    use: async () => {},
    schedule: permanentSchedule,
    signal: stop.signal,
    wait: async (ms) => {
      waits.push(ms / 1000)
      if (waits.length === 14) stop.abort()
    },
  })
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600])
})

test('E6: a link that lived is tried again at once, one that broke soon is not', async (t) => {
  const server = createServer((socket) => socket.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  let now = 0
  const lives = [5, 20_000, 5, 5]
  const waits: number[] = []
  const stop = new AbortController()
  await keepLinked({
    endpoint: { kind: 'tcp', host: '127.0.0.1', port },
    use: async () => void (now += lives.shift() ?? 0),
    schedule: permanentSchedule,
    signal: stop.signal,
    now: () => now,
    wait: async (ms) => {
      waits.push(ms)
      if (lives.length === 0) stop.abort()
    },
  })
  assert.deepEqual(waits, [1000, 0, 1000, 2000])
})

test('E6: what is cached while the link is down is sent first when it is up', async (t) => {
  const { port, program } = await served(t)
  const seen: string[] = []
  const third = new Promise<void>((resolve) => {
    program.dispatcher.trace(({ command }) => {
      seen.push(command)
      if (seen.length === 3) resolve()
    })
  })
  const stop = new AbortController()
  const begin = Promise.withResolvers<void>()
  const link = conversePermanently({
    async keep(use) {
      await begin.promise
      const endpoint = { kind: 'tcp', host: '127.0.0.1', port } as const
      await keepLinked({ endpoint, use, schedule: permanentSchedule, signal: stop.signal })
    },
    onMessage: quiet,
    onInvalid: quiet,
  })
  assert.equal(link.send(controlMessage('READY')), false)
  assert.equal(link.send(controlMessage('READY'), { cache: true }), true)
  assert.equal(link.send(controlMessage('LEAK'), { cache: true }), true)
  assert.equal(link.cached(), 2)
  await assert.rejects(link.request(controlMessage('HELP'), { timeoutMs }), /no connection/)
  begin.resolve()
  while (link.cached() > 0) await new Promise((resolve) => setTimeout(resolve, 5))
  link.send(controlMessage('STOP'))
  await third
  assert.deepEqual(seen, ['READY', 'LEAK', 'STOP'])
  stop.abort()
  link.done()
  await link.closed
  assert.equal(link.send(controlMessage('STOP'), { cache: true }), false)
})

test('E8: who came to a server is forgotten when it goes, and never called back', async (t) => {
  const { port, program } = await served(t)
  const peer = await client(t, port)
  await peer.request(controlMessage('ALIVE'), { timeoutMs })
  assert.deepEqual(program.connections(), ['tcp_1'])
  peer.close()
  await peer.closed
  await until(() => program.connections().length === 0, program)
})

async function until(holds: () => boolean, program: ControlledProgram): Promise<void> {
  for (const deadline = Date.now() + 5000; !holds();) {
    assert.ok(Date.now() < deadline, program.connections().join())
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** Time that passes when the test says so. */
function fakeClock(): Clock & { pass(ms: number): void; late(ms: number): void } {
  let now = 1000
  let waiting: { at: number; call: () => void }[] = []
  const run = (): void => {
    for (const one of waiting.filter(({ at }) => at <= now)) {
      waiting = waiting.filter((other) => other !== one)
      one.call()
    }
  }
  return {
    now: () => now,
    after(ms, call) {
      const one = { at: now + ms, call }
      waiting.push(one)
      return () => void (waiting = waiting.filter((other) => other !== one))
    },
    pass(ms) {
      for (let i = 0; i < ms; i++) {
        now++
        run()
      }
    },
    late(ms) {
      now += ms
      run()
    },
  }
}

test('E9: an alarm fires once, late if need be; ticks that were missed are skipped, on the grid', () => {
  const clock = fakeClock()
  const fired: number[] = []
  const ticked: number[] = []
  startAlarm(1005, () => fired.push(clock.now()), clock)
  const ticks = startTicks(10, () => ticked.push(clock.now() - 1000), clock)
  clock.pass(20)
  assert.deepEqual(fired, [1005])
  assert.deepEqual(ticked.splice(0), [10, 20])
  clock.late(25)
  assert.deepEqual(ticked.splice(0), [45], '2.5 delays late: one call')
  clock.pass(15)
  assert.deepEqual(ticked, [50, 60])
  ticks.close()
  clock.pass(50)
  assert.equal(ticked.length, 2)
  startAlarm(0, () => fired.push(0), clock)
  clock.pass(1)
  assert.deepEqual(fired, [1005, 0])
})

test('E10: any number of timers, each enabled and disabled by itself', () => {
  const clock = fakeClock()
  const counts = Array.from({ length: 100 }, () => 0)
  const timers = counts.map((_, i) =>
    startTicks(10, () => void (counts[i] = (counts[i] ?? 0) + 1), clock),
  )
  timers.forEach((timer, i) => timer.enable(i % 2 === 0))
  clock.pass(30)
  assert.deepEqual([counts[0], counts[1]], [3, 0])
  timers[1]?.enable(true)
  clock.pass(10)
  assert.deepEqual([counts[0], counts[1], counts[3]], [4, 2, 0])
  let fired = 0
  const alarm = startAlarm(clock.now() + 5, () => fired++, clock)
  alarm.enable(false)
  clock.pass(20)
  assert.equal(fired, 0)
  alarm.enable(true)
  clock.pass(1)
  assert.equal(fired, 1)
  assert.throws(() => startTicks(0, quiet), isCode('config_invalid'))
})
