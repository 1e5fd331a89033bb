import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, afterEach, before, beforeEach, test } from 'node:test'

import { skipWithoutGcs } from '../cloud/emulators.ts'
import { cannotUnshare, repository, startMachine, type Machine } from './machine.ts'

const options = { skip: skipWithoutGcs || cannotUnshare() }
const keytab = '\x05\x02\x00\x00\x00\x3fKAFKA.SECURE\xff\n\n'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-boot-'))
after(() => rmSync(dir, { recursive: true }))
let release: Buffer
before(() => {
  release = releaseOf('1')
})
let machine: Machine
beforeEach(async () => {
  if (options.skip !== false) return
  machine = await startMachine()
})
afterEach(() => machine?.close())

/** What systemd is told where nothing runs and nothing could be started. */
const off = ['poweroff']

/** A release with the real units, and a program that only says which it is. */
function releaseOf(version: string): Buffer {
  const folder = mkdtempSync(join(dir, 'release-'))
  mkdirSync(join(folder, 'bin'))
  mkdirSync(join(folder, 'systemd'))
  writeFileSync(join(folder, 'bin/nightjar'), `#!/bin/sh\necho ${version}\n`, { mode: 0o755 })
  for (const program of ['consumer', 'conductor']) {
    const unit = `nightjar-${program}.service`
    const text = readFileSync(join(repository, program, unit))
    writeFileSync(join(folder, 'systemd', unit), text)
  }
  return execFileSync('tar', ['-czf', '-', '-C', folder, '.'])
}

/** Deploy as the stack does. Answers the lines of NIGHTJAR_FILES. */
async function deploy(program: 'consumer' | 'conductor', files = release): Promise<string[]> {
  const script = readFileSync(join(repository, program, 'vm_startup.sh'))
  const lines = [
    await machine.upload('machine/nightjar-1.tar.gz', files, 'program'),
    await machine.upload('machine/ztf/nightjar+1?%.toml', Buffer.from('# streams\n'), 'streams'),
    await machine.upload(`${program}/vm_startup-1.sh`, script, 'startup'),
  ]
  machine.attributes.set('NIGHTJAR_FILES', `${lines.join('\n')}\n`)
  machine.attributes.set('NIGHTJAR_SURVEY', 'ztf')
  machine.attributes.set('NIGHTJAR_INSTANCE', 'rc1')
  machine.attributes.set(
    'NIGHTJAR_SECRETS',
    'krb5-conf ztf-krb5-conf-rc1\nkrb5-keytab ztf-krb5-keytab-rc1\n',
  )
  machine.secrets.set('ztf-krb5-conf-rc1', '[libdefaults]\n  rdns = false\n')
  machine.secrets.set('ztf-krb5-keytab-rc1', keytab)
  return lines
}

test(
  'P2 the consumer’s machine comes up: program, streams, secrets in memory, unit',
  options,
  async () => {
    await deploy('consumer')
    machine.attributes.set('NIGHT', '20261121')
    machine.attributes.set('KAFKA_TOPIC', 'ztf_20261121_programid1,ztf_20261121_programid3')
    const { status, said, told, run } = await machine.boot()
    assert.equal(status, 0, said)
    assert.deepEqual(told, ['daemon-reload', 'restart --no-block nightjar-consumer.service'])
    for (const [word, text] of [
      ['krb5-conf', '[libdefaults]\n  rdns = false\n'],
      ['krb5-keytab', keytab],
    ] as const) {
      const placed = run.get(`secrets/${word}`)
      assert.deepEqual([placed?.mode, placed?.user], ['400', 'nightjar'])
      assert.equal(placed?.text, Buffer.from(text, 'latin1').toString())
    }
    assert.deepEqual([run.get('secrets')?.mode, run.get('secrets')?.user], ['500', 'nightjar'])
    assert.deepEqual(run.get('environment'), {
      mode: '400',
      user: 'root',
      text: `GOOGLE_CLOUD_PROJECT=my-project
NIGHTJAR_SURVEY=ztf
NIGHTJAR_INSTANCE=rc1
NIGHTJAR_ZONE=us-central1-a
NIGHTJAR_LOG=json
NIGHT=20261121
KAFKA_TOPIC=ztf_20261121_programid1,ztf_20261121_programid3
NIGHTJAR_WORDS=--topic ztf_20261121_programid1 ztf_20261121_programid3
`,
    })
    const current = machine.path('opt/nightjar/current')
    assert.match(readlinkSync(current), /^[0-9a-f]{64}$/)
    assert.equal(execFileSync(join(current, 'bin/nightjar')).toString(), '1\n')
    assert.equal(readFileSync(machine.path('opt/nightjar/nightjar.toml'), 'utf8'), '# streams\n')
    const unit = 'nightjar-consumer.service'
    assert.equal(
      readFileSync(machine.path(`etc/systemd/system/${unit}`), 'utf8'),
      readFileSync(join(repository, 'consumer', unit), 'utf8'),
    )
    // Nothing of a secret is on the disk, in what was said, or left where it was fetched to.
    assert.doesNotMatch(said, /rdns|KAFKA.SECURE|ya29/)
    assert.deepEqual(readdirSync(machine.path('tmp')), [])
    const onDisk = ['etc/systemd', 'opt', 'var/cache'].map((folder) => machine.path(folder))
    assert.throws(() => execFileSync('grep', ['-r', 'KAFKA.SECURE', ...onDisk]), { status: 1 })
  },
)

