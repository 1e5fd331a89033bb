/**
 * `cdktf` was archived; docs/decisions/0001-cdktf.md says how the move to `cdktn` goes. Here it is done, in a
 * copy of the sources: what it synthesises is what we deploy.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { test } from 'node:test'

import { peersDir, skipWithout } from '../data.ts'
import { repository } from '../night/harness.ts'
import { everyStack, production, skipWithoutPackages } from './stacks.ts'

const packages = join(peersDir, 'cdktn/node_modules')
const skip = skipWithoutPackages || skipWithout(join(packages, 'cdktf'), 'run "make peers"')

/** Runs in the copy: the same call as `everyStack`, with the same bundles of nothing. */
const program = `
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { synthesise } from './infra/synth.ts'
const [config, folder] = process.argv.slice(1)
const put = (name) => {
  writeFileSync(join(folder, name), name)
  return { path: join(folder, name), name }
}
const bundles = {
  of: (reader) => put(reader + '-0123456789abcdef.zip'),
  machine: () => put('nightjar-' + '0123456789abcdef'.repeat(4) + '.tar.gz'),
}
console.log(JSON.stringify(synthesise(JSON.parse(config), bundles, join(folder, 'out'))))
`

interface Stack {
  name: string
  text: string
}

/** Without what says who wrote it: the version of the tool is all that may differ. */
function withoutVersion(text: string): unknown {
  const stack = JSON.parse(text) as { '//': { metadata: { version: string } } }
  assert.ok(stack['//'].metadata.version)
  stack['//'].metadata.version = ''
  return stack
}

test('with cdktn in the place of cdktf the stacks are the same', { skip }, async () => {
  const alias = JSON.parse(readFileSync(join(packages, 'cdktf/package.json'), 'utf8')) as {
    name: string
  }
  assert.equal(alias.name, 'cdktn')
  const folder = mkdtempSync(join(tmpdir(), 'nightjar-cdktn-'))
  try {
    for (const name of ['core', 'infra']) {
      cpSync(join(repository, name), join(folder, name), {
        recursive: true,
        filter: (path) => !/^(node_modules|cdktf\.out|\.gen)$/.test(basename(path)),
      })
    }
    for (const program of ['consumer', 'conductor']) {
      mkdirSync(join(folder, program))
      const script = join(program, 'vm_startup.sh')
      cpSync(join(repository, script), join(folder, script))
    }
    symlinkSync(packages, join(folder, 'infra/node_modules'))
    symlinkSync(join(repository, 'node_modules'), join(folder, 'node_modules'))
    const files = join(folder, 'bundles')
    mkdirSync(files)
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
    const node = join(repository, 'node_modules/.bin/node')
    const words = ['--input-type=module', '--eval', program, JSON.stringify(production), files]
    const said = execFileSync(node, words, { cwd: folder, encoding: 'utf8' })
    const theirs = JSON.parse(said) as Stack[]
    const ours = await everyStack(production)
    assert.deepEqual(
      theirs.map(({ name }) => name),
      ours.map(({ name }) => name),
    )
    for (const [at, { name, text }] of ours.entries()) {
      assert.deepEqual(withoutVersion(theirs[at]?.text ?? ''), withoutVersion(text), name)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})
