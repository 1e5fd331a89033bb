import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

import { runHere } from '../night/harness.ts'
import { temporaryFolder } from '../local/home.ts'

const main = resolve(import.meta.dirname, '../../cli/main.ts')

test('E1, E16, E19: a broker answers ALIVE at the socket of its home, and STOP drains and ends it', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  const home = ['--home', folder.path]
  const broker = spawn(process.execPath, [main, 'run', ...home], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => broker.kill('SIGKILL'))
  let said = ''
  broker.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = once(broker, 'exit')
  const until = Date.now() + 30_000
  while (!said.includes('broker_started') && Date.now() < until) {
    await new Promise((wake) => setTimeout(wake, 20))
  }
  const socket = join(folder.path, 'control.sock')
  assert.equal(statSync(socket).mode & 0o777, 0o600)
  const alive = await runHere(['signal', ...home, 'ALIVE', '-p', 'serial=7'])
  assert.equal(alive.err, '')
  assert.match(alive.out, /ABSOLUTELY reply_timestamp=\d+\.\d{9};serial=7\n$/)
  const unknown = await runHere(['signal', ...home, 'WHAT'])
  assert.match(unknown.out, /UNKNOWN command=WHAT\n$/)
  assert.equal(unknown.status, 1)
  const stopped = await runHere(['signal', ...home, 'STOP'])
  assert.deepEqual([stopped.out, stopped.err, stopped.status], ['', '', 0])
  assert.deepEqual(await ended, [0, null])
  assert.match(said, /broker_stopped/)
  assert.equal(existsSync(socket), false)
  const { err, status } = await runHere(['signal', ...home, 'ALIVE'])
  assert.match(err, /Cannot reach a program at "unix:.*": none runs there/)
  assert.equal(status, 1)
})

test('control beyond this machine is refused without a secret', async (t) => {
  const folder = temporaryFolder()
  t.after(folder.remove)
  for (const endpoint of ['0.0.0.0:4041', 'udp:0.0.0.0:4041']) {
    const { err, status } = await runHere(['run', '--home', folder.path, '--control', endpoint])
    assert.equal(status, 2, err)
    assert.match(err, /it can be reached from beyond this machine; set NIGHTJAR_CONTROL_SECRET/)
  }
})