test('a second start, and a second run while it is up, change nothing', options, async () => {
  await deploy('consumer')
  machine.attributes.set('NIGHT', '20261121')
  await machine.boot()
  const passwd = readFileSync(machine.path('etc/passwd'), 'utf8')
  const { status, said, told, run } = await machine.boot({ twice: true })
  assert.equal(status, 0, said)
  assert.equal(readFileSync(machine.path('etc/passwd'), 'utf8'), passwd)
  // Memory is empty after a start, so what was in it is put there again; after that all is right.
  assert.deepEqual(told, [
    'daemon-reload',
    'restart --no-block nightjar-consumer.service',
    'daemon-reload',
    'start --no-block nightjar-consumer.service',
  ])
  assert.equal(run.get('secrets/krb5-keytab')?.mode, '400')
  assert.match(run.get('environment')?.text ?? '', /WORDS=--night 20261121\n/)
  // Of the bucket nothing is fetched again; of secrets the newest version is.
  assert.deepEqual(
    machine.asked.filter((url) => url.startsWith('/storage/')),
    [],
  )
  assert.equal(machine.asked.filter((url) => url.includes('keytab')).length, 2)
})

test(
  'P23 a new release takes the place of the old one, and a rollback takes it back',
  options,
  async () => {
    const first = await deploy('consumer')
    machine.attributes.set('NIGHT', '20261121')
    await machine.boot()
    await deploy('consumer', releaseOf('2'))
    assert.equal((await machine.boot()).status, 0)
    const program = machine.path('opt/nightjar/current/bin/nightjar')
    assert.equal(execFileSync(program).toString(), '2\n')
    // By its generation the old file is found, though a newer one has its name.
    rmSync(machine.path('var/cache/nightjar'), { recursive: true })
    rmSync(machine.path('opt/nightjar'), { recursive: true })
    machine.attributes.set('NIGHTJAR_FILES', first.join('\n'))
    const { status, said } = await machine.boot()
    assert.equal(status, 0, said)
    assert.equal(execFileSync(program).toString(), '1\n')
  },
)

test('a file of another SHA-256 stops the start before anything of it runs', options, async () => {
  const [program = '', ...others] = await deploy('consumer')
  machine.attributes.set('NIGHT', '20261121')
  machine.attributes.set(
    'NIGHTJAR_FILES',
    [program.replace(/^\w{8}/, '00000000'), ...others].join('\n'),
  )
  const { status, said, told } = await machine.boot()
  assert.equal(status, 1)
  assert.match(
    said,
    /^nightjar: Cannot start: gs:\/\/my-project-broker_files\/machine\/nightjar-1.tar.gz#\d+ is not the file that was deployed: its SHA-256 is \w{64}, it must be 00000000\w{56}\n$/,
  )
  assert.deepEqual(told, off)
  assert.equal(existsSync(machine.path('opt/nightjar')), false)
})

test('a file that is damaged on the disk is fetched again', options, async () => {
  await deploy('consumer')
  machine.attributes.set('NIGHT', '20261121')
  await machine.boot()
  const kept = machine.path('var/cache/nightjar')
  for (const file of readdirSync(kept)) writeFileSync(join(kept, file), 'damaged')
  const { status, said } = await machine.boot()
  assert.equal(status, 0, said)
  assert.equal(machine.asked.filter((url) => url.startsWith('/storage/')).length, 3)
})

