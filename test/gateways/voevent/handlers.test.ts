import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { commandHandler } from '../../../gateways/voevent/handlers/command.ts'
import { handleByAll } from '../../../gateways/voevent/handlers/handler.ts'
import { foldersOf, loadPlugins } from '../../../gateways/voevent/handlers/plugins.ts'
import { fileNameOf, saveHandler } from '../../../gateways/voevent/handlers/save.ts'
import { made } from './events.ts'

const folder = mkdtempSync(join(tmpdir(), 'nightjar-handlers-'))
after(() => rmSync(folder, { recursive: true }))

const event = { bytes: made(), ivorn: 'ivo://org.example/stream#ev1', role: 'observation' }

test('C24 files are named as Comet names them', () => {
  for (const [ivorn, name] of [
    ['ivo://org.example/stream#ev1', 'ivo__org.example_streamev1'],
    ['.abc', 'abc'],
    ['a.bc', 'a.bc'],
    ['ab/c', 'ab_c'],
    ['a*bc', 'abc'],
    ['a||b', 'ab'],
    ['a\\/b', 'a__b'],
    ['..', '_'],
  ] as const) {
    assert.equal(fileNameOf(ivorn), name)
  }
})

test('C24 an event is saved bit for bit, and a second of its name beside it', async () => {
  const place = join(folder, 'saved', 'deep')
  const save = saveHandler(place)
  await save.handle(event)
  await save.handle(event)
  assert.deepEqual(readdirSync(place).sort(), [
    'ivo__org.example_streamev1',
    'ivo__org.example_streamev1_',
  ])
  assert.ok(readFileSync(join(place, 'ivo__org.example_streamev1')).equals(event.bytes))
})

function script(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${text}\n`)
  chmodSync(path, 0o755)
  return path
}

test('C25 a command is given the event on its input, and what it says is told', async () => {
  const out = join(folder, 'given')
  const said: string[] = []
  const path = script('good', `cat > ${out}; echo hello; echo there >&2`)
  await commandHandler({ path, said: (text) => said.push(text) }).handle(event)
  assert.ok(readFileSync(out).equals(event.bytes))
  assert.deepEqual(said.sort(), ['hello\n', 'there\n'])
})

test('C25 what fails is told with its reason: non-zero, a signal, no program, too slow', async () => {
  const said = (): void => {}
  const run = (path: string, timeoutMs?: number) =>
    Promise.resolve(commandHandler({ path, said, ...(timeoutMs && { timeoutMs }) }).handle(event))
  const bad = script('bad', 'exit 99')
  await assert.rejects(run(bad), { message: `${bad} returned non-zero (99)` })
  await assert.rejects(run(script('killed', 'kill -9 $$')), /was ended by SIGKILL/)
  await assert.rejects(run(join(folder, 'nothing')), /is not executable/)
  await assert.rejects(run(script('slow', 'exec sleep 20'), 100), /was ended by SIGKILL/)
})

test('C25 a slow command holds up nobody, and no more run at a time than are allowed', async () => {
  const log = join(folder, 'turns')
  const path = script('turn', `echo start >> ${log}; sleep 0.2; echo end >> ${log}`)
  const handler = commandHandler({ path, said: () => {}, most: 2 })
  await Promise.all(Array.from({ length: 5 }, () => handler.handle(event)))
  let running = 0
  for (const line of readFileSync(log, 'utf8').trim().split('\n')) {
    running += line === 'start' ? 1 : -1
    assert.ok(running <= 2)
  }
})

test('C21 one handler that fails does not stop the others', async () => {
  const done: string[] = []
  const failed: string[] = []
  await handleByAll(
    [
      { name: 'bad', handle: () => Promise.reject(new Error('no')) },
      {
        name: 'throws',
        handle: () => {
          throw new Error('neither')
        },
      },
      { name: 'good', handle: ({ ivorn }) => void done.push(ivorn) },
    ],
    event,
    (_name, facts) => failed.push(JSON.stringify(facts)),
  )
  assert.deepEqual(done, [event.ivorn])
  assert.equal(failed.length, 2)
})

test('C11 C22 plugins are found in every folder of the search path, and are given their options', async () => {
  const [one, two] = [join(folder, 'one'), join(folder, 'two')]
  const { mkdirSync } = await import('node:fs')
  for (const place of [one, two]) mkdirSync(place)
  writeFileSync(
    join(one, 'count.mjs'),
    `export default { name: 'count', options: [{ name: 'by', default: '1', help: 'step' }],
       create: ({ by }) => ({ name: 'count', handle: () => { globalThis.counted = (globalThis.counted ?? 0) + Number(by) } }) }`,
  )
  writeFileSync(
    join(two, 'other.mjs'),
    `export default { name: 'other', create: () => ({ name: 'other', handle() {} }) }`,
  )
  const plugins = await loadPlugins(foldersOf(`${one}:${two}:${join(folder, 'absent')}`))
  assert.deepEqual(
    plugins.map(({ name }) => name),
    ['count', 'other'],
  )
  await plugins[0]?.create({ by: '3' }).handle(event)
  assert.equal((globalThis as { counted?: number }).counted, 3)
})

test('C11 a module that is no plugin is refused by its path', async () => {
  const place = join(folder, 'three')
  const { mkdirSync } = await import('node:fs')
  mkdirSync(place)
  writeFileSync(join(place, 'bad.mjs'), 'export default 42')
  await assert.rejects(
    loadPlugins([place]),
    /Cannot load plugin ".*bad\.mjs": its default export has no name/,
  )
})
