import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

import { NightjarError } from '../../core/errors.ts'
import { doorPath, openDoor, openQueries, serveDoor } from '../../local/door.ts'
import type { Door, DoorHandler } from '../../local/door.ts'
import { openTable } from '../../local/table.ts'
import { column } from '../contract/table.ts'

const folder = mkdtempSync(join(tmpdir(), 'nightjar-door-'))
after(() => rmSync(folder, { recursive: true, force: true }))

let homes = 0
function newHome(): string {
  const home = join(folder, String(++homes))
  mkdirSync(home)
  return home
}

async function all(values: AsyncIterable<unknown>): Promise<unknown[]> {
  const list = []
  for await (const value of values) list.push(value)
  return list
}

async function served(handlers: Record<string, DoorHandler>) {
  const socket = doorPath(newHome())
  const server = await serveDoor({ socket, handlers })
  const door = (await openDoor(socket)) as Door
  return { socket, server, door }
}

suite('serveDoor()', () => {
  test('answers a verb with its values, whatever their types', async () => {
    const values = [1n << 62n, NaN, null, 'é', new Uint8Array([1, 2]), { a: [{ b: -0 }] }]
    const { server, door } = await served({
      async *echo(argument) {
        yield argument
        yield* values
      },
    })
    assert.deepEqual(await all(door.ask('echo', { x: 1n })), [{ x: 1n }, ...values])
    await server.close()
  })

  test('streams: a value arrives though the next one is long in coming', async () => {
    const { server, door } = await served({
      async *slow(_, signal) {
        yield 'first'
        await sleep(60_000, undefined, { signal })
      },
    })
    for await (const value of door.ask('slow', null)) {
      assert.equal(value, 'first')
      break
    }
    await server.close()
  })

  test('sends many values in order, and several askers are answered at once', async () => {
    const { server, door } = await served({
      async *count(to) {
        for (let i = 0; i < Number(to); i++) yield i
      },
    })
    const [a, b] = await Promise.all([all(door.ask('count', 20_000)), all(door.ask('count', 3))])
    assert.deepEqual(
      a,
      Array.from({ length: 20_000 }, (_, i) => i),
    )
    assert.deepEqual(b, [0, 1, 2])
    await server.close()
  })

  test('passes on an error with its code, after the values before it', async () => {
    const { server, door } = await served({
      async *fail() {
        yield 1
        throw new NightjarError('input_invalid', 'Cannot do it: because')
      },
    })
    const got: unknown[] = []
    const asked = async () => {
      for await (const value of door.ask('fail', null)) got.push(value)
    }
    await assert.rejects(asked, { code: 'input_invalid', message: 'Cannot do it: because' })
    assert.deepEqual(got, [1])
    await assert.rejects(all(door.ask('toString', null)), {
      code: 'input_invalid',
      message: 'Cannot do "toString": the door knows fail',
    })
    await server.close()
  })

  test('slows the handler down to the asker, and ends it when the asker goes', async () => {
    let made = 0
    let ended = false
    const { server, door } = await served({
      async *much(_, signal) {
        try {
          while (!signal.aborted) {
            made++
            yield new Uint8Array(100_000)
          }
        } finally {
          ended = true
        }
      },
    })
    for await (const _ of door.ask('much', null)) {
      await sleep(300)
      assert.ok(made < 500, `${made} values were made while one was read`)
      break
    }
    while (!ended) await sleep(5)
    await server.close()
  })

  test('lets only this user in, and takes over the socket of a process that died', async () => {
    const socket = doorPath(newHome())
    const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`
    await once(spawn(process.execPath, ['-e', script]), 'close')
    assert.ok(statSync(socket).isSocket())
    assert.equal(await openDoor(socket), null)

    const server = await serveDoor({ socket, handlers: {} })
    assert.equal(statSync(socket).mode & 0o777, 0o600)
    await assert.rejects(serveDoor({ socket, handlers: {} }), { code: 'home_busy' })
    await server.close()
    assert.equal(await openDoor(socket), null)
  })

  test('refuses a frame by its length, and survives one that is no request', async () => {
    const { socket, server, door } = await served({ async *one() {} })
    for (const bytes of [
      Buffer.from([0xff, 0xff, 0xff, 0xff, 1]),
      Buffer.from([0, 0, 0, 1, 1]),
      Buffer.from([0, 0]),
    ]) {
      const connection = createConnection(socket)
      connection.end(bytes)
      connection.resume()
      await once(connection, 'close')
    }
    assert.deepEqual(await all(door.ask('one', null)), [])
    await server.close()
  })

  test('says so when the broker goes away in the middle, or sends too much', async () => {
    const { server, door } = await served({
      async *slow(_, signal) {
        yield 1
        await sleep(60_000, undefined, { signal })
      },
    })
    const asked = async () => {
      for await (const _ of door.ask('slow', null)) void server.close()
    }
    await assert.rejects(asked, {
      code: 'home_unusable',
      message: /^Cannot ask the broker to slow/,
    })

    const socket = doorPath(newHome())
    const liar = createServer((connection) => {
      connection.on('error', () => connection.destroy())
      connection.end(Buffer.from([0x7f, 0, 0, 0]))
    })
    await once(liar.listen(socket), 'listening')
    const door2 = (await openDoor(socket)) as Door
    await assert.rejects(all(door2.ask('one', null)), {
      message: 'Cannot read a frame: it says 2130706432 bytes, and 67108864 are allowed',
    })
    liar.close()
  })
})

suite('doorPath()', () => {
  test('is in the home, or short in the temporary folder where that is too long', () => {
    assert.equal(doorPath('/var/lib/nightjar'), '/var/lib/nightjar/door.sock')
    const long = join('/var', 'x'.repeat(100))
    assert.ok(Buffer.byteLength(doorPath(long)) <= 100)
    assert.equal(doorPath(long), doorPath(`${long}/../${'x'.repeat(100)}/`))
    assert.notEqual(doorPath(long), doorPath(`${long}y`))
  })
})

suite('openQueries()', () => {
  const dataset = 'ztf_alerts'
  const sql = 'SELECT COUNT(*) AS n FROM alerts'
  const shape = { table: 'alerts_v1', view: 'alerts', columns: [column('candid', 'INT64')] }

  test('asks the broker that runs, and the file where none does', async () => {
    const home = newHome()
    const file = join(home, 'warehouse.duckdb')
    await assert.rejects(openQueries({ home, file, dataset }), {
      code: 'home_unusable',
      message: `Cannot query ztf_alerts: no warehouse in "${home}" yet; run "nightjar run" first`,
    })

    const table = await openTable({ file, dataset })
    await table.append({ shape, values: { candid: 1 } })
    const handlers = { query: (statement: unknown) => table.query(String(statement)) }
    const server = await serveDoor({ socket: doorPath(home), handlers })
    const asking = `
      const { openQueries } = await import(${JSON.stringify(join(import.meta.dirname, '../../local/door.ts'))})
      const queries = await openQueries(${JSON.stringify({ home, file, dataset })})
      for await (const { n } of queries.query('${sql}')) console.log(n)
      await queries.query('SELECT nothing').next().catch((error) => console.log(error.code))
      await queries.query('DROP TABLE alerts_v1').next().catch((error) => console.log(error.code))
      await queries.close()`
    assert.deepEqual(await linesOf(asking), ['1n', 'input_invalid', 'input_invalid'])
    await server.close()
    await table.close()
    assert.deepEqual(await linesOf(asking), ['1n', 'input_invalid', 'input_invalid'])
  })

  test('says what is wrong with a file that is no warehouse', async () => {
    const home = newHome()
    const file = join(home, 'warehouse.duckdb')
    writeFileSync(file, 'no warehouse at all, only some text that is long enough')
    await assert.rejects(openQueries({ home, file, dataset }), { code: 'home_unusable' })
  })
})

async function linesOf(script: string): Promise<string[]> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  for await (const chunk of child.stdout) text += String(chunk)
  return text.trim().split('\n')
}
