/** What docs/deploy.md tells people to type exists: verbs, options, files, stacks, settings. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { parse } from 'smol-toml'

import { checkConfig } from '../../infra/config.ts'
import { repository, runHere } from '../night/harness.ts'
import { everyStack, production, skipWithoutPackages, synthesised } from './stacks.ts'

const text = readFileSync(join(repository, 'docs/deploy.md'), 'utf8')

/** The commands of the shell's blocks, without their comments; a line that ends in a backslash goes on. */
const commands = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)]
  .flatMap(([, block = '']) => block.replaceAll(/\\\n\s*/g, '').split('\n'))
  .flatMap((line) => line.replace(/\s#.*$/, '').split(' && '))
  .map((command) => command.trim())
  .filter((command) => command !== '')

const after = (pattern: RegExp): string[] =>
  commands.flatMap((command) => pattern.exec(command)?.[1] ?? [])

test('every verb of make is one of the Makefile', () => {
  const makefile = readFileSync(join(repository, 'Makefile'), 'utf8')
  const verbs = after(/(?:^|\s)make (\w+)$/)
  assert.ok(verbs.length >= 4, commands.join('\n'))
  for (const verb of verbs) assert.match(makefile, new RegExp(`^${verb}:`, 'm'))
})

test('every nightjar command is one, with options that its help names', async () => {
  const lines = after(/^bin\/nightjar (.+)$/)
  assert.ok(lines.length >= 6)
  for (const line of lines) {
    const words = line.split(/\s+/)
    const first = words.findIndex((word) => word.startsWith('-'))
    const verbs = first < 0 ? words : words.slice(0, first)
    const { out, status } = await runHere([...verbs, '--help'])
    assert.equal(status, 0, line)
    for (const option of words.filter((word) => word.startsWith('--'))) {
      assert.match(out, new RegExp(`${option}[ ,<]`), `${line}: ${option}`)
    }
  }
})

test('every file that is named is there', () => {
  for (const [path] of text.matchAll(/\b(?:infra|docs|test|bin)\/[\w./-]*\w/g)) {
    if (/cdktf\.out|tfstate/.test(path)) continue
    assert.ok(existsSync(join(repository, path)), path)
  }
})

test('the example is a deployment, and so it is with an instance', () => {
  const example = parse(readFileSync(join(repository, 'infra/example.toml'), 'utf8'))
  assert.equal(checkConfig(example, { NIGHTJAR__INSTANCE: 'rc1' }).instance, 'rc1')
})

test(
  'stacks, the state bucket and its file have the names that are told',
  { skip: skipWithoutPackages },
  async () => {
    const told = new Set(after(/stacks\/([\w-]+)/))
    const made = new Map<string, string>()
    for (const config of [production, { ...production, instance: 'rc1' }]) {
      for (const { name, text: stack } of await everyStack(config)) made.set(name, stack)
    }
    assert.deepEqual([...told].sort(), [...made.keys()].sort())
    assert.match(made.get('nightjar-bootstrap') ?? '', /"my-project-nightjar-state"/)
    assert.match(made.get('nightjar-bootstrap') ?? '', /"[./]*\/my-project\.bootstrap\.tfstate"/)
  },
)

test('every secret that is told to be filled is made', { skip: skipWithoutPackages }, async () => {
  const { resources } = await synthesised(production)
  const made = Object.values(resources['google_secret_manager_secret'] ?? {})
  const names = made.map(({ secret_id: id }) => id)
  const told = after(/^gcloud secrets versions add (\S+)/)
  assert.ok(told.length > 0)
  for (const name of told) assert.ok(names.includes(name), name)
})
