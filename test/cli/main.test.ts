import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { nightjar, runHere } from '../night/harness.ts'

const dir = mkdtempSync(join(tmpdir(), 'nightjar-main-'))
after(() => rmSync(dir, { recursive: true }))

const home = join(dir, 'home')
const file = join(dir, 'a-file')
writeFileSync(file, 'not a folder')

/** What a command line that fails says, all of it one line of standard error. */
async function refused(...words: string[]): Promise<{ line: string; status: number }> {
  const { out, err, status } = await runHere(words)
  assert.equal(out, '')
  assert.match(err, /^nightjar: [^\n]+[^.\n]\n$/, words.join(' '))
  return { line: err.trimEnd(), status }
}

test('an unknown verb is 2, with the verb that may be meant', async () => {
  const { line, status } = await refused('qurey', 'SELECT 1')
  assert.equal(line, "nightjar: unknown command 'qurey' (Did you mean query?)")
  assert.equal(status, 2)
})

test('a command line that cannot be understood is 2, in one line', async () => {
  const lines: [string[], RegExp][] = [
    [['run', '--wrong'], /unknown option '--wrong'/],
    [['run', '--rates', '5'], /\(Did you mean --rate\?\)/],
    [['run', '--rate', 'fast'], /Cannot take rate "fast": it must be a number above 0/],
    [['run', '--rate', '0'], /Cannot take rate "0"/],
    [['run', '--rate', '-3'], /Cannot take rate "-3"/],
    [['run', '--night', '20261131'], /Cannot take night "20261131": it must be a UTC date/],
    [['run', '--survey', 'atlas'], /'atlas' is invalid. Allowed choices are ztf, lsst/],
    [['query'], /missing required argument 'sql'/],
    [['query', 'SELECT 1', '--json', '--csv'], /'--csv' cannot be used with option '--json'/],
    [['query', 'SELECT 1', 'SELECT 2'], /too many arguments/],
    [['replay', '--home', home], /Cannot replay: say what/],
    [['replay', '--home', home, '--missing', '--dead-letter'], /Cannot replay both/],
    [['subscribe'], /missing required argument 'topic'/],
    [['simulate'], /required option '--out <dir>' not specified/],
  ]
  for (const [words, pattern] of lines) {
    const { line, status } = await refused(...words)
    assert.match(line, pattern)
    assert.equal(status, 2, line)
  }
})

test('what cannot be done is 1, in one sentence that says what and why', async () => {
  const lines: [string[], RegExp][] = [
    [['query', 'SELECT 1', '--home', join(dir, 'none')], /Cannot query ztf_alerts: no warehouse/],
    [['run', '--once', '--home', join(file, 'home')], /Cannot use ".*a-file\/home" as home/],
    [['subscribe', 'x', '--home', join(file, 'home')], /Cannot use ".*a-file\/home" as home/],
    [['subscribe', 'x', '--home', file], /Cannot use ".*a-file" as home/],
    [['status', '--home', join(file, 'home')], /Cannot find a home in ".*a-file\/home"/],
    [['audit', '--home', join(dir, 'mistyped')], /Cannot find a home in ".*mistyped"/],
    [['replay', '--missing', '--home', join(dir, 'mistyped')], /Cannot find a home/],
    [['subscribe', 'ztf_salt', '--home', home], /Cannot find topic "ztf_salt".*ztf_alert_data/],
  ]
  for (const [words, pattern] of lines) {
    const { line, status } = await refused(...words)
    assert.match(line, pattern)
    assert.equal(status, 1, line)
  }
  assert.equal(existsSync(join(dir, 'mistyped')), false)
})

test('a source that is not there is 1, and the home is free again', async () => {
  const { err, status } = await runHere([
    ...['run', '--once', '--home', home, '--from', join(dir, 'nowhere')],
  ])
  assert.equal(status, 1)
  assert.match(err, /^nightjar: Cannot take in ".*nowhere": ENOENT[^\n]*give a folder[^\n]*\n$/m)
  const { out } = await runHere(['status', '--home', home])
  assert.match(out, /no broker runs/)
})

test('the version is printed, and is 0', async () => {
  assert.deepEqual(await runHere(['--version']), { out: '0.1.0\n', err: '', status: 0 })
})

test('a bug says its sentence, and with NIGHTJAR_DEBUG where it is', async () => {
  const { status, err } = await nightjar('inspect', dir)
  assert.equal(status, 1)
  assert.doesNotMatch(err, /\n {4}at /)
})

test('bin/nightjar answers with the exit status of the command line', async () => {
  const { status, err } = await nightjar('qurey')
  assert.equal(status, 2)
  assert.equal(err, "nightjar: unknown command 'qurey' (Did you mean query?)\n")
})
