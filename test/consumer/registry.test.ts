import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, test } from 'node:test'

import { createLearner, fetchSchema } from '../../consumer/registry.ts'
import type { Log } from '../../core/log.ts'
import { openShelf } from '../../schemas/shelf.ts'

const root = mkdtempSync(join(tmpdir(), 'nightjar-registry-'))
let answer: { status: number; body: string; times?: number }
let asked = 0
const server = createServer((_, response) => {
  asked++
  const given = answer
  if (answer.times !== undefined && --answer.times === 0) answer = good
  setTimeout(() => response.writeHead(given.status).end(given.body), 20)
})
server.listen(0, '127.0.0.1')
await once(server, 'listening')
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
after(() => {
  server.closeAllConnections()
  server.close()
  rmSync(root, { recursive: true })
})

const schema = '{"type":"record","name":"a","fields":[{"name":"id","type":"long"}]}'
const good = { status: 200, body: JSON.stringify({ schema }) }
beforeEach(() => {
  answer = good
  asked = 0
})

const packet = (id: number): Buffer => {
  const bytes = Buffer.alloc(6)
  bytes.writeInt32BE(id, 1)
  return bytes
}

function learner(more: { now?: () => Date; patienceMs?: number; url?: string } = {}) {
  const shelf = openShelf(mkdtempSync(join(root, 's-')))
  const said: string[] = []
  const log: Log = (name, facts) => said.push(`${name} ${JSON.stringify(facts)}`)
  const registry = { url: more.url ?? url }
  return { shelf, said, learn: createLearner({ registry, shelf, env: {}, log, ...more }) }
}

test('packets that wait for one schema share one request', async () => {
  const { shelf, said, learn } = learner()
  await Promise.all([learn(packet(5)), learn(packet(5)), learn(packet(5))])
  assert.equal(asked, 1)
  assert.equal(shelf.byId(5)?.text, schema)
  await learn(packet(5))
  assert.equal(asked, 1)
  assert.deepEqual(said, ['schema_accepted {"id":5,"changes":[]}'])
})

test('containers, known ids and ids below 0 are nobody to ask for', async () => {
  const { learn } = learner()
  await learn(Buffer.from('Obj\x01…'))
  await learn(packet(704))
  await learn(packet(-1))
  await learn(new Uint8Array())
  assert.equal(asked, 0)
})

test('an id that is not to be had is asked for again only later, and its packet goes on', async () => {
  let now = 0
  const { said, learn, shelf } = learner({ now: () => new Date(now) })
  answer = { status: 404, body: '{}' }
  await learn(packet(6))
  await learn(packet(6))
  assert.equal(asked, 1)
  assert.match(said.join(), /schema_unavailable .*the registry has no such schema/)
  answer = good
  now = 61_000
  await learn(packet(6))
  assert.equal(asked, 2)
  assert.notEqual(shelf.byId(6), undefined)
})

test('a registry that is away for a moment is waited for, one that stays away is not', async () => {
  answer = { status: 503, body: '', times: 2 }
  const patient = learner()
  await patient.learn(packet(7))
  assert.equal(asked, 3)
  assert.notEqual(patient.shelf.byId(7), undefined)

  const hurried = learner({ url: 'http://127.0.0.1:1', patienceMs: 0 })
  await hurried.learn(packet(7))
  assert.match(hurried.said.join(), /schema_unavailable .*Cannot get a schema/)
})

test('answers that are no schema are told by their fault', async () => {
  const registry = { url }
  for (const [status, body, fault] of [
    [200, '<html>', { code: 'schema_illegal', message: /something else than JSON/ }],
    [200, '{}', { code: 'schema_illegal', message: /without a schema/ }],
    [200, '{"schema":"x","schemaType":"PROTOBUF"}', { message: /of type "PROTOBUF"/ }],
    [200, '{"schema":"x","references":[{}]}', { message: /refers to others/ }],
    [200, `"${'x'.repeat(5 << 20)}"`, { code: 'source_failed', message: /more than 4194304/ }],
    [401, '', { code: 'access_denied', message: /answers 401; see registry\.username/ }],
    [404, '', { code: 'schema_unknown' }],
    [500, '', { code: 'source_failed' }],
  ] as [number, string, object][]) {
    answer = { status, body }
    await assert.rejects(fetchSchema(registry, 8, {}), fault)
  }
})
