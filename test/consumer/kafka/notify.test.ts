import assert from 'node:assert/strict'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { startNotifying } from '../../../consumer/kafka/notify.ts'

test('systemd is told by its own tool, the watchdog only while there is progress', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'nightjar-notify-'))
  const heard = join(dir, 'heard')
  // Stands in for systemd-notify(1), which needs a systemd to talk to.
  writeFileSync(join(dir, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${heard}\n`)
  chmodSync(join(dir, 'systemd-notify'), 0o755)
  const words = (): string[] =>
    existsSync(heard) ? readFileSync(heard, 'utf8').trimEnd().split('\n') : []
  const until = async (pattern: RegExp): Promise<void> => {
    for (let turn = 0; turn < 500 && !words().some((word) => pattern.test(word)); turn++) {
      await pause(20)
    }
  }
  let getsOn = false
  const env = {
    PATH: `${dir}:${process.env['PATH']}`,
    NOTIFY_SOCKET: '/run/x',
    WATCHDOG_USEC: '300000',
  }
  const notifier = startNotifying(env, () => getsOn)
  notifier.ready()
  await until(/READY/)
  await pause(350)
  assert.deepEqual(words(), [`/run/x --pid=${process.pid} READY=1`])
  getsOn = true
  await until(/WATCHDOG=1/)
  notifier.stop()
  await until(/STOPPING/)
  assert.ok(words().includes(`/run/x --pid=${process.pid} WATCHDOG=1`))
  assert.match(words().at(-1) ?? '', /(STOPPING|WATCHDOG)=1$/)
  rmSync(dir, { recursive: true })
})

test('without systemd nothing is told', () => {
  const notifier = startNotifying({}, () => true)
  notifier.ready()
  notifier.stop()
})
