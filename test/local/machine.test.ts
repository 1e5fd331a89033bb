import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'

import { makeHome, runningBroker, type Home } from '../../local/home.ts'
import { openMachine } from '../../local/machine.ts'

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
  const open = () => openMachine({ home, command, env: { PATH: process.env['PATH'] } })
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
