import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test, type TestContext } from 'node:test'

import { createDispatcher } from '../../control/dispatcher.ts'
import { controlMessage, parseMessage } from '../../control/message.ts'
import { temporaryFolder } from '../local/home.ts'
import { runHere } from '../night/harness.ts'

const root = resolve(import.meta.dirname, '../..')

const numbered = (letter: string, count: number): string[] =>
  Array.from({ length: count }, (_, i) => `${letter}${i + 1}`)

test('every row of the two acceptance tables is a test by its name, and a line of the documentation', () => {
  const rows = [...numbered('E', 21), ...numbered('L', 15)]
  const tests = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts'))
    .map((path) => readFileSync(join(root, 'test', path), 'utf8'))
    .flatMap((text) => [...text.matchAll(/\btest\(\s*(['`])((?:[EL]\d+, )*[EL]\d+):/g)])
    .flatMap(([, , ids = '']) => ids.split(', '))
  assert.deepEqual(
    rows.filter((row) => !tests.includes(row)),
    [],
  )
  const documented = [
    ...readFileSync(join(root, 'docs/control.md'), 'utf8').matchAll(/^\| ([EL]\d+)\s/gm),
  ].map(([, row]) => row)
  assert.deepEqual(documented, rows)
})

async function isRefused(t: TestContext, kind: string): Promise<void> {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const { err, status } = await runHere([
    ...['run', '--home', folder.path, '--control', `${kind}:${join(folder.path, 'x')}`],
  ])
  assert.match(err, new RegExp(`"${kind}" is none of tcp, tls and unix`))
  assert.equal(status, 2)
}

test('E3: Unix sockets of datagrams are not offered, and whoever asks is told what is', (t) =>
  isRefused(t, 'unixgram'))

test('E15: FIFOs are not offered, and whoever asks is told what is', (t) => isRefused(t, 'fifo'))

test('E11: a message goes by priority, and among equals by who came first', async () => {
  const ran: number[] = []
  const dispatcher = createDispatcher<undefined>()
  const priorities = [15, 3, 7, 0, 3, 10]
  for (const [at, priority] of priorities.entries()) {
    dispatcher.add({ expression: 'GO', match: 'looks_on', priority, run: () => void ran.push(at) })
  }
  await dispatcher.dispatch(parseMessage('GO'), undefined)
  assert.deepEqual(ran, [3, 1, 4, 2, 5, 0])
})

test('E12: entries come and go while a message is under way, which goes on with those it found', async () => {
  const ran: string[] = []
  const dispatcher = createDispatcher<undefined>()
  dispatcher.add(
    {
      expression: 'GO',
      match: 'looks_on',
      run() {
        ran.push('first')
        dispatcher.remove('second')
        dispatcher.add({ expression: 'GO', tag: 'third', run: () => void ran.push('third') })
      },
    },
    { expression: 'GO', tag: 'second', match: 'looks_on', run: () => void ran.push('second') },
  )
  await dispatcher.dispatch(controlMessage('GO'), undefined)
  assert.deepEqual(ran.splice(0), ['first', 'second'])
  await dispatcher.dispatch(controlMessage('GO'), undefined)
  assert.deepEqual(ran, ['first', 'third'])
})

test('E12, E14: connections, bytes, signals and changed files are events, and the process ends with the last', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const watched = join(folder.path, 'watched')
  writeFileSync(watched, '1')
  const from = (path: string): string => JSON.stringify(import.meta.resolve(`../../${path}`))
  const script = `
    import { createConnection } from 'node:net'
    import { writeFileSync } from 'node:fs'
    import { converse } from ${from('control/conversation.ts')}
    import { parseMessage } from ${from('control/message.ts')}
    import { createControlledProgram } from ${from('control/program.ts')}
    import { startTicks } from ${from('control/timers.ts')}
    import { listen } from ${from('gateways/listen.ts')}
    import { onChange } from ${from('gateways/reload.ts')}
    const watched = ${JSON.stringify(watched)}
    const program = createControlledProgram({ log() {}, acts: { stop: end, ready: later } })
    const path = ${JSON.stringify(join(folder.path, 'c.sock'))}
    const listener = await listen({
      endpoint: { kind: 'unix', path }, log() {}, accept: (socket) => program.accept(socket, 'unix'),
    })
    const ticks = startTicks(20, () => {})
    const unwatch = onChange([watched], () => {
      console.log('changed')
      process.kill(process.pid, 'SIGUSR2')
    })
    process.on('SIGUSR2', signalled)
    const socket = createConnection(path)
    const peer = converse({ socket, onMessage() {}, onInvalid() {} })
    console.log((await peer.request(parseMessage('ALIVE'), { timeoutMs: 10_000 })).command)
    peer.send(parseMessage('READY'))
    function later() { console.log('read'); writeFileSync(watched, '22') }
    function signalled() { console.log('signalled'); peer.send(parseMessage('STOP')) }
    function end() {
      console.log('stopped')
      process.removeListener('SIGUSR2', signalled)
      unwatch(); ticks.close(); void listener.close(); void program.close()
    }`
  const program = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => program.kill('SIGKILL'))
  let said = ''
  program.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  // Nobody calls exit: there is nothing left to wait for.
  assert.deepEqual(await once(program, 'exit'), [0, null])
  assert.equal(said, 'ABSOLUTELY\nread\nchanged\nsignalled\nstopped\n')
})

test('E21: what is out of scope is no verb, and the documentation says so', async () => {
  const { out } = await runHere(['--help'])
  const page = readFileSync(join(root, 'docs/control.md'), 'utf8')
  for (const name of ['snaploggerd', 'fluid-settings', 'socket_events', 'SIGPROF']) {
    assert.ok(page.includes(name), name)
    assert.ok(!out.includes(name), name)
  }
})
