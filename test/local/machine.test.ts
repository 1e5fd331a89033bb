import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { brokerControl } from '../../cli/consumer-control.ts'
import { makeHome, runningBroker, type Home } from '../../local/home.ts'
import { openMachine, type MachineOptions } from '../../local/machine.ts'

/** A program that takes the home as a broker does, and gives it up at SIGTERM. */
const broker = (home: Home): string => `
  import { makeHome, takeHome } from ${JSON.stringify(import.meta.resolve('../../local/home.ts'))}
  const release = takeHome(makeHome(${JSON.stringify(home.path)}))
  console.log('night ' + process.env.NIGHT)
  process.on('SIGTERM', () => { release(); process.exit(0) })
  setInterval(() => {}, 1000)`

function machineIn(t: TestContext, program: (home: Home) => string) {
  const home = makeHome(mkdtempSync(join(tmpdir(), 'nightjar-machine-')))
  const command: [string, ...string[]] = [
    process.execPath,
    '--input-type=module-typescript',
    '--eval',
    program(home),
  ]
  const open = (more: Partial<MachineOptions> = {}) =>
    openMachine({ home, command, env: { PATH: process.env['PATH'] }, ...more })
  t.after(async () => {
    await open().stop()
    rmSync(home.path, { recursive: true })
  })
  return { home, open, log: () => readFileSync(join(home.path, 'machine.log'), 'utf8') }
}

test('a machine starts once, is told its metadata, outlives who started it, and stops', async (t) => {
  const { home, open, log } = machineIn(t, broker)
  const machine = open()
  assert.equal(await machine.state(), 'stopped')
  await machine.start({ NIGHT: '20261121' })
  const pid = runningBroker(home)
  assert.equal(await machine.state(), 'running')
  assert.match(log(), /^night 20261121$/m)
  // Another conductor sees the same machine, and to start it again does nothing.
  const other = open()
  await other.start({ NIGHT: '20261121' })
  assert.equal(runningBroker(home), pid)
  assert.deepEqual(other.metadata(), { NIGHT: '20261121' })
  await other.stop()
  await other.stop()
  assert.equal(await machine.state(), 'stopped')
  assert.equal(machine.metadata(), undefined)
})

test('a program that ends instead of running is told with its last words', async (t) => {
  const { open } = machineIn(t, () => `console.error('no such topic'); process.exit(1)`)
  await assert.rejects(
    open().start({}),
    /^NightjarError: Cannot start the broker of ".*": it ended with "no such topic"$/,
  )
  assert.equal(await open().state(), 'stopped')
})

/** One that takes control messages, and can be made deaf. */
const controlledBroker = (home: Home): string => {
  const from = (path: string): string => JSON.stringify(import.meta.resolve(`../../${path}`))
  return `
  import { createControlledProgram } from ${from('control/program.ts')}
  import { listen } from ${from('gateways/listen.ts')}
  import { controlPath } from ${from('local/door.ts')}
  import { makeHome, takeHome } from ${from('local/home.ts')}
  const home = makeHome(${JSON.stringify(home.path)})
  const program = createControlledProgram({
    log() {},
    acts: { stop() { console.log('asked'); release(); process.exit(0) } },
  })
  await listen({
    endpoint: { kind: 'unix', path: controlPath(home.path) },
    accept: (socket) => program.accept(socket, 'unix'),
    log() {},
  })
  const release = takeHome(home)
  process.on('SIGTERM', () => { console.log('told'); release(); process.exit(0) })
  setInterval(() => {}, 1000)`
}

test('a machine that can be asked is asked to stop, and told only where it cannot', async (t) => {
  const { home, open, log } = machineIn(t, controlledBroker)
  const control = brokerControl(home.path, new AbortController().signal)
  const machine = open({ control })
  assert.equal(await control.alive(), undefined)
  await machine.start({})
  assert.equal(await control.alive(), true)
  await machine.stop()
  assert.match(log(), /^asked$/m)
  assert.doesNotMatch(log(), /told/)
  assert.equal(await machine.state(), 'stopped')
  await machine.start({})
  const deaf = open({ control: { stop: async () => false, alive: async () => undefined } })
  await deaf.stop()
  assert.match(log(), /^told$/m)
})

test('a machine that does not answer for long is killed, and may be started again', async (t) => {
  const { home, open } = machineIn(t, controlledBroker)
  const killed: number[] = []
  const control = brokerControl(home.path, new AbortController().signal, 1000)
  const machine = open({ control, silentMs: 200, onKilled: (pid) => void killed.push(pid) })
  await machine.start({ NIGHT: '1' })
  const pid = runningBroker(home) ?? 0
  process.kill(pid, 'SIGSTOP')
  assert.equal(await machine.state(), 'running')
  // Silence that ends is forgotten.
  process.kill(pid, 'SIGCONT')
  assert.equal(await machine.state(), 'running')
  await new Promise((wake) => setTimeout(wake, 300))
  process.kill(pid, 'SIGSTOP')
  assert.equal(await machine.state(), 'running')
  assert.deepEqual(killed, [])
  await new Promise((wake) => setTimeout(wake, 300))
  assert.equal(await machine.state(), 'stopped')
  assert.deepEqual(killed, [pid])
  await machine.start({ NIGHT: '1' })
  assert.notEqual(runningBroker(home), pid)
  assert.equal(await machine.state(), 'running')
})
