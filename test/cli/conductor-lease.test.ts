import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { readNightRecord, type Tick } from '../../conductor/tick.ts'
import { hasEndedHere, processHere } from '../../local/alive.ts'
import { openGround } from '../../local/broker.ts'
import { runHere, startNightjar } from '../night/harness.ts'

const night = '20261121'

test('the night of a conductor that was killed within a tick is taken over at once', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-lease-'))
  const home = join(dir, 'home')
  // A Kafka that takes every connection and says nothing: whoever asks it is in the midst of a tick.
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
  }).listen(0, '127.0.0.1')
  await once(silent, 'listening')
  const { port } = silent.address() as AddressInfo
  const words = (to: number): string[] => [
    ...['conductor', 'tick', '--json', '--home', home, '--night', night],
    ...['--brokers', `127.0.0.1:${to}`],
  ]
  const tickHere = async (): Promise<Tick> => {
    const { out, err } = await runHere(words(1))
    assert.notEqual(out, '', err)
    return JSON.parse(out) as Tick
  }
  const asked = once(silent, 'connection')
  const first = startNightjar(words(port))
  try {
    await asked
    const { outcome, why } = await tickHere()
    assert.deepEqual([outcome, why], ['lost', 'another conductor holds the night'])
    first.child.kill('SIGKILL')
    assert.equal((await first.ended).signal, 'SIGKILL')
    const ground = await openGround(home, { survey: 'ztf', project: 'local' })
    const store = await ground.bucket('broker_files')
    const { record } = await readNightRecord(store, 'ztf', night, Date.now())
    await ground.close()
    assert.ok((record.lease?.until ?? 0) > Date.now(), 'its lease has not lapsed')
    assert.equal((await tickHere()).outcome, 'done')
  } finally {
    first.child.kill('SIGKILL')
    for (const socket of sockets) socket.destroy()
    silent.close()
    rmSync(dir, { recursive: true })
  }
})

test('of a process of another boot, another container or another form nothing is known', () => {
  const here = processHere()
  assert.ok(here)
  const [boot = '', pids = '', mark = ''] = here.split(' ')
  assert.equal(hasEndedHere(here), false, 'we live')
  assert.equal(hasEndedHere(`${boot} ${pids} ${Number(mark) + 2 ** 22}`), true, 'the pid came back')
  assert.equal(hasEndedHere(`00000000-0000-4000-8000-000000000000 ${pids} 4194303`), false)
  assert.equal(hasEndedHere(`${boot} pid:[1] 4194303`), false)
  for (const odd of [
    '',
    ' ',
    boot,
    `${boot} ${pids} `,
    `${boot} ${pids} x`,
    `${boot} ${pids} -4`,
  ]) {
    assert.equal(hasEndedHere(odd), false, odd)
  }
})