test('what cannot be had is one sentence on the serial console', options, async () => {
  const [program = '', streams = '', startup = ''] = await deploy('consumer')
  machine.attributes.set('NIGHT', '20261121')
  const refusal = async (): Promise<string> => {
    const { status, said, told } = await machine.boot()
    assert.equal(status, 1, said)
    assert.deepEqual(told, off)
    return said
  }
  machine.secrets.delete('ztf-krb5-keytab-rc1')
  assert.equal(
    await refusal(),
    'nightjar: Cannot start: secret "ztf-krb5-keytab-rc1" has no version; add it: gcloud secrets ' +
      'versions add ztf-krb5-keytab-rc1 --data-file=FILE\n',
  )
  // What runs already is not ended by it.
  writeFileSync(machine.path('active'), '')
  const { told } = await machine.boot()
  assert.deepEqual(told, [])
  rmSync(machine.path('active'))
  machine.secrets.set('ztf-krb5-keytab-rc1', { status: 403 })
  assert.match(
    await refusal(),
    /^nightjar: Cannot start: secret ".*" is not for this machine's account: .*\n$/,
  )
  machine.secrets.set('ztf-krb5-keytab-rc1', '')
  assert.equal(await refusal(), 'nightjar: Cannot start: secret "ztf-krb5-keytab-rc1" is empty\n')

  machine.attributes.set('NIGHT', 'tonight')
  assert.match(await refusal(), /NIGHT "tonight" must be a UTC date such as 20261121\n$/)
  machine.attributes.set('NIGHT', '20261121')
  machine.attributes.set('KAFKA_TOPIC', 'ztf; reboot')
  assert.match(await refusal(), /KAFKA_TOPIC "ztf; reboot" must be topics' names/)
  machine.attributes.delete('KAFKA_TOPIC')

  rmSync(machine.path('var/cache/nightjar'), { recursive: true })
  machine.attributes.set('NIGHTJAR_FILES', [program.replace('.tar.gz', '.tgz'), streams].join('\n'))
  assert.match(
    await refusal(),
    /gs:\/\/.*nightjar-1\.tgz#\d+ cannot be read: Cloud Storage answers 404\n$/,
  )
  machine.attributes.set('NIGHTJAR_FILES', streams)
  assert.match(await refusal(), /NIGHTJAR_FILES names no start-up script\n$/)
  assert.ok(startup)
})

test(
  'a consumer that is told no night, or KAFKA_TOPIC NONE, turns itself off',
  options,
  async () => {
    await deploy('consumer')
    for (const told of [{}, { NIGHT: '20261121', KAFKA_TOPIC: 'NONE' }]) {
      for (const [name, value] of Object.entries(told)) machine.attributes.set(name, value)
      const { status, said, told: units } = await machine.boot()
      assert.equal(status, 0)
      assert.deepEqual(units, ['poweroff'])
      assert.match(said, /Nothing to consume: KAFKA_TOPIC is NONE, or neither it nor NIGHT is told/)
    }
  },
)

test(
  'P14 the conductor’s machine comes up and conducts the night that it is told',
  options,
  async () => {
    await deploy('conductor')
    for (const [night, topic, words] of [
      ['', '', 'start'],
      ['START', '', 'start'],
      ['END', '', 'end'],
      ['20261121', '', 'start'],
      ['END', 'ztf_20261120_programid1', 'end'],
    ] as const) {
      if (night === '') machine.attributes.delete('NIGHT')
      else machine.attributes.set('NIGHT', night)
      machine.attributes.set('KAFKA_TOPIC', topic)
      const { status, said, told, run } = await machine.boot()
      assert.equal(status, 0, said)
      assert.deepEqual(told, ['daemon-reload', 'restart --no-block nightjar-conductor.service'])
      assert.match(run.get('environment')?.text ?? '', new RegExp(`NIGHTJAR_WORDS=${words}\n$`))
      assert.equal(run.get('secrets/krb5-keytab')?.mode, '400')
    }
    machine.attributes.set('NIGHT', 'now')
    assert.match((await machine.boot()).said, /NIGHT "now" must be START, END or a UTC date/)
  },
)
