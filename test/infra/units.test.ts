import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { peersDir, skipWithout } from '../data.ts'
import { repository } from './machine.ts'

const shellcheck = join(peersDir, 'shellcheck/shellcheck')
const systemd = '/usr/bin/systemd-analyze'
const scripts = ['infra/boot.sh', 'consumer/vm_startup.sh', 'conductor/vm_startup.sh']
const units = ['consumer/nightjar-consumer.service', 'conductor/nightjar-conductor.service']

const dir = mkdtempSync(join(tmpdir(), 'nightjar-units-'))
after(() => rmSync(dir, { recursive: true }))

test(
  'shellcheck has nothing to say of the machines’ scripts',
  { skip: skipWithout(shellcheck, 'run "make peers"') },
  () => {
    execFileSync(shellcheck, scripts, { cwd: repository })
    const faulty = join(dir, 'faulty.sh')
    writeFileSync(faulty, '#!/bin/bash\nrm -rf $1/*\n')
    assert.equal(spawnSync(shellcheck, [faulty]).status, 1)
  },
)

test(
  'systemd knows every word of the units',
  { skip: skipWithout(systemd, 'run "make peers"') },
  () => {
    // The program and its user are on the machine only.
    const verified = (path: string, change: (text: string) => string): string => {
      const text = readFileSync(join(repository, path), 'utf8')
        .replaceAll('/opt/nightjar/current/bin/nightjar', '/bin/true')
        .replace('User=nightjar\n', '')
      const file = join(dir, path.split('/')[1] ?? '')
      writeFileSync(file, change(text))
      const { stdout, stderr } = spawnSync(systemd, ['verify', '--man=no', file])
      return `${stdout}${stderr}`
    }
    for (const unit of units)
      assert.equal(
        verified(unit, (text) => text),
        '',
      )
    const mistyped = (text: string): string => text.replace('WatchdogSec', 'WatchdogSecs')
    assert.match(verified(units[0] ?? '', mistyped), /Unknown key '?WatchdogSecs/)
  },
)

test('a unit has its watchdog fed by the program, and drains within what a machine is given', () => {
  for (const path of units) {
    const unit = readFileSync(join(repository, path), 'utf8')
    assert.match(unit, /^Type=notify$/m)
    assert.match(unit, /^NotifyAccess=all$/m)
    assert.match(unit, /^WatchdogSec=\d+/m)
    assert.match(unit, /^User=nightjar$/m)
    // Compute Engine: 90 seconds from the ACPI signal, of which systemd needs some for the rest.
    assert.ok(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1]) <= 80, path)
    // Stopped before the network is: systemd stops in the reverse order of the start.
    assert.match(unit, /^After=network-online\.target/m)
    // Started by the start-up script, when the secrets are there, and by nothing else.
    assert.doesNotMatch(unit, /^\[Install\]/m)
  }
})
