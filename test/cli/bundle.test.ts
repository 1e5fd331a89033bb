import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

import { bundleMachine, checkLoads, type MachineBundle } from '../../cli/bundle.ts'
import { skipWithout } from '../data.ts'

const run = promisify(execFile)
const kerberos = resolve(import.meta.dirname, '../../node_modules/kerberos/build/Release')
const skip = skipWithout(kerberos, '"make peers" builds it')
const dir = mkdtempSync(join(tmpdir(), 'nightjar-machine-'))
const release = join(dir, 'release')
after(() => rmSync(dir, { recursive: true }))

let bundle: MachineBundle
before(async () => {
  if (skip) return
  mkdirSync(join(dir, 'out'))
  mkdirSync(release)
  bundle = await bundleMachine(join(dir, 'out'))
  await run('tar', ['-xzf', bundle.archive, '-C', release])
})

/** Run a command in a folder that holds nothing, with no environment but that nobody is asked who is on Google's machines. */
async function bare(...words: string[]): Promise<{ status: number; out: string; err: string }> {
  const [command = '', ...rest] = words
  const cwd = mkdtempSync(join(dir, 'empty-'))
  try {
    const { stdout, stderr } = await run(join(release, command), rest, {
      cwd,
      env: { METADATA_SERVER_DETECTION: 'none' },
    })
    return { status: 0, out: stdout, err: stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { status: code, out: stdout, err: stderr }
  }
}

test(
  'the machines’ bundle is the same bytes again, and named by their SHA-256',
  { skip },
  async () => {
    const bytes = readFileSync(bundle.archive)
    assert.equal(createHash('sha256').update(bytes).digest('hex'), bundle.sha256)
    assert.equal(basename(bundle.archive), `nightjar-${bundle.sha256}.tar.gz`)
    mkdirSync(join(dir, 'again'))
    assert.equal((await bundleMachine(join(dir, 'again'))).sha256, bundle.sha256)
  },
)

test('unpacked it runs with nothing around it, by its own Node', { skip }, async () => {
  assert.deepEqual(await bare('bin/nightjar', '--version'), { status: 0, out: '0.1.0\n', err: '' })
  for (const verb of [['consume'], ['conductor', 'start'], ['audit'], ['replay'], ['signal']]) {
    const { status, out } = await bare('bin/nightjar', ...verb, '--help')
    assert.equal(status, 0)
    assert.match(out, new RegExp(`^Usage: nightjar ${verb.join(' ')}`))
  }
  const doctor = await bare('bin/nightjar', 'doctor', '--help')
  assert.equal(doctor.status, 0)
})

test('its Kerberos module loads and finds the machine’s library', { skip }, async () => {
  const ask =
    `require('module').createRequire(${JSON.stringify(`${release}/code/main.js`)})('kerberos')` +
    ".initializeClient('kafka@broker.example.org',{})" +
    '.then((client) => client.step(""), (error) => error).catch((error) => error)' +
    '.then((said) => console.log(String(said?.message ?? said)))'
  const { status, out, err } = await bare('bin/node', '-e', ask)
  assert.equal(status, 0, err)
  // Not a complaint of the loader, but of GSSAPI, which has no ticket here.
  assert.match(out, /credential|cache|ticket/i)
})

test('it has the clients of Google’s services', { skip }, async () => {
  const { status, out } = await bare('bin/nightjar', 'doctor', '--project', 'my-project')
  assert.equal(status, 1)
  assert.match(out, /^ok {4}Node: 24\..*\nFAULT credentials: .*gcloud auth application-default/)
})

test('what it is made without is told in one sentence, when it is used', { skip }, async () => {
  const made = await bare('bin/nightjar', 'simulate', '--out', 'night', '--alerts', '3')
  assert.equal(made.status, 0, made.err)
  const home = mkdtempSync(join(dir, 'home-'))
  const night = join(home, 'night')
  await bare('bin/nightjar', 'simulate', '--out', night, '--alerts', '3')
  const { status, err } = await bare(
    'bin/nightjar',
    'run',
    '--home',
    home,
    '--from',
    night,
    '--once',
  )
  assert.equal(status, 1)
  assert.match(err, /nightjar: Cannot use "@duckdb\/node-api" here: .*run this verb from the repo/)
})

test('a binary for a newer Linux than the machines’ is refused', () => {
  checkLoads('a.node', Buffer.from('\0GLIBC_2.2.5\0GLIBC_2.36\0GLIBCXX_3.4.30\0'))
  assert.throws(
    () => checkLoads('a.node', Buffer.from('\0GLIBC_2.2.5\0GLIBC_2.38\0')),
    /Cannot bundle "a.node": it asks for GLIBC 2.38, the machines' Debian 12 has 2.36/,
  )
  assert.throws(() => checkLoads('a.node', Buffer.from('\0GLIBCXX_3.4.32\0')), /GLIBCXX 3.4.32/)
})
